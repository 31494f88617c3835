"""Mamba as published (Gu and Dao 2023): the layout of `transformers`, and that of the authors' own
releases, whose config.json names d_model, n_layer and ssm_cfg and no model type.

Blocks are a norm, a mixer and a residual; there is no channel mixer. Everything is one to one.
"""

import re
from collections.abc import Iterator
from typing import Any, cast

from seqarena.core.errors import UserError
from seqarena.mixers.state_space.mamba import Mamba, MambaConfig
from seqarena.models.any import AnyConfig
from seqarena.models.exchange.family import (
    PublishedFamily,
    WeightMatch,
    blocks,
    differing,
    embedding_and_head,
    pair,
    stack_misfits,
)
from seqarena.models.exchange.settings import NO_SPECIAL_TOKENS, Settings
from seqarena.models.stacks.language_model import LanguageModel, ModelConfig
from seqarena.models.stacks.stack import LayerConfig, StackConfig

MIXER = "seqarena.mixers.state_space.mamba:Mamba"
_NAMES = {"in_proj": "in_proj", "conv1d": "convolution", "dt_proj": "step_proj",
          "out_proj": "out_proj"}  # fmt: skip


def is_authors(fields: dict[str, Any]) -> bool:
    """Whether a config.json without a model type is that of the authors' releases."""
    return "model_type" not in fields and {"d_model", "n_layer"} <= fields.keys()


def _read(settings: Settings) -> AnyConfig:
    """The layout of `transformers`. Its converted files repeat the authors' settings."""
    settings.only(hidden_act="silu", rms_norm=True, ssm_cfg={})
    width = settings.size("hidden_size", "d_model", default=768)
    options = {
        "expand": settings.size("expand", default=2),
        "state_size": settings.size("state_size", default=16),
        "kernel": settings.size("conv_kernel", default=4),
        "time_step_rank": _rank(settings, "time_step_rank"),
        "bias": settings.flag("use_bias", default=False),
        "convolution_bias": settings.flag("use_conv_bias", default=True),
    }
    _check_inner(settings, width, options["expand"])
    return ModelConfig(
        vocab_size=settings.size("vocab_size", default=50280),
        stack=_stack(
            settings, width, options,
            layers=settings.layers("num_hidden_layers", "n_layer", default=32),
            epsilon=settings.number("layer_norm_epsilon", default=1e-5, above=0, below=1),
        ),
        tie_embeddings=settings.flag("tie_word_embeddings", default=True),
    )  # fmt: skip


