"""Multi-head attention: "Attention Is All You Need", Vaswani et al. 2017.

    q, k, v = x W_Q, x W_K, x W_V              split into heads
    y_t     = sum_c softmax_c(q_t . k_c / sqrt(E)) v_c      over c <= t (causal), or all c
    out     = concat(heads) W_O                or (concat(heads) * sigmoid(x W_G)) W_O

Keys and values may be shared by groups of heads (Ainslie et al. 2023; one group: Shazeer 2019).
Positions inside the layer: rotary (Su et al. 2021) or ALiBi (Press et al. 2022); sinusoidal and
learned positions belong to the embedding, not here. A gate from the input (Qiu et al. 2025, "Gated
Attention for Large Language Models") lets each feature of a head's answer through or not.

    B batch   T time   D width   H heads   G groups   E = D / H features of a head   C cache slots

    paper         here
    h, d_k        num_heads, E
    W^Q W^K W^V   projections.inward (one matrix: all queries, then keys, then values)
    W^O           projections.outward
    W_theta       gate (Qiu et al. 2025; W_G above)
"""

import math
from typing import Any, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.mixers.base import Complexity, Mixer, MixerConfig, Watched
from seqarena.ops.attention import attention
from seqarena.ops.positions import alibi_slopes, rotate, rotation


class AttentionConfig(MixerConfig):
    """`num_groups` None: every head has its own keys and values."""

    num_heads: int = 4
    num_groups: int | None = None
    positions: Literal["none", "rotary", "alibi"] = "rotary"
    rotary_base: float = 10_000.0
    bias: bool = False
    causal: bool = True
    gate: bool = False


class KeyValueCache(NamedTuple):
    """Keys and values of the past. Slot c of a row holds the row's real position c.

    Without padding every row fills the first `length` slots. Once a call had padding, `lengths_B`
    counts each row's own and `length` bounds them from above. Slots beyond are free.
    """

    k_BGCE: Tensor
    v_BGCE: Tensor
    length: int
    lengths_B: Tensor | None = None


class Attention(Watched, Mixer):
    """Softmax attention over all positions up to the query's own, or over all (encoders)."""

    Config = AttentionConfig
    operation = attention
    rewinds = True
    equation: ClassVar[str] = """\
q, k, v = x W_Q, x W_K, x W_V              split into heads
y_t     = sum_c softmax_c(q_t . k_c / sqrt(E)) v_c      over c <= t (causal), or all c
out     = concat(heads) W_O                or (concat(heads) * sigmoid(x W_G)) W_O"""
    complexity = Complexity(work="T^2 D + T D^2", serial_steps="1", path_length="1", state="T D")

    def __init__(self, width: int, config: AttentionConfig) -> None:
        super().__init__(width, config)
        self.causal = config.causal
        groups = config.num_heads if config.num_groups is None else config.num_groups
        rotary_base = config.rotary_base if config.positions == "rotary" else None
        self.projections = HeadProjections(
            width, config.num_heads, groups, config.bias, rotary_base
        )
        self.gate: nn.Linear | None = None
        if config.gate:
            self.gate = nn.Linear(width, width, bias=config.bias)
            nn.init.xavier_uniform_(self.gate.weight)
        slopes_H = alibi_slopes(config.num_heads) if config.positions == "alibi" else None
        self.slopes_H: Tensor | None
        self.register_buffer("slopes_H", slopes_H, persistent=False)

    def mix(
        self, x_BTD: Tensor, state: KeyValueCache | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, KeyValueCache | None]:
        starts_B = None if state is None else state.lengths_B
        heads = self.projections.split(x_BTD, next_position(state))
        q_BHTE, k_BGTE, v_BGTE = (x.transpose(1, 2) for x in heads)
        if not self.causal:
            y_BHTE = self._attend(q_BHTE, k_BGTE, v_BGTE, None, lengths_B)
            return self._merged(x_BTD, y_BHTE), None
        cache = extend_cache(state, k_BGTE, v_BGTE, lengths_B)
        k_BGCE, v_BGCE = filled(cache)
        y_BHTE = self._attend(q_BHTE, k_BGCE, v_BGCE, starts_B, None)
        return self._merged(x_BTD, y_BHTE), cache

    def _merged(self, x_BTD: Tensor, y_BHTE: Tensor) -> Tensor:
        y_BTHE = y_BHTE.transpose(1, 2)
        if self.gate is not None:
            y_BTHE = y_BTHE * torch.sigmoid(self.gate(x_BTD)).view_as(y_BTHE)
        return self.projections.merge(y_BTHE)

    def _attend(
        self,
        q_BHTE: Tensor,
        k_BGCE: Tensor,
        v_BGCE: Tensor,
        starts_B: Tensor | None,
        lengths_B: Tensor | None,
    ) -> Tensor:
        def attend(values: Tensor, algorithm: str) -> Tensor:
            return attention(
                q_BHTE,
                k_BGCE,
                values,
                algorithm,
                causal=self.causal,
                starts_B=starts_B,
                lengths_B=lengths_B,
                slopes_H=self.slopes_H,
            )

        if self.watcher is not None:
            self.watcher(attend(slot_values(k_BGCE), "explicit"))
        return attend(v_BGCE, self.algorithm)

    def initial_state(self, batch_size: int, max_length: int = 0) -> KeyValueCache | None:
        if not self.causal:
            return None
        return empty_cache(self.projections, batch_size, max_length)

    def rewound(self, state: KeyValueCache, count: int) -> KeyValueCache:
        return shortened(state, count)

    def flops(self, length: int) -> int:
        pairs = length * (length + 1) // 2 if self.causal else length * length
        gate = 0 if self.gate is None else 2 * length * self.width**2
        return self.projections.flops(length) + self.projections.pair_flops(pairs) + gate

    def state_bytes(self, length: int) -> int:
        return self.projections.cache_bytes(length) if self.causal else 0

    def serial_steps(self, length: int) -> int:
        # project, attend, project; rotating or penalising comes between
        plain = self.slopes_H is None and self.projections.rotary_base is None
        return self.algorithm_steps(length) + (2 if plain else 3) + (self.gate is not None)

    def path_length(self, distance: int) -> int:
        return 1

    def reach(self) -> float:
        return math.inf


