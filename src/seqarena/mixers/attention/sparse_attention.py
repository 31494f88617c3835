"""Strided sparse attention: "Generating Long Sequences with Sparse Transformers", Child 2019.

    y_t = sum_c softmax_c(q_t . k_c / sqrt(E)) v_c      over c in A_t
    A_t = {c <= t : t - c < L, or t - c a multiple of L}

The two parts of the paper's strided pattern (section 4.2) in every head ("merged heads", section
4.3): a local window of L positions and every L-th position before it. With L near sqrt(T) the
work grows as T sqrt(T), and two layers connect any two positions. A position that is out of sight
now comes back into sight every L steps, so the state is the whole cache.

    B batch   T time   D width   H heads   G groups   E features of a head   C cache slots

    paper     here
    l         stride
"""

import math
from typing import ClassVar, Literal

from torch import Tensor

from seqarena.core.errors import UserError
from seqarena.mixers.attention.attention import (
    HeadProjections,
    KeyValueCache,
    empty_cache,
    extend_cache,
    filled,
    next_position,
    shortened,
    slot_values,
)
from seqarena.mixers.base import Complexity, Mixer, MixerConfig, Watched
from seqarena.ops.attention import strided_attention


class SparseAttentionConfig(MixerConfig):
    """`stride` is both the local window and the distance between the columns seen before it."""

    stride: int = 16
    num_heads: int = 4
    num_groups: int | None = None
    positions: Literal["none", "rotary"] = "rotary"
    rotary_base: float = 10_000.0
    bias: bool = False


class SparseAttention(Watched, Mixer):
    """Softmax attention over a local window and every `stride`-th position before it."""

    Config = SparseAttentionConfig
    rewinds = True
    operation = strided_attention
    equation: ClassVar[str] = """\
y_t = sum_c softmax_c(q_t . k_c / sqrt(E)) v_c      over c in A_t
A_t = {c <= t : t - c < L, or t - c a multiple of L}"""
    complexity = Complexity(
        work="T (L + T / L) D + T D^2", serial_steps="1", path_length="2", state="T D"
    )

    def __init__(self, width: int, config: SparseAttentionConfig) -> None:
        super().__init__(width, config)
        if config.stride < 2:
            raise UserError(
                f"a stride of {config.stride} leaves nothing out: use at least 2, or attention"
            )
        self.stride = config.stride
        groups = config.num_heads if config.num_groups is None else config.num_groups
        rotary_base = config.rotary_base if config.positions == "rotary" else None
        self.projections = HeadProjections(
            width, config.num_heads, groups, config.bias, rotary_base
        )

    def mix(
        self, x_BTD: Tensor, state: KeyValueCache | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, KeyValueCache]:
        heads = self.projections.split(x_BTD, next_position(state))
        q_BHTE, k_BGTE, v_BGTE = (x.transpose(1, 2) for x in heads)
        cache = extend_cache(state, k_BGTE, v_BGTE, lengths_B)
        k_BGCE, v_BGCE = filled(cache)
        starts_B = None if state is None else state.lengths_B
        if self.watcher is not None:
            ones_BGCC = slot_values(k_BGCE)
            self.watcher(
                strided_attention(q_BHTE, k_BGCE, ones_BGCC, self.stride, "explicit", starts_B)
            )
        y_BHTE = strided_attention(q_BHTE, k_BGCE, v_BGCE, self.stride, self.algorithm, starts_B)
        return self.projections.merge(y_BHTE.transpose(1, 2)), cache

    def initial_state(self, batch_size: int, max_length: int = 0) -> KeyValueCache:
        return empty_cache(self.projections, batch_size, max_length)

    def rewound(self, state: KeyValueCache, count: int) -> KeyValueCache:
        return shortened(state, count)

    def flops(self, length: int) -> int:
        inside = min(length, self.stride)
        local = inside * (inside + 1) // 2 + (length - inside) * self.stride
        # position t sees t // stride columns: whole rounds of 0, 1, 2, ..., then the rest
        rounds, rest = divmod(length, self.stride)
        columns = self.stride * rounds * (rounds - 1) // 2 + rest * rounds
        return self.projections.flops(length) + self.projections.pair_flops(local + columns)

    def state_bytes(self, length: int) -> int:
        return self.projections.cache_bytes(length)

    def serial_steps(self, length: int) -> int:
        # project, attend, project; rotating comes between
        return self.algorithm_steps(length) + (2 if self.projections.rotary_base is None else 3)

    def path_length(self, distance: int) -> int:
        # any distance is a multiple of the stride and a local step
        return 1 if distance < self.stride or distance % self.stride == 0 else 2

    def reach(self) -> float:
        return math.inf
