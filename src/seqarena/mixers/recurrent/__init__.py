"""Recurrent cells whose gates see the state: one step after another."""

from seqarena.core.architecture import Architecture, layer

NUMBERS_DEPEND_ON_THIS = False  # a job takes its own row's modules (jobs/sources.py)

_ELMAN = "recurrent.elman:Elman"
_LSTM = "recurrent.lstm:LSTM"
_GRU = "recurrent.gru:GRU"

ROWS = (
    Architecture(
        "elman", "Elman recurrent network", "recurrent", 1990, "Elman 1990",
        "one tanh layer fed back into itself at every step",
        (layer(_ELMAN),),
    ),
    Architecture(
        "irnn", "ReLU recurrent network", "recurrent", 2015,
        "Le, Jaitly and Hinton 2015",
        "ReLU units that start out by copying their state, so that gradients start at one",
        (layer(_ELMAN, nonlinearity="relu", initialisation="identity"),),
    ),
    Architecture(
        "lstm", "long short-term memory", "recurrent", 1997,
        "Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000",
        "gates decide what a cell forgets, takes in and shows",
        (layer(_LSTM),),
    ),
    Architecture(
        "lstm_plain", "bare LSTM", "recurrent", 2014, "Zaremba et al. 2014",
        "LSTM layers and nothing else, dropout between them alone (--dropout), a carried state",
        (layer(_LSTM),), {"norm": "none", "residual": False, "channel_mixer": "none"},
    ),
    Architecture(
        "lstm_chrono", "bare LSTM with chrono initialisation", "recurrent", 2018,
        "Tallec and Ollivier 2018",
        "bare LSTM layers whose gates start out remembering for up to 128 positions",
        (layer(_LSTM, initialisation="chrono", max_time_steps=128),),
        {"norm": "none", "residual": False, "channel_mixer": "none"},
    ),
    Architecture(
        "lstm_peephole", "LSTM with peepholes", "recurrent", 2000,
        "Gers and Schmidhuber 2000; Graves 2013",
        "an LSTM whose gates also look at the cell that they guard",
        (layer(_LSTM, peepholes=True),),
    ),
    Architecture(
        "factored_lstm", "factored LSTM", "recurrent", 2017, "Kuchaiev and Ginsburg 2017",
        "an LSTM whose big matrix is a product of two thin ones",
        (layer("recurrent.factored_lstm:FactoredLSTM"),),
    ),
    Architecture(
        "grouped_lstm", "grouped LSTM", "recurrent", 2017, "Kuchaiev and Ginsburg 2017",
        "several small LSTMs side by side",
        (layer("recurrent.factored_lstm:FactoredLSTM", kind="grouped"),),
    ),
    Architecture(
        "gru", "gated recurrent unit", "recurrent", 2014, "Cho et al. 2014",
        "two gates blend the old state with a candidate",
        (layer(_GRU),),
    ),
    Architecture(
        "gru_before", "gated recurrent unit as first published", "recurrent", 2014,
        "Cho et al. 2014, version 1",
        "the reset gate acts before the recurrent product, so no library kernel fits",
        (layer(_GRU, reset="before"),),
    ),
    Architecture(
        "slstm", "scalar LSTM of xLSTM", "recurrent", 2024, "Beck et al. 2024",
        "an LSTM whose exponential gates can revise what is stored, with heads that mix memory",
        (layer("recurrent.slstm:SLSTM"),),
    ),
    Architecture(
        "lstm_experts", "mixture-of-experts LSTM", "recurrent", 2017, "Shazeer et al. 2017",
        "as published: experts between layers of an LSTM, chosen by a noisy gate",
        (layer(_LSTM),), {"channel_mixer": "experts"},
    ),
)  # fmt: skip
