"""BigBird's sparse attention: "Big Bird: Transformers for Longer Sequences", Zaheer et al. 2020.

    y_t = sum_c softmax_c(q_t . k_c / sqrt(E)) v_c      over c in A_t
    A_t = {c <= t : n - m < W, or m < G, or m is one of R random blocks}    n, m: blocks of t, c

The paper's three parts in blocks of L positions, made causal: no block sees a later one, and a
position none that is later in its block. The window is the block itself and the W - 1 before it
(the paper's three blocks lose the one ahead), the global blocks are the first ones (the last,
which the paper takes too, is not there yet), the random ones are drawn from those between, anew for
each block and head. They follow from the seed, so that training, decoding and a copy of the model
see the same. Any block may come back into sight, so the state is the whole cache.

    B batch   T time   D width   H heads   G groups   E features of a head   C cache slots

    paper     here
    b         block_size (L)
    w, g, r   window_blocks, global_blocks, random_blocks
"""

import math
from typing import ClassVar, Literal

from pydantic import Field
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
from seqarena.mixers.base import Complexity, Mixer, MixerConfig, Watched
from seqarena.ops.attention import BlockPattern, block_attention


class BigBirdConfig(MixerConfig):
    """`window_blocks` counts a position's own block. `seed` draws the random blocks."""

    block_size: int = Field(default=16, ge=1)
    window_blocks: int = Field(default=2, ge=2)
    global_blocks: int = Field(default=1, ge=0)
    random_blocks: int = Field(default=3, ge=0)
    seed: int = Field(default=0, ge=0, lt=1 << 32)
    num_heads: int = 4
    num_groups: int | None = None
    positions: Literal["none", "rotary"] = "rotary"
    rotary_base: float = 10_000.0
    bias: bool = False


class BigBird(Watched, Mixer):
    """Softmax attention over a window of blocks, the first blocks and random ones."""

    Config = BigBirdConfig
    rewinds = True
    operation = block_attention
    equation: ClassVar[str] = """\
y_t = sum_c softmax_c(q_t . k_c / sqrt(E)) v_c      over c in A_t
A_t = {c <= t : n - m < W, or m < G, or m is one of R random blocks}    n, m: blocks of t, c"""
    complexity = Complexity(
        work="T (W + G + R) L D + T D^2", serial_steps="1", path_length="T / (W L)", state="T D"
    )

    def __init__(self, width: int, config: BigBirdConfig) -> None:
        super().__init__(width, config)
        self.pattern = BlockPattern(
            config.block_size,
            config.window_blocks,
            config.global_blocks,
            config.random_blocks,
            config.seed,
        )
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

        def attend(values: Tensor, algorithm: str) -> Tensor:
            return block_attention(q_BHTE, k_BGCE, values, self.pattern, algorithm, starts_B)

        if self.watcher is not None:
            self.watcher(attend(slot_values(k_BGCE), "explicit"))
        y_BHTE = attend(v_BGCE, self.algorithm)
        return self.projections.merge(y_BHTE.transpose(1, 2)), cache

    def initial_state(self, batch_size: int, max_length: int = 0) -> KeyValueCache:
        return empty_cache(self.projections, batch_size, max_length)

    def rewound(self, state: KeyValueCache, count: int) -> KeyValueCache:
        return shortened(state, count)

    def flops(self, length: int) -> int:
        L, pairs = self.pattern.size, 0
        for start in range(0, length, L):
            queries = min(L, length - start)
            earlier = sum(self.pattern.seen_blocks(start // L)) * L
            pairs += queries * earlier + queries * (queries + 1) // 2
        return self.projections.flops(length) + self.projections.pair_flops(pairs)

    def state_bytes(self, length: int) -> int:
        return self.projections.cache_bytes(length)

    def serial_steps(self, length: int) -> int:
        # project, attend, project; rotating comes between
        return self.algorithm_steps(length) + (2 if self.projections.rotary_base is None else 3)

    def path_length(self, distance: int) -> int:
        # by windows, the longest way: random blocks shorten it where they happen to lie
        return -(-distance // (self.pattern.size * (self.pattern.num_window - 1)))

    def reach(self) -> float:
        return math.inf
