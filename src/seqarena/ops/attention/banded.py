"""A window by blocks of W queries against two blocks of keys: work T * 2W. N blocks."""

import torch
import torch.nn.functional as F
from torch import Tensor

from seqarena.ops.attention import window_attention
from seqarena.ops.attention.reference import seen_in_window
from seqarena.ops.attention.shared import real_slots, sdpa, single_query


@window_attention.algorithm("banded", serial_steps=lambda length: 3)
def banded(
    q_BTHE: Tensor, k_BCGE: Tensor, v_BCGE: Tensor, window: int, empty: int | Tensor
) -> Tensor:
    """y_BTHE."""
    T = q_BTHE.shape[1]
    if window < T:
        return _banded(q_BTHE, k_BCGE, v_BCGE, window, empty)
    q_BHTE, k_BGCE, v_BGCE = (x.transpose(1, 2) for x in (q_BTHE, k_BCGE, v_BCGE))
    if T == 1 and isinstance(empty, int):
        return single_query(q_BHTE, k_BGCE[:, :, empty:], v_BGCE[:, :, empty:]).transpose(1, 2)
    seen = seen_in_window(T, k_BGCE.shape[2], window, empty, q_BHTE.device)
    return sdpa(q_BHTE, k_BGCE, v_BGCE, seen).transpose(1, 2)


def _banded(
    q_BTHE: Tensor, k_BCGE: Tensor, v_BCGE: Tensor, window: int, empty: int | Tensor
) -> Tensor:
    """Query block n of W positions against key blocks n and n + 1 (shifted by one slot)."""
    B, T, H, _ = q_BTHE.shape
    N = -(-T // window)
    q_NWHE = F.pad(q_BTHE, (0, 0, 0, 0, 0, N * window - T)).reshape(B * N, window, H, -1)

    def pairs(x_BCGE: Tensor) -> Tensor:
        # one slot in front makes the history a whole block of W
        x_BCGE = F.pad(x_BCGE, (0, 0, 0, 0, 1, N * window - T))
        blocks = x_BCGE.unflatten(1, (N + 1, window))
        return torch.cat((blocks[:, :-1], blocks[:, 1:]), dim=2).flatten(0, 1)

    i_W1 = torch.arange(window, device=q_BTHE.device)[:, None]
    j = torch.arange(2 * window, device=q_BTHE.device)
    distance = window + i_W1 - j
    seen = (distance >= 0) & (distance < window)
    if not (isinstance(empty, int) and empty == 0):
        slot = j - 1 + window * torch.arange(N, device=q_BTHE.device)[:, None, None]
        seen = seen & real_slots(slot, empty)  # [N, W, 2W] or [B, N, W, 2W]
        seen = seen.expand(B, N, window, 2 * window).reshape(B * N, 1, window, 2 * window)
    k_NUGE, v_NUGE = pairs(k_BCGE), pairs(v_BCGE)
    y = sdpa(q_NWHE.transpose(1, 2), k_NUGE.transpose(1, 2), v_NUGE.transpose(1, 2), seen)
    return y.transpose(1, 2).reshape(B, N * window, H, -1)[:, :T]
