"""GPT-2 as `transformers` lays it out (Radford et al. 2019). Its linear maps are [in, out]."""

import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from seqarena.mixers.attention.attention import Attention
from seqarena.models.any import AnyConfig
from seqarena.models.exchange.family import (
    ATTENTION,
    PublishedFamily,
    Spare,
    WeightMatch,
    attention_options,
    blocks,
    differing,
    embedding_and_head,
    pair,
    stack_misfits,
    without,
)
from seqarena.models.exchange.settings import NO_SPECIAL_TOKENS, Settings
from seqarena.models.stacks.channel_mixers import Activation
from seqarena.models.stacks.language_model import LanguageModel, ModelConfig
from seqarena.models.stacks.stack import LayerConfig, StackConfig

ACTIVATIONS: dict[str, Activation] = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "relu": "relu",
}


def activation_name(ours: Activation) -> str:
    """The first of their names for it."""
    return next(name for name, activation in ACTIVATIONS.items() if activation == ours)


def _read(settings: Settings) -> AnyConfig:
    settings.only(scale_attn_weights=True, scale_attn_by_inverse_layer_idx=False)
    width = settings.size("n_embd", "hidden_size", default=768)
    heads = settings.size("n_head", "num_attention_heads", default=12)
    options = {"num_heads": heads, "positions": "none", "bias": True}
    stack = StackConfig(
        width=width,
        layers=(LayerConfig(mixer=ATTENTION, options=options),)
        * settings.layers("n_layer", "num_hidden_layers", default=12),
        channel_width=settings.size_or_none("n_inner") or 4 * width,
        activation=settings.choice("activation_function", default="gelu_new", choices=ACTIVATIONS),
        norm_epsilon=settings.number("layer_norm_epsilon", default=1e-5, above=0, below=1),
    )
    return ModelConfig(
        vocab_size=settings.size("vocab_size", default=50257),
        stack=stack,
        positions="learned",
        max_length=settings.size("n_positions", "max_position_embeddings", default=1024),
        tie_embeddings=settings.flag("tie_word_embeddings", default=True),
    )


def _write(model: LanguageModel) -> dict[str, Any]:
    config, stack = model.config, model.config.stack
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": config.vocab_size,
        "n_positions": config.max_length,
        "n_embd": stack.width,
        "n_layer": len(stack.layers),
        "n_head": attention_options(model).num_heads,
        "n_inner": stack.channel_width,
        "layer_norm_epsilon": stack.norm_epsilon,
        "activation_function": activation_name(stack.activation),
        "embd_pdrop": stack.dropout,
        "resid_pdrop": stack.dropout,
        "attn_pdrop": 0.0,
        "tie_word_embeddings": config.tie_embeddings,
        **NO_SPECIAL_TOKENS,
    }


def _places(model: LanguageModel) -> Iterator[WeightMatch]:
    yield from embedding_and_head(model, "transformer.wte.weight")
    yield WeightMatch("transformer.wpe.weight", "embedding.learned.weight")
    yield from pair("transformer.ln_f", "stack.last_norm")
    for number, ours in blocks(model):
        theirs = f"transformer.h.{number}"
        yield from pair(f"{theirs}.ln_1", f"{ours}.mixer_norm")
        yield from pair(f"{theirs}.ln_2", f"{ours}.channel_norm")
        yield from pair(f"{theirs}.attn.c_attn", f"{ours}.mixer.projections.inward", True)
        yield from pair(f"{theirs}.attn.c_proj", f"{ours}.mixer.projections.outward", True)
        yield from pair(f"{theirs}.mlp.c_fc", f"{ours}.channel_mixer.expand", True)
        yield from pair(f"{theirs}.mlp.c_proj", f"{ours}.channel_mixer.contract", True)


def _misfits(model: LanguageModel) -> Iterator[str]:
    yield from stack_misfits(model, Attention, norm="layer", channel_mixer="mlp")
    options = attention_options(model)
    yield from differing(
        {
            "positions": (model.config.positions, "learned"),
            "positions inside the layers": (options.positions, "none"),
            "bias": (options.bias, True),
            "num_groups": (options.num_groups or options.num_heads, options.num_heads),
        }
    )


def _is_causal_mask(tensor: Tensor, _: Any) -> bool:
    lower = torch.ones(tensor.shape[-2:], dtype=torch.bool).tril() if tensor.ndim == 4 else None
    return lower is not None and len(tensor) == 1 and torch.equal(tensor[0, 0] != 0, lower)


def _hides(tensor: Tensor, _: Any) -> bool:
    return tensor.numel() == 1 and tensor.item() <= -1e4


_LAYER = r"(?:transformer\.)?h\.(\d+)\."
GPT2 = PublishedFamily(
    title="GPT-2",
    architectures=("GPT2LMHeadModel", "GPT2Model"),
    read=_read,
    harmless=frozenset(
        {
            "n_ctx",
            "embd_pdrop",
            "resid_pdrop",
            "attn_pdrop",
            "reorder_and_upcast_attn",
            "is_decoder",
            "summary_activation",
            "summary_first_dropout",
            "summary_proj_to_labels",
            "summary_type",
            "summary_use_proj",
        }
    ),
    write=_write,
    places=_places,
    spellings=without("transformer."),
    layer=re.compile(_LAYER),
    spares=(
        Spare(re.compile(_LAYER + r"attn\.bias"), "the mask of the future", _is_causal_mask),
        Spare(re.compile(_LAYER + r"attn\.masked_bias"), "what masked scores become", _hides),
    ),
    misfits=_misfits,
)
