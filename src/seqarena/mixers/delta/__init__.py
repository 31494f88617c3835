"""Linear attention that erases before it writes: the delta rule and what grew out of it."""

from seqarena.core.architecture import Architecture, layer

NUMBERS_DEPEND_ON_THIS = False  # a job takes its own row's modules (jobs/sources.py)

ROWS = (
    Architecture(
        "gated_delta", "Gated DeltaNet", "delta rule", 2024, "Yang et al. 2024",
        "a matrix memory that erases what a key held before it writes, and lets everything fade",
        (layer("delta.gated_delta:GatedDeltaNet"),),
    ),
)  # fmt: skip