def _read_authors(settings: Settings) -> AnyConfig:
    """The layout of the authors' `mamba_ssm`; the norm's epsilon is 1e-5 there."""
    settings.only(d_intermediate=0, attn_layer_idx=[], attn_cfg={})
    width = settings.size("d_model", default=2560)
    inner = settings.inner("ssm_cfg") or Settings({}, settings.shapes)
    inner.choice("layer", default="Mamba1", choices={"Mamba1": None})
    options = {
        "expand": inner.size("expand", default=2),
        "state_size": inner.size("d_state", default=16),
        "kernel": inner.size("d_conv", default=4),
        "time_step_rank": _rank(inner, "dt_rank"),
        "bias": inner.flag("bias", default=False),
        "convolution_bias": inner.flag("conv_bias", default=True),
    }
    inner.finish(_AUTHORS_HARMLESS)
    _check_inner(settings, width, options["expand"])
    vocab_size = settings.size("vocab_size", default=50277)
    multiple = settings.size("pad_vocab_size_multiple", default=8)
    return ModelConfig(
        vocab_size=-(-vocab_size // multiple) * multiple,
        stack=_stack(
            settings, width, options,
            layers=settings.layers("n_layer", default=64),
            norm="rms" if settings.flag("rms_norm", default=True) else "layer",
        ),
        tie_embeddings=settings.flag("tie_embeddings", default=True),
    )  # fmt: skip


def _rank(settings: Settings, name: str) -> int | None:
    """None: a sixteenth of the width, which they call "auto"."""
    return settings.size_or_none(name, none="auto")


def _check_inner(settings: Settings, width: int, expand: int) -> None:
    inner = expand * width
    if inner > settings.largest:
        raise UserError(f"expand = {expand} makes {inner:,} channels: no tensor has so many")
    for name in ("intermediate_size", "d_inner"):
        if name in settings and settings.size(name, default=None) != inner:
            raise UserError(f"{name} cannot be read: it must be expand times the width, {inner:,}")


def _stack(
    settings: Settings,
    width: int,
    options: dict[str, Any],
    *,
    layers: int,
    norm: str = "rms",
    epsilon: float = 1e-5,
) -> StackConfig:
    layer = LayerConfig(mixer=MIXER, options=options)
    return StackConfig(
        width=width,
        layers=(layer,) * layers,
        channel_mixer="none",
        norm=cast("Any", norm),
        norm_epsilon=epsilon,
    )


def _write(model: LanguageModel) -> dict[str, Any]:
    config, stack = model.config, model.config.stack
    mixer = cast("Mamba", model.stack.mixers[0])
    options = cast("MambaConfig", mixer.config)
    return {
        "model_type": "mamba",
        "architectures": ["MambaForCausalLM"],
        "vocab_size": config.vocab_size,
        "hidden_size": stack.width,
        "num_hidden_layers": len(stack.layers),
        "expand": options.expand,
        "intermediate_size": mixer.inner_width,
        "state_size": options.state_size,
        "conv_kernel": options.kernel,
        "time_step_rank": mixer.rank,
        "use_bias": options.bias,
        "use_conv_bias": options.convolution_bias,
        "layer_norm_epsilon": stack.norm_epsilon,
        "hidden_act": "silu",
        "time_step_min": options.time_step_min,
        "time_step_max": options.time_step_max,
        "tie_word_embeddings": config.tie_embeddings,
        **NO_SPECIAL_TOKENS,
    }


def _places(model: LanguageModel) -> Iterator[WeightMatch]:
    options = cast("MambaConfig", model.stack.mixers[0].config)
    biased = {
        "in_proj": options.bias, "conv1d": options.convolution_bias,
        "dt_proj": True, "out_proj": options.bias,
    }  # fmt: skip
    norms = pair if model.config.stack.norm == "layer" else _weight
    yield from embedding_and_head(model, "backbone.embeddings.weight")
    yield from norms("backbone.norm_f", "stack.last_norm")
    for number, ours in blocks(model):
        theirs = f"backbone.layers.{number}"
        yield from norms(f"{theirs}.norm", f"{ours}.mixer_norm")
        yield WeightMatch(f"{theirs}.mixer.A_log", f"{ours}.mixer.a_log")
        yield WeightMatch(f"{theirs}.mixer.D", f"{ours}.mixer.skip")
        yield WeightMatch(f"{theirs}.mixer.x_proj.weight", f"{ours}.mixer.x_proj.weight")
        for name, our_name in _NAMES.items():
            both = pair if biased[name] else _weight
            yield from both(f"{theirs}.mixer.{name}", f"{ours}.mixer.{our_name}")


def _weight(theirs: str, ours: str) -> Iterator[WeightMatch]:
    yield WeightMatch(f"{theirs}.weight", f"{ours}.weight")


def _spellings(name: str) -> tuple[str, ...]:
    """The authors say `embedding`."""
    names = (name, name.replace("embeddings.", "embedding."))
    return tuple(dict.fromkeys((*names, *(each.removeprefix("backbone.") for each in names))))


def _misfits(model: LanguageModel) -> Iterator[str]:
    yield from stack_misfits(model, Mamba, norm="rms", channel_mixer="none")
    yield from differing({"positions": (model.config.positions, "none")})
    if any(getattr(layer.config, "negative_eigenvalues", False) for layer in model.stack.mixers):
        yield "its decays may be negative, and those of the layout are not"


# Of both layouts: how the weights were drawn, and by which kernels they run.
_HARMLESS = frozenset(
    {
        "time_step_min", "time_step_max", "time_step_scale", "time_step_floor",
        "time_step_init_scheme", "rescale_prenorm_residual", "residual_in_fp32", "fused_add_norm",
        "use_mambapy", "use_associative_scan", "pad_vocab_size_multiple",
    }
)  # fmt: skip
_AUTHORS_HARMLESS = frozenset(
    {"dt_min", "dt_max", "dt_init", "dt_scale", "dt_init_floor", "use_fast_path"}
)
MAMBA = PublishedFamily(
    title="Mamba",
    architectures=("MambaForCausalLM", "MambaModel"),
    read=_read,
    harmless=_HARMLESS,
    write=_write,
    places=_places,
    spellings=_spellings,
    layer=re.compile(r"(?:backbone\.)?layers\.(\d+)\."),
    spares=(),
    misfits=_misfits,
)
AUTHORS_MAMBA = MAMBA._replace(read=_read_authors)