class HeadProjections(nn.Module):
    """Into heads and back: W_Q, W_K, W_V as one matrix, and W_O. Shared by attention mixers.

    Rotary positions, where `rotary_base` is given, turn queries and keys on the way in.

    Initialisation: Xavier uniform on each of the four matrices, biases zero (the authors' code).
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        num_groups: int,
        bias: bool = False,
        rotary_base: float | None = None,
    ) -> None:
        """Raises UserError where width, heads and groups do not divide, or rotary cannot pair."""
        super().__init__()
        if num_heads < 1 or width % num_heads:
            raise UserError(
                f"width {width} does not divide into {num_heads} heads: use a multiple of the heads"
            )
        if num_groups < 1 or num_heads % num_groups:
            raise UserError(
                f"{num_heads} heads do not divide into {num_groups} groups: "
                "num_groups must divide num_heads"
            )
        self.num_heads, self.num_groups = num_heads, num_groups
        self.features = width // num_heads
        self.rotary_base = rotary_base
        if rotary_base is not None and self.features % 2:
            raise UserError(
                f"rotary positions pair the features of a head, and {self.features} is odd: "
                f"use a width that is a multiple of {2 * num_heads}, or other positions"
            )
        self._sizes = (width, num_groups * self.features, num_groups * self.features)
        self.inward = nn.Linear(width, sum(self._sizes), bias=bias)
        self.outward = nn.Linear(width, width, bias=bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the weights."""
        for weight in (*self.inward.weight.split(self._sizes), self.outward.weight):
            nn.init.xavier_uniform_(weight)
        for bias in (self.inward.bias, self.outward.bias):
            if bias is not None:
                nn.init.zeros_(bias)

    def split(self, x_BTD: Tensor, start: int | Tensor = 0) -> tuple[Tensor, Tensor, Tensor]:
        """x_BTD -> q_BTHE, k_BTGE, v_BTGE. `start` is the first position: one, or one a row."""
        heads = self.inward(x_BTD).unflatten(-1, (-1, self.features))
        H, G = self.num_heads, self.num_groups
        # `split` and not slices: its backward is one concatenation
        if self.rotary_base is None:
            q_BTHE, k_BTGE, v_BTGE = heads.split((H, G, G), dim=2)
            return q_BTHE, k_BTGE, v_BTGE
        qk, v_BTGE = heads.split((H + G, G), dim=2)
        turn = rotation(start, x_BTD.shape[1], self.features, self.rotary_base, qk.dtype, qk.device)
        q_BTHE, k_BTGE = rotate(qk, turn).split((H, G), dim=2)
        return q_BTHE, k_BTGE, v_BTGE

    def merge(self, y_BTHE: Tensor) -> Tensor:
        """y_BTHE -> out_BTD."""
        return self.outward(y_BTHE.flatten(2))

    def flops(self, length: int) -> int:
        """Of the four projections over `length` positions."""
        width = self._sizes[0]
        return 2 * length * width * (sum(self._sizes) + width)

    def pair_flops(self, pairs: int) -> int:
        """Of scoring and averaging `pairs` of positions in every head."""
        return pairs * 4 * self.num_heads * self.features

    def cache_bytes(self, slots: int) -> int:
        """Of keys and values for `slots` positions of one sequence."""
        return 2 * self.num_groups * slots * self.features * self.inward.weight.element_size()


