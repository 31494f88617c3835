"""The catalog: the only registry. One row an architecture; a name here works everywhere, and so do
combinations of names (combinations.py).

A stack's row says which mixers it repeats, a system's row which class it is. Listing the catalog
imports no torch.
"""

from typing import TYPE_CHECKING, Any

from seqarena.core.architecture import Architecture
from seqarena.core.errors import unknown_name
from seqarena.mixers import ROWS as STACKS
from seqarena.models.catalog_systems import SYSTEMS
from seqarena.models.combinations import combined, is_combination

if TYPE_CHECKING:
    from seqarena.core.batch import Problem

NUMBERS_DEPEND_ON_THIS = False  # a job takes its own row's modules (jobs/sources.py)
CATALOG: dict[str, Architecture] = {row.name: row for row in (*STACKS, *SYSTEMS)}
"""Name -> row: every architecture that seqarena has."""

# What `compare` enters by default: one of each idea that can model language.
LINEUP = (
    "feed_forward", "elman", "irnn", "lstm", "gru", "mingru", "minlstm", "conv", "attention",
    "sliding_window", "sparse_attention", "linear_attention", "s4d", "mamba", "hybrid",
)  # fmt: skip


OWN_FAMILY = "yours"  # of a user's own mixer


def architecture(name: str) -> Architecture:
    """The row of that name, of the catalog or a combination. Raises UserError with the nearest
    names for an unknown one, and for parts that cannot be combined."""
    if name in CATALOG:
        return CATALOG[name]
    if is_combination(name):
        return combined(name, architecture)
    raise unknown_name("architecture", name, CATALOG)


def is_known(name: str) -> bool:
    """Whether the catalog knows the name, or all parts of it; else it labels a user's own mixer."""
    return name in CATALOG or is_combination(name)


def why_not(row: Architecture, problem: "Problem") -> str | None:
    """Why the architecture cannot do a task, in words that follow "cannot enter:"; None: it can."""
    if problem.targets == "numbers" and problem.form == "pairs":
        return "it writes tokens, and this task asks for numbers"
    if row.system is None:
        if row.causal:
            return None
        if problem.form == "pairs":
            return "it sees the future, so it cannot continue a target"
        return "it sees the future, which this task forbids" if problem.causal else None
    from seqarena.models.model import load_system

    system = load_system(row.system)
    if problem.form not in system.forms:
        does = " or ".join(_FORMS[form] for form in system.forms)
        return f"it is made for {does}, and this task asks for {_FORMS[problem.form]}"
    if problem.targets not in system.targets:
        return "it answers with classes, and this task asks for numbers"
    for field in system.needs:
        if not getattr(problem, field):
            return f"it needs {_NEEDS[field]}, which this task does not have"
    if problem.features and "features" not in (*system.needs, *system.takes):
        return "it reads tokens, and this task gives numbers"
    if problem.categories and "categories" not in (*system.needs, *system.takes):
        return "it reads no categories beside its numbers, and this task gives them"
    if problem.causal and not system.causal:
        return "it sees the future, which this task forbids"
    return None


_FORMS = {
    "tokens": "an answer at every position",
    "label": "one label for a whole sequence",
    "pairs": "writing one sequence from another",
    "span": "a part of what it reads",
    "transcript": "a transcript that is not aligned with its inputs",
}
_NEEDS = {
    "image": "pixels in rows and columns",
    "num_segments": "an input that is divided into sentences",
    "num_characters": "the spelling of words",
    "features": "inputs that are numbers",
    "categories": "categories beside its numbers",
    "vocab_size": "inputs that are tokens",
    "causal": "a task in which the future is hidden",
}


def yours(name: str, mixer: str, options: dict[str, Any] | None = None) -> Architecture:
    """A row for a user's own mixer, `path/to/file.py:Class`; it is not added to the catalog."""
    return Architecture(
        name, name, OWN_FAMILY, 0, "yours", f"the mixer {mixer}", ((mixer, options or {}),)
    )
