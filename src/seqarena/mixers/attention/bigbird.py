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

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from seqarena.mixers.attention.selective import SelectiveAttention, SelectiveAttentionConfig
from seqarena.mixers.base import Complexity
from seqarena.ops.attention import BlockPattern, block_attention


class BigBirdConfig(SelectiveAttentionConfig):
    """`window_blocks` counts a position's own block. `seed` draws the random blocks."""

    block_size: int = Field(default=16, ge=1)
    window_blocks: int = Field(default=2, ge=2)
    global_blocks: int = Field(default=1, ge=0)
    random_blocks: int = Field(default=3, ge=0)
    seed: int = Field(default=0, ge=0, lt=1 << 32)


class BigBird(SelectiveAttention):
    """Softmax attention over a window of blocks, the first blocks and random ones."""

    Config = BigBirdConfig
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

    def attend(
        self, q_BHTE: Tensor, k_BGCE: Tensor, v_BGCE: Tensor, algorithm: str, starts: Tensor | None
    ) -> Tensor:
        return block_attention(q_BHTE, k_BGCE, v_BGCE, self.pattern, algorithm, starts)

    def pairs(self, length: int) -> int:
        L, pairs = self.pattern.size, 0
        for start in range(0, length, L):
            queries = min(L, length - start)
            earlier = sum(self.pattern.seen_blocks(start // L)) * L
            pairs += queries * earlier + queries * (queries + 1) // 2
        return pairs

    def path_length(self, distance: int) -> int:
        # by windows, the longest way: random blocks shorten it where they happen to lie
        return -(-distance // (self.pattern.size * (self.pattern.num_window - 1)))
