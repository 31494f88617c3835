"""Recurrent cells whose gates see only the input, so that a scan trains them."""

from seqarena.core.architecture import Architecture, layer

NUMBERS_DEPEND_ON_THIS = False  # a job takes its own row's modules (jobs/sources.py)

ROWS = (
    Architecture(
        "mingru", "minimal gated recurrent unit", "minimal recurrent", 2024, "Feng et al. 2024",
        "a GRU whose gates see the input alone, so that a parallel scan trains it",
        (layer("minimal.mingru:MinGRU"),),
    ),
    Architecture(
        "minlstm", "minimal LSTM", "minimal recurrent", 2024, "Feng et al. 2024",
        "an LSTM whose gates see the input alone, so that a parallel scan trains it",
        (layer("minimal.minlstm:MinLSTM"),),
    ),
)  # fmt: skip
