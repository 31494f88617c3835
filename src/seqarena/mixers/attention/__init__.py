"""Softmax attention over all, a window of, or a part of the past."""

from seqarena.core.architecture import Architecture, layer

NUMBERS_DEPEND_ON_THIS = False  # a job takes its own row's modules (jobs/sources.py)

_ATTENTION = "attention.attention:Attention"

ROWS = (
    Architecture(
        "attention", "Transformer", "attention", 2017, "Vaswani et al. 2017; Su et al. 2021",
        "every position looks at every earlier one and takes a weighted mean",
        (layer(_ATTENTION),),
    ),
    Architecture(
        "attention_alibi", "Transformer with distance biases", "attention", 2022,
        "Press et al. 2022",
        "attention whose scores fall off linearly with distance",
        (layer(_ATTENTION, positions="alibi"),),
    ),
    Architecture(
        "attention_sinusoidal", "Transformer with sinusoidal positions", "attention", 2017,
        "Vaswani et al. 2017",
        "positions are sines and cosines added to the embedding",
        (layer(_ATTENTION, positions="none"),), {"positions": "sinusoidal"},
    ),
    Architecture(
        "attention_learned", "Transformer with learned positions", "attention", 2018,
        "Radford et al. 2018",
        "every position has a vector of its own, added to the embedding",
        (layer(_ATTENTION, positions="none"),), {"positions": "learned"},
    ),
    Architecture(
        "gpt2", "GPT-2 Transformer", "attention", 2019, "Radford et al. 2019",
        "a pre-norm Transformer with learned positions, as its weights are published",
        (layer(_ATTENTION, positions="none", bias=True),),
        {"positions": "learned", "activation": "gelu_tanh"},
    ),
    Architecture(
        "llama", "Llama Transformer", "attention", 2023, "Touvron et al. 2023",
        "root-mean-square norms, rotary positions, gated channels, keys shared by two heads",
        (layer(_ATTENTION, num_groups=2),),
        {"norm": "rms", "norm_epsilon": 1e-6, "channel_mixer": "gated", "tie_embeddings": False},
    ),
    Architecture(
        "attention_experts", "mixture-of-experts Transformer", "attention", 2017,
        "Shazeer et al. 2017",
        "each position uses two of eight small networks, chosen by a noisy gate",
        (layer(_ATTENTION),), {"channel_mixer": "experts"},
    ),
    Architecture(
        "sliding_window", "sliding-window attention", "attention", 2020, "Beltagy et al. 2020",
        "attention over the last few positions alone: the state stops growing",
        (layer("attention.sliding_window:SlidingWindow"),),
    ),
    Architecture(
        "sparse_attention", "sparse attention", "attention", 2019, "Child et al. 2019",
        "attention over a local window and every L-th position before it",
        (layer("attention.sparse_attention:SparseAttention"),),
    ),
    Architecture(
        "longformer", "causal Longformer attention", "attention", 2020, "Beltagy et al. 2020",
        "a window, and a few first positions that all others keep in sight",
        (layer("attention.sliding_window:SlidingWindow", num_first=16),),
    ),
    Architecture(
        "bigbird", "causal BigBird attention", "attention", 2020, "Zaheer et al. 2020",
        "attention over nearby blocks, the first block and a few random ones",
        (layer("attention.bigbird:BigBird"),),
    ),
    Architecture(
        "attention_sinks", "window attention with sinks", "attention", 2024, "Xiao et al. 2024",
        "a window, and four first positions that take the weight that no other deserves",
        (layer("attention.sliding_window:SlidingWindow", num_first=4, positions="cache"),),
    ),
    Architecture(
        "latent_attention", "multi-head latent attention", "attention", 2024,
        "DeepSeek-AI 2024 (DeepSeek-V2)",
        "keys and values are made of one small latent vector, which alone is kept",
        (layer("attention.latent_attention:LatentAttention"),),
    ),
    Architecture(
        "forgetting_attention", "Forgetting Transformer", "attention", 2025, "Lin et al. 2025",
        "attention whose scores fall by a learned forget gate at every position between",
        (layer("attention.forgetting_attention:ForgettingAttention"),),
    ),
)  # fmt: skip
