"""The strided pattern by blocks of queries: work T * (2 stride + C / stride).

M blocks of history   N blocks of queries   r, j places in a block   n, m blocks
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from seqarena.ops.attention import strided_attention
from seqarena.ops.attention.shared import NEGATIVE_INFINITY, per_head, single_query


@strided_attention.algorithm("blocked", serial_steps=lambda length: 3)
def blocked(
    q_BHTE: Tensor, k_BGCE: Tensor, v_BGCE: Tensor, stride: int, starts_B: Tensor | None
) -> Tensor:
    """y_BHTE."""
    if q_BHTE.shape[2] == 1 and starts_B is None:
        k_BGCE, v_BGCE = _strided_slots(k_BGCE, stride), _strided_slots(v_BGCE, stride)
        return single_query(q_BHTE, k_BGCE, v_BGCE)
    return _strided_blocks(q_BHTE, k_BGCE, v_BGCE, stride, starts_B)


def _strided_slots(x_BGCE: Tensor, stride: int) -> Tensor:
    """What the last of C positions sees: the strided columns, then the last `stride` slots."""
    last = x_BGCE.shape[2] - 1
    if last < stride:
        return x_BGCE
    return torch.cat(
        (x_BGCE[:, :, last % stride : last : stride], x_BGCE[:, :, last - stride + 1 :]), dim=2
    )


def _strided_blocks(
    q_BHTE: Tensor, k_BGCE: Tensor, v_BGCE: Tensor, stride: int, starts_B: Tensor | None
) -> Tensor:
    """Blocks of `stride` queries, aligned to the first query of the call, whatever its position.

    A block's local keys are its own and the previous block. Its strided keys are, for the query
    at place r of the block, place r of every earlier block. One softmax runs over both.
    """
    T, C = q_BHTE.shape[2], k_BGCE.shape[2]
    rows = min(T, stride)  # queries of a block; fewer than a stride of them make a single block
    N = -(-T // rows)
    M = max(1, -(-(C - T) // stride))  # blocks of history
    before, after = M * stride, N * rows - T
    device = q_BHTE.device

    def blocks(x_BGCE: Tensor) -> tuple[Tensor, Tensor]:
        """Local [B, H, N, stride + rows, E] and strided [B, H, rows, M + N, E]."""
        x = per_head(_aligned_slots(x_BGCE, T, before, starts_B), q_BHTE)
        x = F.pad(x, (0, 0, 0, after))
        past = x[:, :, :before].unflatten(2, (M, stride))
        own = x[:, :, before:].unflatten(2, (N, rows))
        previous = torch.cat((past[:, :, -1:], own[:, :, :-1]), dim=2) if N > 1 else past[:, :, -1:]
        local = torch.cat((previous, own), dim=3)
        columns = torch.cat((past[:, :, :, :rows], own), dim=2).transpose(2, 3)
        return local, columns

    k_local, k_columns = blocks(k_BGCE)
    v_local, v_columns = blocks(v_BGCE)
    q_blocks = F.pad(q_BHTE, (0, 0, 0, after)).unflatten(2, (N, rows)) / math.sqrt(q_BHTE.shape[-1])
    local = q_blocks @ k_local.transpose(-1, -2)
    columns = (q_blocks.transpose(2, 3) @ k_columns.transpose(-1, -2)).transpose(2, 3)

    starts = C - T if starts_B is None else starts_B[:, None, None, None, None]
    n, r = torch.arange(N, device=device)[:, None, None], torch.arange(rows, device=device)[:, None]
    j = torch.arange(stride + rows, device=device) - stride
    m = torch.arange(M + N, device=device) - M
    seen_local = (r >= j) & (r - j < stride) & (n * stride + j >= -starts)
    seen_columns = (m < n) & (m * stride + r >= -starts)
    score = torch.cat(
        (
            local.masked_fill(~seen_local, NEGATIVE_INFINITY),
            columns.masked_fill(~seen_columns, NEGATIVE_INFINITY),
        ),
        dim=-1,
    )
    weight_local, weight_columns = score.softmax(dim=-1).split((stride + rows, M + N), dim=-1)
    y = weight_local @ v_local + (weight_columns.transpose(2, 3) @ v_columns).transpose(2, 3)
    return y.flatten(2, 3)[:, :, :T]


def _aligned_slots(x_BGCE: Tensor, length: int, before: int, starts_B: Tensor | None) -> Tensor:
    """Slots from `before` positions ahead of each row's first query to its last query."""
    C = x_BGCE.shape[2]
    if starts_B is None:
        return F.pad(x_BGCE, (0, 0, before - (C - length), 0))
    offset = torch.arange(-before, length, device=x_BGCE.device)
    index = (starts_B[:, None] + offset).clamp(min=0)[:, None, :, None]
    return x_BGCE.gather(2, index.expand(-1, x_BGCE.shape[1], -1, x_BGCE.shape[3]))
