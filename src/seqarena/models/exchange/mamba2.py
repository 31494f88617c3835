"""Mamba-2 as published (Dao and Gu 2024), in the layout of `transformers`.

Blocks are a norm, a mixer and a residual, as in Mamba (mamba.py). Their `in_proj` holds three of
our matrices one under the other: the gate, what is convolved, and the steps.
"""

import math
import re
from collections.abc import Iterator
from typing import Any, cast

from seqarena.core.errors import UserError
from seqarena.mixers.state_space.mamba2 import Mamba2, Mamba2Config
from seqarena.models.any import AnyConfig
from seqarena.models.exchange.family import (
    PublishedFamily,
    WeightMatch,
    blocks,
    differing,
    embedding_and_head,
    pair,
    stack_misfits,
    without,
)
from seqarena.models.exchange.settings import NO_SPECIAL_TOKENS, Settings
from seqarena.models.stacks.language_model import LanguageModel, ModelConfig
from seqarena.models.stacks.stack import LayerConfig, StackConfig

MIXER = "seqarena.mixers.state_space.mamba2:Mamba2"


def _read(settings: Settings) -> AnyConfig:
    settings.only(hidden_act="silu", rms_norm=True, use_bias=False, use_conv_bias=True)
    groups = settings.size("n_groups", default=8)
    width = settings.size("hidden_size", default=4096)
    expand = settings.size("expand", default=2)
    heads = settings.size("num_heads", default=128)
    features = settings.size("head_dim", default=64)
    if expand * width != heads * features or width % heads:
        raise UserError(
            f"num_heads = {heads} of head_dim = {features} cannot be read: together they must be "
            f"expand times the width, {expand * width:,}, and divide the width"
        )
    _check_limit(settings)
    epsilon = settings.number("layer_norm_epsilon", default=1e-5, above=0, below=1)
    options = {
        "expand": expand,
        "num_heads": heads,
        "state_size": settings.size("state_size", default=128),
        "kernel": settings.size("conv_kernel", default=4),
        "norm_epsilon": epsilon,
    }
    layers = settings.layers("num_hidden_layers", default=64)
    vocab_size = settings.size("vocab_size", default=32768)
    tied = settings.flag("tie_word_embeddings", default=False)
    if groups != 1:
        raise UserError(f"n_groups = {groups} cannot be read: one B and C must serve all heads, 1")
    stack = StackConfig(
        width=width,
        layers=(LayerConfig(mixer=MIXER, options=options),) * layers,
        channel_mixer="none",
        norm="rms",
        norm_epsilon=epsilon,
    )
    return ModelConfig(vocab_size=vocab_size, stack=stack, tie_embeddings=tied)


def _check_limit(settings: Settings) -> None:
    """Raises UserError for steps that are cut, which ours are not."""
    limit = settings.said("time_step_limit")
    # JSON has no infinity: `transformers` writes an object
    if limit is not None and limit not in ([0.0, math.inf], [0.0, {"__float__": "Infinity"}]):
        raise UserError(f"time_step_limit = {limit} cannot be read: it must be 0 to infinity")


def _write(model: LanguageModel) -> dict[str, Any]:
    config, stack = model.config, model.config.stack
    mixer = cast("Mamba2", model.stack.mixers[0])
    options = cast("Mamba2Config", mixer.config)
    return {
        "model_type": "mamba2",
        "architectures": ["Mamba2ForCausalLM"],
        "vocab_size": config.vocab_size,
        "hidden_size": stack.width,
        "num_hidden_layers": len(stack.layers),
        "expand": options.expand,
        "num_heads": options.num_heads,
        "head_dim": mixer.value_features,
        "n_groups": 1,
        "state_size": options.state_size,
        "conv_kernel": options.kernel,
        "use_bias": False,
        "use_conv_bias": True,
        "layer_norm_epsilon": stack.norm_epsilon,
        "hidden_act": "silu",
        "time_step_min": options.time_step_min,
        "time_step_max": options.time_step_max,
        "tie_word_embeddings": config.tie_embeddings,
        **NO_SPECIAL_TOKENS,
    }


def _places(model: LanguageModel) -> Iterator[WeightMatch]:
    mixer = cast("Mamba2", model.stack.mixers[0])
    sizes = (mixer.inner_width, sum(mixer.sizes), mixer.num_heads)
    yield from embedding_and_head(model, "backbone.embeddings.weight")
    yield WeightMatch("backbone.norm_f.weight", "stack.last_norm.weight")
    for number, ours in blocks(model):
        theirs, ours = f"backbone.layers.{number}", f"{ours}."
        yield WeightMatch(f"{theirs}.norm.weight", f"{ours}mixer_norm.weight")
        theirs, ours, first = f"{theirs}.mixer", f"{ours}mixer", 0
        for name, size in zip(("gate", "inward", "steps"), sizes, strict=True):
            rows = (first, first + size, sum(sizes))
            yield WeightMatch(f"{theirs}.in_proj.weight", f"{ours}.{name}.weight", rows=rows)
            first += size
        yield from pair(f"{theirs}.conv1d", f"{ours}.convolution")
        for name, our_name in (
            ("A_log", "a_log"), ("D", "skip"), ("dt_bias", "step_bias"),
            ("norm.weight", "norm.weight"), ("out_proj.weight", "outward.weight"),
        ):  # fmt: skip
            yield WeightMatch(f"{theirs}.{name}", f"{ours}.{our_name}")


def _misfits(model: LanguageModel) -> Iterator[str]:
    yield from stack_misfits(model, Mamba2, norm="rms", channel_mixer="none")
    yield from differing({"positions": (model.config.positions, "none")})
    for layer in model.stack.mixers:
        options = cast("Mamba2Config", layer.config)
        if options.norm_epsilon != model.config.stack.norm_epsilon:
            yield "its two norms differ in their epsilon, and the layout has one"


# How the weights were drawn, how they are computed, and what `transformers` itself does not read.
_HARMLESS = frozenset(
    {
        "time_step_min", "time_step_max", "time_step_floor", "time_step_rank",
        "rescale_prenorm_residual", "residual_in_fp32", "chunk_size", "norm_before_gate",
    }
)  # fmt: skip
MAMBA2 = PublishedFamily(
    title="Mamba-2",
    architectures=("Mamba2ForCausalLM", "Mamba2Model"),
    read=_read,
    harmless=_HARMLESS,
    write=_write,
    places=_places,
    spellings=without("backbone."),
    layer=re.compile(r"(?:backbone\.)?layers\.(\d+)\."),
    spares=(),
    misfits=_misfits,
)
