"""What the catalog knows of one architecture."""

from typing import Any, Literal, NamedTuple

from seqarena.core.errors import UserError

Family = Literal[
    "feed-forward", "recurrent", "minimal recurrent", "convolution", "attention",
    "linear attention", "delta rule", "state space", "hybrid", "memory", "algorithmic", "yours",
]  # fmt: skip


class Architecture(NamedTuple):
    """What the catalog knows of one architecture, and how its stack is built."""

    name: str
    title: str  # a noun phrase as it reads within a sentence: "gated recurrent unit"
    family: Family
    year: int
    paper: str
    idea: str
    cycle: tuple[tuple[str, dict[str, Any]], ...] = ()  # (mixer, options) of successive layers
    model: dict[str, Any] = {}  # fields of ModelConfig or StackConfig; of a system: its options
    causal: bool = True  # False: sees the future, so it cannot enter language modelling
    system: str | None = None  # package.module:Class of a system that is no stack of mixers


def layer(mixer: str, **options: Any) -> tuple[str, dict[str, Any]]:
    """One layer of a cycle: `family.file:Class` under `seqarena.mixers`, and its options."""
    return f"seqarena.mixers.{mixer}", options


def with_short_convolution(row: Architecture, taps: int) -> Architecture:
    """The row with a short convolution before every mixer (stacks/stack.py); 0: as it is. Raises
    UserError for a system."""
    if not taps:
        return row
    if row.system is not None:
        raise UserError(f"{row.name} is a whole system: it has no place for a short convolution")
    return row._replace(model={**row.model, "short_convolution": taps})


def with_options(row: Architecture, options: dict[str, Any] | None) -> Architecture:
    """The row with these options set on every layer of its cycle, or on the system it is;
    `short_convolution` is one of the blocks."""
    options = dict(options or {})
    row = with_short_convolution(row, options.pop("short_convolution", 0))
    if not options:
        return row
    if row.system is not None:
        return row._replace(model={**row.model, **options})
    return row._replace(cycle=tuple((mixer, {**own, **options}) for mixer, own in row.cycle))