def slot_values(k_BGCE: Tensor) -> Tensor:
    """Values [B, G, C, C] whose weighted means are the weights themselves: a one at c for c."""
    B, G, C, _ = k_BGCE.shape
    return torch.eye(C, dtype=k_BGCE.dtype, device=k_BGCE.device).expand(B, G, C, C)


def next_position(cache: KeyValueCache | None) -> int | Tensor:
    """Where the next call starts: one position, or [B] where padding made rows differ."""
    if cache is None:
        return 0
    return cache.length if cache.lengths_B is None else cache.lengths_B


def empty_cache(projections: HeadProjections, batch_size: int, max_length: int) -> KeyValueCache:
    """Room for `max_length` positions, on the parameters' device and in their dtype."""
    size = (batch_size, projections.num_groups, max_length, projections.features)
    weight = projections.inward.weight
    return KeyValueCache(weight.new_zeros(size), weight.new_zeros(size), 0)


def shortened(cache: Any, count: int) -> Any:
    """A cache like `KeyValueCache` without each row's last `count` positions; their slots are free
    again."""
    lengths_B = None if cache.lengths_B is None else cache.lengths_B - count
    return cache._replace(length=cache.length - count, lengths_B=lengths_B)


def filled(cache: KeyValueCache) -> tuple[Tensor, Tensor]:
    """The slots in use."""
    if cache.k_BGCE.shape[2] == cache.length:
        return cache.k_BGCE, cache.v_BGCE
    return cache.k_BGCE[:, :, : cache.length], cache.v_BGCE[:, :, : cache.length]


def extend_cache(
    cache: KeyValueCache | None, k_BGTE: Tensor, v_BGTE: Tensor, lengths_B: Tensor | None
) -> KeyValueCache:
    """The cache with the T positions of a call behind it; row b has `lengths_B[b]` real ones.

    With gradients off, `cache` itself is written (and doubled when full); with gradients on, a
    new one as long as needed is made. No cache: keys and values are kept as they are.
    """
    T = k_BGTE.shape[2]
    if cache is None:
        return KeyValueCache(k_BGTE, v_BGTE, T, lengths_B)
    used, starts_B = cache.length, cache.lengths_B
    k_BGCE = written(cache.k_BGCE, k_BGTE, used, starts_B)
    v_BGCE = written(cache.v_BGCE, v_BGTE, used, starts_B)
    return KeyValueCache(k_BGCE, v_BGCE, used + T, longer(used, starts_B, T, lengths_B))


def longer(
    used: int, starts_B: Tensor | None, length: int, lengths_B: Tensor | None
) -> Tensor | None:
    """Each row's positions after a call of `length`, of which `lengths_B` are real; None: all
    rows have used + length."""
    if starts_B is not None:
        return starts_B + (length if lengths_B is None else lengths_B)
    return None if lengths_B is None else used + lengths_B


def written(old_BGCE: Tensor, new_BGTE: Tensor, used: int, starts_B: Tensor | None) -> Tensor:
    """New slots behind the `used` ones, or behind each row's own `starts_B`; in place where
    gradients are off."""
    T, capacity = new_BGTE.shape[2], old_BGCE.shape[2]
    if torch.is_grad_enabled():
        kept_BGCE = old_BGCE[:, :, :used]
        if starts_B is None:
            return torch.cat((kept_BGCE, new_BGTE), dim=2)
        return _scattered(F.pad(kept_BGCE, (0, 0, 0, T)), new_BGTE, starts_B, in_place=False)
    if used + T > capacity:
        # zeros, since padding queries look at slots of other rows' positions
        grown = old_BGCE.new_zeros(
            *old_BGCE.shape[:2], max(2 * capacity, used + T), old_BGCE.shape[3]
        )
        grown[:, :, :used] = old_BGCE[:, :, :used]
        old_BGCE = grown
    if starts_B is not None:
        return _scattered(old_BGCE, new_BGTE, starts_B, in_place=True)
    old_BGCE[:, :, used : used + T] = new_BGTE
    return old_BGCE


def _scattered(old_BGCE: Tensor, new_BGTE: Tensor, starts_B: Tensor, in_place: bool) -> Tensor:
    step_T = torch.arange(new_BGTE.shape[2], device=new_BGTE.device)
    index_BGTE = (starts_B[:, None] + step_T)[:, None, :, None].expand_as(new_BGTE)
    scatter = old_BGCE.scatter_ if in_place else old_BGCE.scatter
    return scatter(2, index_BGTE, new_BGTE.to(old_BGCE.dtype))
