"""The catalog's stacks: a pattern of mixers, repeated to the wanted depth. No torch in here."""

from typing import Any

from seqarena.models.architecture import Architecture

NUMBERS_DEPEND_ON_THIS = False  # a job takes its own row's modules (jobs/sources.py)


def _mixer(place: str, **options: Any) -> tuple[str, dict[str, Any]]:
    return f"seqarena.mixers.{place}", options


_ELMAN, _LSTM, _GRU = "recurrent.elman:Elman", "recurrent.lstm:LSTM", "recurrent.gru:GRU"
_ATTENTION, _MAMBA = "attention.attention:Attention", "state_space.mamba:Mamba"

STACKS = (
    Architecture(
        "feed_forward", "feed-forward network over a window", "feed-forward", 2003,
        "Bengio et al. 2003",
        "the last few positions enter a plain network; nothing is remembered",
        (_mixer("convolution.feed_forward:FeedForward"),),
    ),
    Architecture(
        "elman", "Elman recurrent network", "recurrent", 1990, "Elman 1990",
        "one tanh layer fed back into itself at every step",
        (_mixer(_ELMAN),),
    ),
    Architecture(
        "irnn", "ReLU recurrent network", "recurrent", 2015,
        "Le, Jaitly and Hinton 2015",
        "ReLU units that start out by copying their state, so that gradients start at one",
        (_mixer(_ELMAN, nonlinearity="relu", initialisation="identity"),),
    ),
    Architecture(
        "lstm", "long short-term memory", "recurrent", 1997,
        "Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000",
        "gates decide what a cell forgets, takes in and shows",
        (_mixer(_LSTM),),
    ),
    Architecture(
        "lstm_plain", "bare LSTM", "recurrent", 2014, "Zaremba et al. 2014",
        "LSTM layers and nothing else, dropout between them alone (--dropout), a carried state",
        (_mixer(_LSTM),), {"norm": "none", "residual": False, "channel_mixer": "none"},
    ),
    Architecture(
        "lstm_chrono", "bare LSTM with chrono initialisation", "recurrent", 2018,
        "Tallec and Ollivier 2018",
        "bare LSTM layers whose gates start out remembering for up to 128 positions",
        (_mixer(_LSTM, initialisation="chrono", max_time_steps=128),),
        {"norm": "none", "residual": False, "channel_mixer": "none"},
    ),
    Architecture(
        "factored_lstm", "factored LSTM", "recurrent", 2017, "Kuchaiev and Ginsburg 2017",
        "an LSTM whose big matrix is a product of two thin ones",
        (_mixer("recurrent.factored_lstm:FactoredLSTM"),),
    ),
    Architecture(
        "grouped_lstm", "grouped LSTM", "recurrent", 2017, "Kuchaiev and Ginsburg 2017",
        "several small LSTMs side by side",
        (_mixer("recurrent.factored_lstm:FactoredLSTM", kind="grouped"),),
    ),
    Architecture(
        "gru", "gated recurrent unit", "recurrent", 2014, "Cho et al. 2014",
        "two gates blend the old state with a candidate",
        (_mixer(_GRU),),
    ),
    Architecture(
        "gru_before", "gated recurrent unit as first published", "recurrent", 2014,
        "Cho et al. 2014, version 1",
        "the reset gate acts before the recurrent product, so no library kernel fits",
        (_mixer(_GRU, reset="before"),),
    ),
    Architecture(
        "bi_elman", "bidirectional Elman network", "recurrent", 1997, "Schuster and Paliwal 1997",
        "one network reads forwards and one backwards",
        (_mixer("composed.bidirectional:Bidirectional", inner="elman"),), causal=False,
    ),
    Architecture(
        "bi_lstm", "bidirectional LSTM", "recurrent", 2005, "Graves and Schmidhuber 2005",
        "one LSTM reads forwards and one backwards",
        (_mixer("composed.bidirectional:Bidirectional", inner="lstm"),), causal=False,
    ),
    Architecture(
        "bi_gru", "bidirectional GRU", "recurrent", 2014, "Bahdanau et al. 2015",
        "one GRU reads forwards and one backwards",
        (_mixer("composed.bidirectional:Bidirectional", inner="gru"),), causal=False,
    ),
    Architecture(
        "mingru", "minimal gated recurrent unit", "minimal recurrent", 2024, "Feng et al. 2024",
        "a GRU whose gates see the input alone, so that a parallel scan trains it",
        (_mixer("minimal.mingru:MinGRU"),),
    ),
    Architecture(
        "minlstm", "minimal LSTM", "minimal recurrent", 2024, "Feng et al. 2024",
        "an LSTM whose gates see the input alone, so that a parallel scan trains it",
        (_mixer("minimal.minlstm:MinLSTM"),),
    ),
    Architecture(
        "conv", "dilated convolution", "convolution", 2016,
        "van den Oord et al. 2016; Bai et al. 2018",
        "filters over the past whose gaps widen with depth",
        tuple(_mixer("convolution.conv:Conv", dilation=dilation) for dilation in (1, 4, 16, 64)),
    ),
    Architecture(
        "attention", "Transformer", "attention", 2017, "Vaswani et al. 2017; Su et al. 2021",
        "every position looks at every earlier one and takes a weighted mean",
        (_mixer(_ATTENTION),),
    ),
    Architecture(
        "attention_alibi", "Transformer with distance biases", "attention", 2022,
        "Press et al. 2022",
        "attention whose scores fall off linearly with distance",
        (_mixer(_ATTENTION, positions="alibi"),),
    ),
    Architecture(
        "attention_sinusoidal", "Transformer with sinusoidal positions", "attention", 2017,
        "Vaswani et al. 2017",
        "positions are sines and cosines added to the embedding",
        (_mixer(_ATTENTION, positions="none"),), {"positions": "sinusoidal"},
    ),
    Architecture(
        "attention_learned", "Transformer with learned positions", "attention", 2018,
        "Radford et al. 2018",
        "every position has a vector of its own, added to the embedding",
        (_mixer(_ATTENTION, positions="none"),), {"positions": "learned"},
    ),
    Architecture(
        "gpt2", "GPT-2 Transformer", "attention", 2019, "Radford et al. 2019",
        "a pre-norm Transformer with learned positions, as its weights are published",
        (_mixer(_ATTENTION, positions="none", bias=True),),
        {"positions": "learned", "activation": "gelu_tanh"},
    ),
    Architecture(
        "llama", "Llama Transformer", "attention", 2023, "Touvron et al. 2023",
        "root-mean-square norms, rotary positions, gated channels, keys shared by two heads",
        (_mixer(_ATTENTION, num_groups=2),),
        {"norm": "rms", "norm_epsilon": 1e-6, "channel_mixer": "gated", "tie_embeddings": False},
    ),
    Architecture(
        "attention_experts", "mixture-of-experts Transformer", "attention", 2017,
        "Shazeer et al. 2017",
        "each position uses two of eight small networks, chosen by a noisy gate",
        (_mixer(_ATTENTION),), {"channel_mixer": "experts"},
    ),
    Architecture(
        "lstm_experts", "mixture-of-experts LSTM", "recurrent", 2017, "Shazeer et al. 2017",
        "as published: experts between layers of an LSTM, chosen by a noisy gate",
        (_mixer(_LSTM),), {"channel_mixer": "experts"},
    ),
    Architecture(
        "sliding_window", "sliding-window attention", "attention", 2020, "Beltagy et al. 2020",
        "attention over the last few positions alone: the state stops growing",
        (_mixer("attention.sliding_window:SlidingWindow"),),
    ),
    Architecture(
        "sparse_attention", "sparse attention", "attention", 2019, "Child et al. 2019",
        "attention over a local window and every L-th position before it",
        (_mixer("attention.sparse_attention:SparseAttention"),),
    ),
    Architecture(
        "linear_attention", "linear attention", "linear attention", 2020,
        "Katharopoulos et al. 2020",
        "attention without the softmax is a recurrence over a matrix",
        (_mixer("linear.linear_attention:LinearAttention"),), {"positions": "sinusoidal"},
    ),
    Architecture(
        "s4d", "diagonal state-space model", "state space", 2022, "Gu et al. 2022",
        "a bank of damped oscillators, trained as one long convolution",
        (_mixer("state_space.s4d:S4D"),),
    ),
    Architecture(
        "mamba", "Mamba state-space model", "state space", 2023, "Gu and Dao 2023",
        "a state space whose step and gates depend on the input",
        (_mixer(_MAMBA),),
    ),
    Architecture(
        "hybrid", "hybrid of Mamba and attention", "hybrid", 2024, "Lieber et al. 2024 (Jamba)",
        "a state space carries the gist, attention looks things up",
        (_mixer(_MAMBA), _mixer(_ATTENTION)),
    ),
)  # fmt: skip
