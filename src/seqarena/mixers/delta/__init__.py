"""Linear attention that erases before it writes: the delta rule and what grew out of it."""

from seqarena.core.architecture import Architecture, layer

NUMBERS_DEPEND_ON_THIS = False  # a job takes its own row's modules (jobs/sources.py)

ROWS = (
    Architecture(
        "deltanet", "DeltaNet", "delta rule", 2024, "Schlag et al. 2021; Yang et al. 2024",
        "a matrix memory that erases what a key held before it writes",
        (layer("delta.deltanet:DeltaNet"),),
    ),
    Architecture(
        "gated_delta", "Gated DeltaNet", "delta rule", 2024, "Yang et al. 2024",
        "a matrix memory that erases what a key held before it writes, and lets everything fade",
        (layer("delta.gated_delta:GatedDeltaNet"),),
    ),
    Architecture(
        "delta_product", "DeltaProduct", "delta rule", 2025, "Siems et al. 2025",
        "erases and writes twice a position, and may turn over what a key held: it can rotate",
        (layer("delta.delta_product:DeltaProduct"),),
    ),
    Architecture(
        "kimi_delta", "Kimi Delta Attention", "delta rule", 2025, "Kimi Team 2025",
        "the delta rule with a memory that fades at a rate of its own for each feature of a key",
        (layer("delta.kimi_delta:KimiDelta"),),
    ),
    Architecture(
        "gated_delta2", "Gated DeltaNet-2", "delta rule", 2026, "Hatamizadeh et al. 2026",
        "a gate of its own for what is erased and another for what is written, feature by feature",
        (layer("delta.gated_delta2:GatedDeltaNet2"),),
    ),
    Architecture(
        "rwkv7", "RWKV-7", "delta rule", 2025, "Peng et al. 2025",
        "compares each position with the one before, fades by feature, erases at learned rates",
        (layer("delta.rwkv7:RWKV7"),),
    ),
)  # fmt: skip
