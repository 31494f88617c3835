"""Layers that weigh the past by its distance: in a fixed window, or all of it."""

from seqarena.core.architecture import Architecture, layer

NUMBERS_DEPEND_ON_THIS = False  # a job takes its own row's modules (jobs/sources.py)

ROWS = (
    Architecture(
        "feed_forward", "feed-forward network over a window", "feed-forward", 2003,
        "Bengio et al. 2003",
        "the last few positions enter a plain network; nothing is remembered",
        (layer("convolution.feed_forward:FeedForward"),),
    ),
    Architecture(
        "conv", "dilated convolution", "convolution", 2016,
        "van den Oord et al. 2016; Bai et al. 2018",
        "filters over the past whose gaps widen with depth",
        tuple(layer("convolution.conv:Conv", dilation=dilation) for dilation in (1, 3, 9, 27)),
    ),
    Architecture(
        "hyena", "Hyena long convolution", "convolution", 2023, "Poli et al. 2023",
        "two gates around one filter over the whole past, which a small network writes",
        (layer("convolution.hyena:Hyena"),),
    ),
)  # fmt: skip
