"""Linear recurrences with a small matrix for each block of features, all positions at once.

    h_t = A_t h_{t-1} + b_t,   h_0 = 0

It is what one step of Newton's method solves (`newton.py`). Blocks of one number are the diagonal
recurrence (`ops.diagonal`); larger ones are solved by the same parallel prefix, whose products are
then products of matrices: 2 log2(T) dependent products, work 2 T N^3 a block.

Letters: B batch, T time, K blocks, N features of a block; S = K N features, the K first ones of
all blocks before the K second ones.
"""

import math

import torch
from torch import Tensor

from seqarena.ops.diagonal import linear_recurrence

_WRITTEN_OUT = 4  # up to this many features a broadcast sum is faster than a batched product


def prefix_steps(length: int) -> int:
    """The longest chain of dependent products."""
    return max(1, 2 * math.ceil(math.log2(length)))


def block_recurrence(a_BTKNN: Tensor, b_BTS: Tensor) -> Tensor:
    """Every h_t: [B, T, S]. Nothing is differentiated."""
    blocks, features = a_BTKNN.shape[2:4]
    if features == 1:
        return linear_recurrence(a_BTKNN[..., 0, 0], b_BTS, algorithm="scan")
    h_BTKN1 = b_BTS.unflatten(2, (features, blocks)).transpose(2, 3).unsqueeze(4).contiguous()
    _advance(a_BTKNN, h_BTKN1)
    return h_BTKN1.squeeze(4).transpose(2, 3).flatten(2)


def reversed_block_recurrence(a_BTKNN: Tensor, b_BTS: Tensor) -> Tensor:
    """g_t = b_t + A_{t+1}^T g_{t+1}, zero beyond the end: [B, T, S]."""
    # the last position meets a zero, so that any matrix serves it
    after_BTKNN = a_BTKNN.roll(-1, dims=1).flip(1).transpose(3, 4)
    return block_recurrence(after_BTKNN, b_BTS.flip(1)).flip(1)


def _advance(a_BTKNN: Tensor, h_BTKN1: Tensor) -> None:
    """Pairs of steps make one step of a recurrence half as long; its states are those at the odd
    positions, and one more step gives the even ones."""
    length = h_BTKN1.shape[1]
    if length == 1:
        return
    pairs = length // 2
    a_odd, h_odd = a_BTKNN[:, 1::2], h_BTKN1[:, 1::2]
    h_odd += _times(a_odd, h_BTKN1[:, 0 : 2 * pairs : 2])
    if pairs > 1:
        _advance(_times(a_odd, a_BTKNN[:, 0 : 2 * pairs : 2]), h_odd)
    h_BTKN1[:, 2::2] += _times(a_BTKNN[:, 2::2], h_odd[:, : (length - 1) // 2])


def _times(a: Tensor, b: Tensor) -> Tensor:
    """a @ b of the last two axes."""
    if a.shape[-1] <= _WRITTEN_OUT:
        return sum(
            (a[..., :, k : k + 1] * b[..., k : k + 1, :] for k in range(a.shape[-1])),
            start=torch.zeros((), dtype=a.dtype, device=a.device),
        )
    return a @ b
