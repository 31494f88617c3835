"""Attention without the softmax: a recurrence over a matrix, and how it forgets."""

from seqarena.core.architecture import Architecture, layer

NUMBERS_DEPEND_ON_THIS = False  # a job takes its own row's modules (jobs/sources.py)

ROWS = (
    Architecture(
        "linear_attention", "linear attention", "linear attention", 2020,
        "Katharopoulos et al. 2020",
        "attention without the softmax is a recurrence over a matrix",
        (layer("linear.linear_attention:LinearAttention"),), {"positions": "sinusoidal"},
    ),
    Architecture(
        "retnet", "retentive network", "linear attention", 2023, "Sun et al. 2023",
        "attention without the softmax whose heads forget at fixed rates, some fast and some slow",
        (layer("linear.retnet:RetNet"),),
    ),
    Architecture(
        "gla", "gated linear attention", "linear attention", 2023, "Yang et al. 2023",
        "a matrix memory whose rows fade at rates that the input sets",
        (layer("linear.gla:GatedLinearAttention"),),
    ),
    Architecture(
        "hgrn2", "HGRN2", "linear attention", 2024, "Qin et al. 2024",
        "a gated recurrence that writes what it forgets, and forgets less in higher layers",
        (layer("linear.hgrn2:HGRN2"),),
    ),
    Architecture(
        "mlstm", "matrix LSTM", "linear attention", 2024, "Beck et al. 2024",
        "an LSTM whose cell is a matrix, with exponential gates, so that it trains in parallel",
        (layer("linear.mlstm:MLSTM"),),
    ),
    Architecture(
        "based", "Based linear attention", "linear attention", 2024, "Arora et al. 2024",
        "the softmax of attention replaced by its Taylor series, so that a fixed state holds it",
        (layer("linear.based:Based"),),
    ),
    Architecture(
        "lightning_attention", "lightning attention", "linear attention", 2024, "Qin et al. 2024",
        "attention without the softmax that fades at fixed rates, slower in higher layers",
        (layer("linear.lightning_attention:LightningAttention"),),
    ),
    Architecture(
        "rwkv6", "RWKV-6", "linear attention", 2024, "Peng et al. 2024",
        "a matrix memory that fades at rates the input sets, and looks at its neighbour first",
        (layer("linear.rwkv6:RWKV6"),),
    ),
)  # fmt: skip
