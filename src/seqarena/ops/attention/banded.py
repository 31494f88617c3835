"""A window by blocks of W queries against two blocks of keys: work T * 2W. N blocks."""

import torch
import torch.nn.functional as F
from torch import Tensor

from seqarena.ops.attention import window_attention
from seqarena.ops.attention.reference import explicit_window, seen_in_window
from seqarena.ops.attention.shared import (
    NEGATIVE_INFINITY,
    FirstSlots,
    joint_attention,
    masked_part,
    per_head,
    real_slots,
    scores,
    sdpa,
    single_query,
)


@window_attention.algorithm("banded", serial_steps=lambda length: 3)
def banded(
    q_BTHE: Tensor,
    k_BCGE: Tensor,
    v_BCGE: Tensor,
    window: int,
    empty: int | Tensor,
    first: FirstSlots | None,
    sinks_H: Tensor | None,
) -> Tensor:
    """y_BTHE."""
    T = q_BTHE.shape[1]
    if window < T:
        return _banded(q_BTHE, k_BCGE, v_BCGE, window, empty, first, sinks_H)
    if first is not None or sinks_H is not None:  # fewer queries than a block: nothing to leave out
        return explicit_window(q_BTHE, k_BCGE, v_BCGE, window, empty, first, sinks_H)
    q_BHTE, k_BGCE, v_BGCE = (x.transpose(1, 2) for x in (q_BTHE, k_BCGE, v_BCGE))
    if T == 1 and isinstance(empty, int):
        return single_query(q_BHTE, k_BGCE[:, :, empty:], v_BGCE[:, :, empty:]).transpose(1, 2)
    seen = seen_in_window(T, k_BGCE.shape[2], window, empty, q_BHTE.device)
    return sdpa(q_BHTE, k_BGCE, v_BGCE, seen).transpose(1, 2)


def _banded(
    q_BTHE: Tensor,
    k_BCGE: Tensor,
    v_BCGE: Tensor,
    window: int,
    empty: int | Tensor,
    first: FirstSlots | None,
    sinks_H: Tensor | None,
) -> Tensor:
    """Query block n of W positions against key blocks n and n + 1 (shifted by one slot)."""
    B, T, H, _ = q_BTHE.shape
    N = -(-T // window)

    def blocks(x_BTHE: Tensor) -> Tensor:
        x_BTHE = F.pad(x_BTHE, (0, 0, 0, 0, 0, N * window - T))
        return x_BTHE.reshape(B * N, window, H, -1).transpose(1, 2)

    def pairs(x_BCGE: Tensor) -> Tensor:
        # one slot in front makes the history a whole block of W
        x_BCGE = F.pad(x_BCGE, (0, 0, 0, 0, 1, N * window - T))
        halves = x_BCGE.unflatten(1, (N + 1, window))
        return torch.cat((halves[:, :-1], halves[:, 1:]), dim=2).flatten(0, 1).transpose(1, 2)

    i_W1 = torch.arange(window, device=q_BTHE.device)[:, None]
    j = torch.arange(2 * window, device=q_BTHE.device)
    distance = window + i_W1 - j
    seen = (distance >= 0) & (distance < window)
    if not (isinstance(empty, int) and empty == 0):
        slot = j - 1 + window * torch.arange(N, device=q_BTHE.device)[:, None, None]
        seen = seen & real_slots(slot, empty)  # [N, W, 2W] or [B, N, W, 2W]
        seen = seen.expand(B, N, window, 2 * window).reshape(B * N, 1, window, 2 * window)
    q_NHWE, k_NGUE, v_NGUE = blocks(q_BTHE), pairs(k_BCGE), pairs(v_BCGE)
    if first is None and sinks_H is None:
        y = sdpa(q_NHWE, k_NGUE, v_NGUE, seen)
    else:
        parts = [masked_part(q_NHWE, k_NGUE, v_NGUE, seen)]
        if first is not None:
            parts.append(_first_part(first, blocks(first.q_BTHE), B, window))
        y = joint_attention(parts, sinks_H)
    return y.transpose(1, 2).reshape(B, N * window, H, -1)[:, :T]


def _first_part(
    first: FirstSlots, q_NHWE: Tensor, batch_size: int, window: int
) -> tuple[Tensor, Tensor]:
    """Scores and values of the first slots for the blocks of queries of each row."""
    N = q_NHWE.shape[0] // batch_size
    q_BNHWE = q_NHWE.unflatten(0, (batch_size, N))

    def slots(x_BSGE: Tensor) -> Tensor:
        x_BHSE = per_head(x_BSGE.transpose(1, 2), q_NHWE)
        return x_BHSE[:, None].expand(-1, N, -1, -1, -1)

    seen = first.seen(N * window, window).unflatten(-2, (N, window))
    # [N, W, S] where all rows are alike, or [B, 1, N, W, S]
    seen = seen[:, None] if seen.dim() == 3 else seen.transpose(1, 2)
    score = scores(q_BNHWE, slots(first.k_BSGE)).masked_fill(~seen, NEGATIVE_INFINITY)
    return score.flatten(0, 1), slots(first.v_BSGE).flatten(0, 1)
