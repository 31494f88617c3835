"""Mixers made of other mixers."""

from seqarena.core.architecture import Architecture, layer

NUMBERS_DEPEND_ON_THIS = False  # a job takes its own row's modules (jobs/sources.py)
_MAMBA = layer("state_space.mamba:Mamba")
_MAMBA4 = (_MAMBA,) * 4

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
        (_MAMBA, layer("attention.attention:Attention")),
    ),
    # Left out: GELU in the gated channel mixer, whose nonlinearity is SiLU here.
    Architecture(
        "griffin", "Griffin hybrid of RG-LRU and a window", "hybrid", 2024, "De et al. 2024",
        "a fading memory carries the past in two layers of three; the third looks at what is near",
        (
            *(layer("state_space.rg_lru:RGLRU"),) * 2,
            layer("attention.sliding_window:SlidingWindow", num_groups=1),
        ),
        {"norm": "rms", "norm_epsilon": 1e-6, "channel_mixer": "gated"},
    ),
    # Jamba has experts in every other layer and norms within Mamba: both are left out.
    Architecture(
        "jamba", "Jamba hybrid of Mamba and attention", "hybrid", 2024,
        "Lieber et al. 2024 (Jamba)",
        "Mamba carries the past in seven layers of eight; attention, without positions, looks up",
        (*_MAMBA4, layer("attention.attention:Attention", positions="none"), *_MAMBA4[1:]),
        {"norm": "rms", "norm_epsilon": 1e-6, "channel_mixer": "gated"},
    ),
    Architecture(
        "samba", "Samba hybrid of Mamba and a window", "hybrid", 2024, "Ren et al. 2024 (Samba)",
        "Mamba carries the past, attention over a window looks up what is near",
        (_MAMBA, layer("attention.sliding_window:SlidingWindow")),
        {"norm": "rms", "channel_mixer": "gated"},
    ),
    # Left out: experts, norms of queries and keys, and rotating a quarter of each head alone.
    Architecture(
        "qwen3_next", "Qwen3-Next hybrid of DeltaNet and attention", "hybrid", 2025,
        "Qwen Team 2025 (Qwen3-Next); gate: Qiu et al. 2025",
        "three layers that overwrite a matrix memory to one of attention, whose answer is gated",
        (
            *(layer("delta.gated_delta:GatedDeltaNet"),) * 3,
            layer("attention.attention:Attention", num_groups=2, gate=True),
        ),
        {"norm": "rms", "norm_epsilon": 1e-6, "channel_mixer": "gated"},
    ),
)  # fmt: skip
