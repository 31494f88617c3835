"""BigBird's pattern: which blocks of slots a block of queries sees, in its causal form.

N blocks of queries   R random blocks a query block   L positions of a block
"""

import functools
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class BlockPattern(NamedTuple):
    """Block n sees its own past, the `num_window - 1` blocks before it, the first `num_global`
    blocks, and `num_random` of those between, each head its own. No block sees a later one."""

    size: int  # L
    num_window: int
    num_global: int
    num_random: int
    seed: int

    def random_blocks(self, num_heads: int, num_blocks: int, device: torch.device) -> Tensor:
        """[H, N, R], for the blocks from 0 on; -1 where there are fewer blocks to choose from.

        A row depends on the seed, the head and the block alone, so that a longer sequence has the
        same rows first.
        """
        room = 1 << max(0, num_blocks - 1).bit_length()  # few tables serve all lengths
        return torch.from_numpy(_table(self, num_heads, room)[:, :num_blocks]).to(device)

    def seen_blocks(self, block: int) -> tuple[int, int, int]:
        """How many whole earlier blocks a block sees: of its window, global, random."""
        window = min(block, self.num_window - 1)
        glob = min(block - window, self.num_global)
        return window, glob, min(block - window - glob, self.num_random)


@functools.lru_cache(maxsize=64)
def _table(pattern: BlockPattern, num_heads: int, num_blocks: int) -> np.ndarray:
    table_HNR = np.full((num_heads, num_blocks, pattern.num_random), -1)
    for head in range(num_heads):
        for block in range(num_blocks):
            window, glob, random = pattern.seen_blocks(block)
            if random:
                # RandomState and not a Generator: its numbers are the same in every numpy
                drawn = np.random.RandomState((pattern.seed, head, block))
                between = pattern.num_global + drawn.permutation(block - window - glob)
                table_HNR[head, block, :random] = between[:random]
    return table_HNR
