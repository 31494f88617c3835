"""Layers of the Transformer as an encoder-decoder; transformer.py has the equations and the paper.

B  examples    S, T  positions    D  width    H  heads    E  features of a head    I = H E
C  slots of a cache
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from seqarena.mixers.attention.attention import (
    KeyValueCache,
    extend_cache,
    filled,
    slot_values,
)
from seqarena.mixers.base import Mixer, Watched
from seqarena.models.model import SystemOptions
from seqarena.models.stacks.channel_mixers import GatedMLP
from seqarena.ops.attention import attention
from seqarena.ops.attention.shared import attention_weights
from seqarena.ops.positions import rotate, rotation

_ROTARY_BASE = 10_000.0  # of Su et al. 2021


class TransformerOptions(SystemOptions):
    """`layers` of the encoder and of the decoder each (published: 6). `share`: one matrix for the
    target's embedding and the logits, and for the source's embedding where the task has one
    vocabulary."""

    layers: int = Field(3, ge=1)
    num_heads: int = Field(4, ge=1)
    hidden_width: int | None = Field(None, ge=1)
    norm: Literal["layer", "rms"] = "layer"
    norm_position: Literal["post", "pre"] = "post"
    positions: Literal["sinusoidal", "rotary"] = "sinusoidal"
    channel_mixer: Literal["relu", "gated"] = "relu"
    share: bool = True


class Parts(NamedTuple):
    """What mixes along time in each layer, by its number: of the source and of the target. A part
    has what `SelfAttention` has."""

    reading: Callable[[int], Any]
    writing: Callable[[int], Any]


class EncoderLayer(nn.Module):
    """x_BSD -> x_BSD; row b has `lengths_B[b]` real positions first."""

    def __init__(self, width: int, options: TransformerOptions, own: Any) -> None:
        super().__init__()
        self.own = own
        self.own_norm = Residual(width, options)
        self.channel = _channel_mixer(width, options)
        self.channel_norm = Residual(width, options)

    def forward(self, x_BSD: Tensor, lengths_B: Tensor) -> Tensor:
        y_BSD = self.own.all_see_all(self.own_norm.before(x_BSD), lengths_B)
        x_BSD = self.own_norm.after(x_BSD, y_BSD)
        y_BSD = self.channel(self.channel_norm.before(x_BSD))
        return self.channel_norm.after(x_BSD, y_BSD)

    def flops(self, length: int) -> int:
        return self.own.flops(length, length * length) + self.channel.flops(length)


class DecoderLayer(nn.Module):
    """x_BTD -> (x_BTD, the state of what mixes along it)."""

    def __init__(self, width: int, options: TransformerOptions, own: Any) -> None:
        super().__init__()
        self.own = own
        self.own_norm = Residual(width, options)
        self.source = CrossAttention(width, options)
        self.source_norm = Residual(width, options)
        self.channel = _channel_mixer(width, options)
        self.channel_norm = Residual(width, options)

    def forward(
        self,
        x_BTD: Tensor,
        cache: Any,
        memory: tuple[Tensor, Tensor],
        real_BS: Tensor,
    ) -> tuple[Tensor, Any]:
        x_BTD, cache = self.after_own(x_BTD, cache)
        y_BTD = self.source(self.source_norm.before(x_BTD), memory, real_BS)
        x_BTD = self.source_norm.after(x_BTD, y_BTD)
        y_BTD = self.channel(self.channel_norm.before(x_BTD))
        return self.channel_norm.after(x_BTD, y_BTD), cache

    def after_own(self, x_BTD: Tensor, cache: Any) -> tuple[Tensor, Any]:
        y_BTD, cache = self.own.each_sees_the_past(self.own_norm.before(x_BTD), cache)
        return self.own_norm.after(x_BTD, y_BTD), cache

    def flops(self, length: int) -> int:
        own = self.own.flops(length, length * (length + 1) // 2)
        return own + self.source.flops(length, length * length) + self.channel.flops(length)


class Residual(nn.Module):
    """What stands around a sublayer: the norm before or after, dropout, and the sum."""

    def __init__(self, width: int, options: TransformerOptions) -> None:
        super().__init__()
        self.norm = norm(width, options)
        self.pre = options.norm_position == "pre"
        self.dropout = nn.Dropout(options.dropout)

    def before(self, x_BTD: Tensor) -> Tensor:
        return self.norm(x_BTD) if self.pre else x_BTD

    def after(self, x_BTD: Tensor, y_BTD: Tensor) -> Tensor:
        x_BTD = x_BTD + self.dropout(y_BTD)
        return x_BTD if self.pre else self.norm(x_BTD)


class _Heads(Watched, nn.Module):
    """Sizes and projections that both kinds of attention share; no biases, as in the paper."""

    def __init__(self, width: int, options: TransformerOptions) -> None:
        super().__init__()
        self.num_heads = options.num_heads
        self.features = -(-width // options.num_heads)
        if options.positions == "rotary":
            self.features += self.features % 2
        self.inner = self.num_heads * self.features
        self.outward = nn.Linear(self.inner, width, bias=False)

    def split(self, x_BTI: Tensor) -> Tensor:
        return x_BTI.unflatten(-1, (self.num_heads, self.features)).transpose(1, 2)

    def merge(self, y_BHTE: Tensor) -> Tensor:
        return self.outward(y_BHTE.transpose(1, 2).flatten(2))

    def flops(self, length: int, pairs: int) -> int:
        """Four projections of `length` positions each; scores and averages of `pairs`."""
        return 8 * length * self.outward.weight.numel() + 4 * pairs * self.inner


class _Stacked(nn.Linear):
    """`stacked` matrices one under the other, multiplied at once."""

    def __init__(self, inputs: int, outputs: int, stacked: int) -> None:
        super().__init__(inputs, stacked * outputs, bias=False)
        self.stacked = stacked


class SelfAttention(_Heads):
    """Of one sequence to itself. `inward` is W_Q, W_K and W_V one under the other."""

    algorithm = "fused"

    def __init__(self, width: int, options: TransformerOptions) -> None:
        super().__init__(width, options)
        self.inward = _Stacked(width, self.inner, 3)
        self.rotary = options.positions == "rotary"

    def all_see_all(self, x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        q, k, v = self._project(x_BTD, 0)
        if self.watcher is not None:
            ones = slot_values(k)
            self.watcher(attention(q, k, ones, "explicit", causal=False, lengths_B=lengths_B))
        return self.merge(attention(q, k, v, "fused", causal=False, lengths_B=lengths_B))

    def each_sees_the_past(
        self, x_BTD: Tensor, cache: KeyValueCache | None
    ) -> tuple[Tensor, KeyValueCache]:
        q, k, v = self._project(x_BTD, 0 if cache is None else cache.length)
        cache = extend_cache(cache, k, v, None)
        k, v = filled(cache)
        if self.watcher is not None:
            self.watcher(attention(q, k, slot_values(k), "explicit"))
        return self.merge(attention(q, k, v, "fused")), cache

    def room(self, batch_size: int, max_length: int) -> KeyValueCache:
        """An empty cache for `max_length` positions."""
        empty = self.inward.weight.new_zeros(batch_size, self.num_heads, max_length, self.features)
        return KeyValueCache(empty, empty.clone(), 0)

    def state_bytes(self, length: int) -> int:
        """Of the keys and values of one sequence."""
        return 2 * length * self.inner * self.outward.weight.element_size()

    def serial_steps(self, length: int) -> int:
        """Project, score, softmax, average, project; rotating comes between."""
        return 6 if self.rotary else 5

    def _project(self, x_BTD: Tensor, start: int) -> tuple[Tensor, Tensor, Tensor]:
        heads = self.inward(x_BTD).unflatten(-1, (3 * self.num_heads, self.features))
        H, (T, device) = self.num_heads, (x_BTD.shape[1], x_BTD.device)
        if self.rotary:
            qk, v = heads.split((2 * H, H), 2)
            qk = rotate(qk, rotation(start, T, self.features, _ROTARY_BASE, qk.dtype, device))
            q, k = qk.split((H, H), 2)
        else:
            q, k, v = heads.split((H, H, H), 2)
        return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)


class CrossAttention(_Heads):
    """Of the target to the source. `inward` is W_K and W_V one under the other."""

    def __init__(self, width: int, options: TransformerOptions) -> None:
        super().__init__(width, options)
        self.query = nn.Linear(width, self.inner, bias=False)
        self.inward = _Stacked(width, self.inner, 2)

    def keys_and_values(self, x_BSD: Tensor) -> tuple[Tensor, Tensor]:
        k_BSI, v_BSI = self.inward(x_BSD).chunk(2, -1)
        return self.split(k_BSI), self.split(v_BSI)

    def queries(self, x_BTD: Tensor) -> Tensor:
        return self.split(self.query(x_BTD))

    def forward(self, x_BTD: Tensor, memory: tuple[Tensor, Tensor], real_BS: Tensor) -> Tensor:
        q_BHTE = self.queries(x_BTD)
        mask_B11S = real_BS[:, None, None]
        if self.watcher is not None:
            self.watcher(attention_weights(q_BHTE, memory[0], mask_B11S))
        return self.merge(F.scaled_dot_product_attention(q_BHTE, *memory, attn_mask=mask_B11S))


class FeedForwardLayer(nn.Module):
    """Section 3.3: two linear maps, ReLU between. [..., D] -> [..., D]."""

    def __init__(self, width: int, hidden_width: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, hidden_width)
        self.contract = nn.Linear(hidden_width, width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        return self.contract(self.expand(x_BTD).relu())

    def flops(self, length: int) -> int:
        return 4 * length * self.expand.weight.numel()


def _channel_mixer(width: int, options: TransformerOptions) -> Any:
    if options.channel_mixer == "relu":
        return FeedForwardLayer(width, options.hidden_width or 4 * width)
    return GatedMLP(width, options.hidden_width or round(8 / 3 * width), options.layers)


def norm(width: int, options: TransformerOptions) -> nn.Module:
    return nn.LayerNorm(width) if options.norm == "layer" else nn.RMSNorm(width)


def draw_xavier(module: nn.Module) -> None:
    """Xavier uniform for every matrix, each of stacked ones by itself; biases zero. A mixer has
    drawn its own."""
    if isinstance(module, Mixer):
        return
    if isinstance(module, nn.Linear):
        for weight in module.weight.detach().chunk(getattr(module, "stacked", 1)):
            nn.init.xavier_uniform_(weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    for child in module.children():
        draw_xavier(child)
