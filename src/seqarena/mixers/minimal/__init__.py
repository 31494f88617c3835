"""Recurrent cells whose channels are recurrences by themselves, most of them linear."""

from seqarena.core.architecture import Architecture, layer

NUMBERS_DEPEND_ON_THIS = False  # a job takes its own row's modules (jobs/sources.py)

ROWS = (
    Architecture(
        "qrnn", "quasi-recurrent network", "minimal recurrent", 2017, "Bradbury et al. 2017",
        "a convolution over two positions writes the gates of a running blend",
        (layer("minimal.qrnn:QRNN"),),
    ),
    Architecture(
        "sru", "simple recurrent unit", "minimal recurrent", 2018, "Lei et al. 2018",
        "a running blend whose gates see their own channel of it, and a way around it",
        (layer("minimal.sru:SRU"),),
    ),
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
