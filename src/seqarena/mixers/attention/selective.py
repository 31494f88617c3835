"""Softmax attention over a chosen part of the past: what every such choice shares.

A subclass says which pairs of positions meet (`attend` and `pairs`). Any position may come back
into sight, so the state is the whole cache of keys and values.

    B batch   T time   D width   H heads   G groups   E features of a head   C cache slots
"""

import math
from abc import abstractmethod
from typing import Literal

from torch import Tensor

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
from seqarena.mixers.base import Mixer, MixerConfig, Watched


class SelectiveAttentionConfig(MixerConfig):
    """The heads and their positions."""

    num_heads: int = 4
    num_groups: int | None = None
    positions: Literal["none", "rotary"] = "rotary"
    rotary_base: float = 10_000.0
    bias: bool = False


class SelectiveAttention(Watched, Mixer):
    """Softmax attention over those earlier positions that a fixed pattern selects."""

    rewinds = True

    def __init__(self, width: int, config: SelectiveAttentionConfig) -> None:
        super().__init__(width, config)
        groups = config.num_heads if config.num_groups is None else config.num_groups
        rotary_base = config.rotary_base if config.positions == "rotary" else None
        self.projections = HeadProjections(
            width, config.num_heads, groups, config.bias, rotary_base
        )

    @abstractmethod
    def attend(
        self, q_BHTE: Tensor, k_BGCE: Tensor, v_BGCE: Tensor, algorithm: str, starts: Tensor | None
    ) -> Tensor:
        """The weighted means [B, H, T, E] of the values that the pattern selects. `starts` [B] are
        the positions before the call; None: it begins."""

    @abstractmethod
    def pairs(self, length: int) -> int:
        """Pairs of positions that meet in a sequence."""

    def mix(
        self, x_BTD: Tensor, state: KeyValueCache | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, KeyValueCache]:
        heads = self.projections.split(x_BTD, next_position(state))
        q_BHTE, k_BGTE, v_BGTE = (x.transpose(1, 2) for x in heads)
        cache = extend_cache(state, k_BGTE, v_BGTE, lengths_B)
        k_BGCE, v_BGCE = filled(cache)
        starts_B = None if state is None else state.lengths_B
        if self.watcher is not None:
            self.watcher(self.attend(q_BHTE, k_BGCE, slot_values(k_BGCE), "explicit", starts_B))
        y_BHTE = self.attend(q_BHTE, k_BGCE, v_BGCE, self.algorithm, starts_B)
        return self.projections.merge(y_BHTE.transpose(1, 2)), cache

    def initial_state(self, batch_size: int, max_length: int = 0) -> KeyValueCache:
        return empty_cache(self.projections, batch_size, max_length)

    def rewound(self, state: KeyValueCache, count: int) -> KeyValueCache:
        return shortened(state, count)

    def flops(self, length: int) -> int:
        return self.projections.flops(length) + self.projections.pair_flops(self.pairs(length))

    def state_bytes(self, length: int) -> int:
        return self.projections.cache_bytes(length)

    def serial_steps(self, length: int) -> int:
        # project, attend, project; rotating comes between
        return self.algorithm_steps(length) + (2 if self.projections.rotary_base is None else 3)

    def reach(self) -> float:
        return math.inf
