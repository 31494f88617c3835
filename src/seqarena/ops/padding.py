"""Padding solved once: any mask becomes right padding, and comes back.

A mixer only has to handle rows whose real positions come first. `left_align` moves them there
(a stable partition of each row), `restore` moves the results back and writes zeros at the padding.
Left padding, right padding and holes are therefore the same case.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from seqarena.core.shapes import lengths_to_mask


class Aligned(NamedTuple):
    """Rows with their real positions first."""

    x_BTD: Tensor
    lengths_B: Tensor  # int64, real positions of each row
    order_BT: Tensor  # order_BT[b, i]: where aligned position i was before


def left_align(x_BTD: Tensor, mask_BT: Tensor) -> Aligned:
    """Moves the real positions of each row (mask True) to its front, in order.

    Padding content is replaced by zeros, so that what was there cannot matter.
    """
    order_BT = real_first(mask_BT)
    lengths_B = mask_BT.sum(dim=1)
    aligned_BTD = x_BTD.gather(1, order_BT[..., None].expand_as(x_BTD))
    real_BT = lengths_to_mask(lengths_B, x_BTD.shape[1])
    return Aligned(aligned_BTD.masked_fill(~real_BT[..., None], 0.0), lengths_B, order_BT)


def real_first(mask_BT: Tensor) -> Tensor:
    """order_BT[b, i]: where the i-th position of row b was before the real ones came first."""
    return torch.argsort(mask_BT.logical_not().to(torch.uint8), dim=1, stable=True)


def restore(y_BTD: Tensor, aligned: Aligned) -> Tensor:
    """The inverse of `left_align`; padding positions become zero."""
    real_BT = lengths_to_mask(aligned.lengths_B, y_BTD.shape[1])
    y_BTD = y_BTD.masked_fill(~real_BT[..., None], 0.0)
    index_BTD = aligned.order_BT[..., None].expand_as(y_BTD)
    return torch.zeros_like(y_BTD).scatter(1, index_BTD, y_BTD)


def take_last(x_BTD: Tensor, lengths_B: Tensor | None, count: int) -> Tensor:
    """The last `count` real positions of right-padded rows: [B, count, ...]. Needs T >= count.

    Rows with fewer than `count` real positions must be preceded by their history in x_BTD, so
    callers pass the history and the new part together and count both in `lengths_B`.
    """
    if count == 0:
        return x_BTD[:, :0]
    if lengths_B is None:
        return x_BTD[:, x_BTD.shape[1] - count :]
    steps_W = torch.arange(count, device=x_BTD.device)
    index_BW = lengths_B[:, None] - count + steps_W
    index = index_BW.reshape(*index_BW.shape, *[1] * (x_BTD.dim() - 2))
    return x_BTD.gather(1, index.expand(-1, -1, *x_BTD.shape[2:]))


def reverse(x_BTD: Tensor, lengths_B: Tensor | None) -> Tensor:
    """Each row's real positions in reverse order; right padding stays where it is."""
    if lengths_B is None:
        return x_BTD.flip(1)
    steps_T = torch.arange(x_BTD.shape[1], device=x_BTD.device)
    index_BT = torch.where(
        steps_T < lengths_B[:, None], lengths_B[:, None] - 1 - steps_T, steps_T[None, :]
    )
    return x_BTD.gather(1, index_BT[..., None].expand_as(x_BTD))


def real_positions(x_BT: Tensor, mask_BT: Tensor | None) -> Tensor:
    """The number of each position among the real ones of its row: [T], or [B, T] with a mask.
    Padding repeats the number of the real position before it."""
    if mask_BT is None:
        return torch.arange(x_BT.shape[1], device=x_BT.device)
    return (mask_BT.cumsum(dim=1) - 1).clamp(min=0)
