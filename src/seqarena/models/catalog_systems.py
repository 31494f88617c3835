"""The catalog's whole systems: each wired as its paper wires it, in a file of its own. No torch."""

from seqarena.models.architecture import Architecture

SYSTEMS: tuple[Architecture, ...] = (
    Architecture(
        "memory_network", "End-to-End Memory Network", "memory", 2015,
        "Sukhbaatar et al. 2015, End-To-End Memory Networks",
        "every sentence is a memory that the question reads in several hops",
        system="seqarena.models.memory_network:MemoryNetwork",
    ),
    Architecture(
        "text_cnn", "Convolution with the maximum over time", "convolution", 2014, "Kim 2014",
        "filters over three to five words; each tells how well it fits at its best place",
        system="seqarena.models.text_cnn:TextCNN",
    ),
    Architecture(
        "self_attention_encoder", "Structured self-attention", "attention", 2017,
        "Lin et al. 2017",
        "several weighted means over a bidirectional LSTM, each with its own attention",
        system="seqarena.models.self_attention_encoder:SelfAttentionEncoder",
    ),
)  # fmt: skip
