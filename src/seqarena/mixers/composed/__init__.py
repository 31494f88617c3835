"""Mixers made of other mixers."""

from seqarena.core.architecture import Architecture, layer

NUMBERS_DEPEND_ON_THIS = False  # a job takes its own row's modules (jobs/sources.py)


ROWS = (
    Architecture(
        "bi_elman", "bidirectional Elman network", "recurrent", 1997, "Schuster and Paliwal 1997",
        "one network reads forwards and one backwards",
        (layer("composed.bidirectional:Bidirectional", inner="elman"),), causal=False,
    ),
    Architecture(
        "bi_lstm", "bidirectional LSTM", "recurrent", 2005, "Graves and Schmidhuber 2005",
        "one LSTM reads forwards and one backwards",
        (layer("composed.bidirectional:Bidirectional", inner="lstm"),), causal=False,
    ),
    Architecture(
        "bi_gru", "bidirectional GRU", "recurrent", 2014, "Bahdanau et al. 2015",
        "one GRU reads forwards and one backwards",
        (layer("composed.bidirectional:Bidirectional", inner="gru"),), causal=False,
    ),
    Architecture(
        "hybrid", "hybrid of Mamba and attention", "hybrid", 2024, "Lieber et al. 2024 (Jamba)",
        "a state space carries the gist, attention looks things up",
        (layer("state_space.mamba:Mamba"), layer("attention.attention:Attention")),
    ),
)  # fmt: skip
