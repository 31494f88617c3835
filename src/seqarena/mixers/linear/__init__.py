"""Attention without the softmax: a recurrence over a matrix."""

from seqarena.core.architecture import Architecture, layer

NUMBERS_DEPEND_ON_THIS = False  # a job takes its own row's modules (jobs/sources.py)

ROWS = (
    Architecture(
        "linear_attention", "linear attention", "linear attention", 2020,
        "Katharopoulos et al. 2020",
        "attention without the softmax is a recurrence over a matrix",
        (layer("linear.linear_attention:LinearAttention"),), {"positions": "sinusoidal"},
    ),
)  # fmt: skip
