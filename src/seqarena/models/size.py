"""Equal size: every architecture's width is solved so that all have the same parameters.

The width sizes the model; its granularity is coarse, so the channel mixer's hidden width, which
costs a handful of parameters a unit, takes up the rest. Counting is done on the meta device: no
memory, no time, no random numbers.
"""

import math
from typing import Any, NamedTuple

import torch

from seqarena.core.errors import UserError
from seqarena.models.catalog import Architecture
from seqarena.models.language_model import ModelConfig, build_model
from seqarena.models.stack import LayerConfig, StackConfig, user_layer

TOLERANCE = 0.01  # of the parameter target
CHANNEL_RATIO = {"mlp": 4.0, "gated": 8 / 3, "none": 0.0}  # hidden over width, as published
_STEP = 8  # widths are tried in multiples of this first: vector units like them


class Shape(NamedTuple):
    """What a model of a given size needs to know beside its architecture."""

    vocab_size: int
    depth: int
    max_length: int = 0


def default_depth(params: int) -> int:
    """Layers for a parameter target: 2 below 300k, 4 below 3M, 6 below 30M, 12 above."""
    for limit, depth in ((300_000, 2), (3_000_000, 4), (30_000_000, 6)):
        if params < limit:
            return depth
    return 12


def configure(
    architecture: Architecture, shape: Shape, width: int, channel_width: int | None = None
) -> ModelConfig:
    """The architecture's model at a given width; the channel mixer is `CHANNEL_RATIO` times it."""
    overrides = dict(architecture.model)
    of_model = {
        key: overrides.pop(key) for key in list(overrides) if key in ModelConfig.model_fields
    }
    channel_mixer = overrides.get("channel_mixer", "mlp")
    if channel_width is None:
        channel_width = round(CHANNEL_RATIO[channel_mixer] * width)
    stack: dict[str, Any] = {
        "width": width,
        "channel_width": channel_width,
        "layers": _layers(architecture, shape.depth),
        **overrides,
    }
    return ModelConfig(
        vocab_size=shape.vocab_size,
        max_length=shape.max_length if of_model.get("positions") == "learned" else 0,
        stack=StackConfig(**stack),
        **of_model,
    )


def count_parameters(config: ModelConfig) -> int:
    """Trainable parameters of the model, without allocating it."""
    with torch.device("meta"):
        return build_model(config).num_parameters


def solve(architecture: Architecture, shape: Shape, params: int) -> ModelConfig:
    """The model within 1 % of `params` whose channel mixer is nearest its published ratio.

    Raises UserError with the nearest possible size when there is none.
    """
    best: tuple[float, ModelConfig] | None = None
    nearest: tuple[float, int] = (math.inf, 0)
    for width in _candidate_widths(architecture, shape, params):
        config, total = _fit_channel_width(architecture, shape, width, params)
        error = abs(total - params) / params
        nearest = min(nearest, (error, total))
        if error <= TOLERANCE:
            strangeness = _strangeness(config) + (0 if width % _STEP == 0 else 0.2) + error
            if best is None or strangeness < best[0]:
                best = (strangeness, config)
    if best is None:
        raise UserError(
            f"{architecture.name} cannot have {params:,} parameters with {shape.depth} layers and "
            f"{shape.vocab_size:,} symbols: the nearest possible is {nearest[1]:,}"
        )
    return best[1]


def _layers(architecture: Architecture, depth: int) -> tuple[LayerConfig, ...]:
    cycle = [
        LayerConfig(mixer=mixer, options=options)
        if mixer.startswith("seqarena.")
        else user_layer(mixer, options)
        for mixer, options in architecture.cycle
    ]
    return tuple(cycle[index % len(cycle)] for index in range(depth))


def _candidate_widths(architecture: Architecture, shape: Shape, params: int) -> list[int]:
    """Valid widths around the one where the published channel ratio meets the target."""
    low, high = 1, 2
    while high < 1 << 17 and _total(architecture, shape, high) < params:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        below = _total(architecture, shape, middle) < params
        low, high = (middle, high) if below else (low, middle)
    around = range(max(1, high - 4 * _STEP), high + 2 * _STEP)
    valid = [width for width in around if _is_valid(architecture, shape, width)]
    steps = [width for width in valid if width % _STEP == 0]
    near = sorted(valid, key=lambda width: abs(width - high))[:4]
    return sorted({*steps, *near}) or [_smallest_valid(architecture, shape)]


def _total(architecture: Architecture, shape: Shape, width: int) -> int:
    """Parameters at the nearest valid width from `width` up."""
    for candidate in range(width, width + 256):
        if _is_valid(architecture, shape, candidate):
            return count_parameters(configure(architecture, shape, candidate))
    raise UserError(f"{architecture.name} accepts no width from {width} to {width + 255}")


def _smallest_valid(architecture: Architecture, shape: Shape) -> int:
    return next(width for width in range(1, 1024) if _is_valid(architecture, shape, width))


def _is_valid(architecture: Architecture, shape: Shape, width: int) -> bool:
    try:
        count_parameters(configure(architecture, shape, width))
    except UserError:
        return False
    return True


def _fit_channel_width(
    architecture: Architecture, shape: Shape, width: int, params: int
) -> tuple[ModelConfig, int]:
    """Parameters are affine in the channel width: two counts give the width that meets a target."""
    config = configure(architecture, shape, width)
    if config.stack.channel_mixer == "none":
        return config, count_parameters(config)
    one, two = (
        count_parameters(configure(architecture, shape, width, channel)) for channel in (1, 2)
    )
    channel_width = max(1, 1 + round((params - one) / (two - one)))
    return configure(architecture, shape, width, channel_width), one + (channel_width - 1) * (
        two - one
    )


def _strangeness(config: ModelConfig) -> float:
    """How far the channel mixer is from its published ratio, as a factor's logarithm."""
    ratio = CHANNEL_RATIO[config.stack.channel_mixer]
    if not ratio:
        return 0.0
    return abs(math.log(config.stack.channel_width / (ratio * config.stack.width)))
