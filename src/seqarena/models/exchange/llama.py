"""Llama as `transformers` lays it out (Touvron et al. 2023). Queries, keys and values, and gate and
value, are one matrix of ours each."""

import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from seqarena.core.errors import UserError
from seqarena.mixers.attention.attention import Attention, AttentionConfig
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
    stack_misfits,
    without,
)
from seqarena.models.exchange.settings import NO_SPECIAL_TOKENS, Settings
from seqarena.models.stacks.language_model import LanguageModel, ModelConfig
from seqarena.models.stacks.stack import LayerConfig, StackConfig

_KEYS = ".self_attn.k_proj.weight"


def _read(settings: Settings) -> AnyConfig:
    settings.only(hidden_act="silu", mlp_bias=False, sliding_window=None, rope_interleaved=False)
    width = settings.size("hidden_size", default=4096)
    heads = settings.size("num_attention_heads", default=32)
    head_width = settings.size_or_none("head_dim")
    if head_width is not None and head_width * heads != width:
        raise UserError(
            f"head_dim = {head_width} cannot be read: it must be hidden_size / num_attention_heads"
        )
    options = {
        "num_heads": heads,
        "num_groups": _groups(settings, width, heads),
        "rotary_base": _rotary_base(settings),
        "bias": settings.flag("attention_bias", default=False),
    }
    stack = StackConfig(
        width=width,
        layers=(LayerConfig(mixer=ATTENTION, options=options),)
        * settings.layers("num_hidden_layers", default=32),
        channel_mixer="gated",
        channel_width=settings.size("intermediate_size", default=11008),
        norm="rms",
        norm_epsilon=settings.number("rms_norm_eps", default=1e-6, above=0, below=1),
    )
    return ModelConfig(
        vocab_size=settings.size("vocab_size", default=32000),
        stack=stack,
        tie_embeddings=settings.flag("tie_word_embeddings", default=False),
    )


def _groups(settings: Settings, width: int, heads: int) -> int:
    """Heads of keys and values: as config.json says, else as many as the matrix of keys has rows
    for, which are as many as heads in the first release."""
    groups = settings.size_or_none("num_key_value_heads")
    keys = (size for name, size in settings.shapes.items() if name.endswith(_KEYS))
    rows = (next(keys, None) or (width,))[0]
    if groups is not None or width % heads or rows % (width // heads):
        return groups or heads
    groups = rows // (width // heads)
    settings.assumed[f"num_key_value_heads (by {_KEYS})"] = groups
    return groups


def _rotary_base(settings: Settings) -> float:
    """The base of plain rotary positions, in their older and newer place. Raises UserError for
    positions that are scaled, and for two bases."""
    bases = []
    for place in ("rope_parameters", "rope_scaling"):
        rope = settings.inner(place)
        if rope is None:
            continue
        rope.choice("rope_type", "type", default="default", choices={"default": None})
        rope.only(partial_rotary_factor=1.0)
        if "rope_theta" in rope:
            bases.append(_base(rope))
        rope.finish(frozenset())
    if "rope_theta" in settings or not bases:
        bases.append(_base(settings))
    if len({*bases}) > 1:
        raise UserError(f"rope_theta is {bases[0]:g} in one place and {bases[-1]:g} in another")
    return bases[0]


def _base(settings: Settings) -> float:
    return settings.number("rope_theta", default=10_000.0, above=0, below=1e15)


def _write(model: LanguageModel) -> dict[str, Any]:
    config, stack, options = model.config, model.config.stack, attention_options(model)
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": config.vocab_size,
        "hidden_size": stack.width,
        "num_hidden_layers": len(stack.layers),
        "num_attention_heads": options.num_heads,
        "num_key_value_heads": options.num_groups or options.num_heads,
        "intermediate_size": stack.channel_width,
        "rms_norm_eps": stack.norm_epsilon,
        "rope_theta": options.rotary_base,
        "rope_parameters": {"rope_type": "default", "rope_theta": options.rotary_base},
        "hidden_act": "silu",
        "attention_bias": options.bias,
        "mlp_bias": False,
        "tie_word_embeddings": config.tie_embeddings,
        **NO_SPECIAL_TOKENS,
    }


def _places(model: LanguageModel) -> Iterator[WeightMatch]:
    yield from embedding_and_head(model, "model.embed_tokens.weight")
    yield WeightMatch("model.norm.weight", "stack.last_norm.weight")
    channel_width = model.config.stack.channel_width
    for number, ours in blocks(model):
        theirs = f"model.layers.{number}"
        yield WeightMatch(f"{theirs}.input_layernorm.weight", f"{ours}.mixer_norm.weight")
        yield WeightMatch(
            f"{theirs}.post_attention_layernorm.weight", f"{ours}.channel_norm.weight"
        )
        yield from _attention(model, f"{theirs}.self_attn", f"{ours}.mixer.projections")
        expand = f"{ours}.channel_mixer.expand.weight"
        yield WeightMatch(f"{theirs}.mlp.gate_proj.weight", expand, 0, channel_width)
        yield WeightMatch(f"{theirs}.mlp.up_proj.weight", expand, channel_width)
        yield WeightMatch(f"{theirs}.mlp.down_proj.weight", f"{ours}.channel_mixer.contract.weight")


def _attention(model: LanguageModel, theirs: str, ours: str) -> Iterator[WeightMatch]:
    width, options = model.config.stack.width, attention_options(model)
    shared = width // options.num_heads * (options.num_groups or options.num_heads)
    for part in ("weight", "bias") if options.bias else ("weight",):
        inward = f"{ours}.inward.{part}"
        yield WeightMatch(f"{theirs}.q_proj.{part}", inward, 0, width)
        yield WeightMatch(f"{theirs}.k_proj.{part}", inward, width, width + shared)
        yield WeightMatch(f"{theirs}.v_proj.{part}", inward, width + shared)
        yield WeightMatch(f"{theirs}.o_proj.{part}", f"{ours}.outward.{part}")


def _misfits(model: LanguageModel) -> Iterator[str]:
    yield from stack_misfits(model, Attention, norm="rms", channel_mixer="gated")
    yield from differing(
        {
            "positions": (model.config.positions, "none"),
            "positions inside the layers": (attention_options(model).positions, "rotary"),
        }
    )


def _is_plain_rotation(tensor: Tensor, config: ModelConfig) -> bool:
    options = AttentionConfig(**config.stack.layers[0].options)
    features = config.stack.width // options.num_heads
    exponents = torch.arange(0, features, 2, dtype=torch.float64) / features
    expected = options.rotary_base**-exponents
    # one part in a hundred: a file may hold them in bfloat16
    return tensor.shape == expected.shape and bool(
        torch.isclose(tensor.double(), expected, rtol=1e-2, atol=0).all()
    )


LLAMA = PublishedFamily(
    title="Llama",
    architectures=("LlamaForCausalLM", "LlamaModel"),
    read=_read,
    harmless=frozenset(
        {
            "max_position_embeddings",
            "max_sequence_length",
            "attention_dropout",
            "pretraining_tp",
            "is_llama_config",
            "is_decoder",
        }
    ),
    write=_write,
    places=_places,
    spellings=without("model."),
    layer=re.compile(r"(?:model\.)?layers\.(\d+)\."),
    spares=(
        Spare(
            re.compile(r"(?:model\.)?(?:layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq"),
            "the angles of rotary positions",
            _is_plain_rotation,
        ),
    ),
    misfits=_misfits,
)
