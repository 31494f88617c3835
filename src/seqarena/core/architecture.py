"""What the catalog knows of one architecture."""

from typing import Any, Literal, NamedTuple

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
