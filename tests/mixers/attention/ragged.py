"""Calls with different padding in each, continued: every row must equal its real tokens alone."""

from collections.abc import Sequence
from typing import Any

import torch

from seqarena.mixers.base import Mixer


def continues_ragged(
    mixer: Mixer, lengths: Sequence[int], *, start: Any = None, grad: bool = True
) -> None:
    """Calls of these lengths on three rows. The first three are padded, the second of them at its
    first position in all rows but one; the others are whole. Raises AssertionError where a row
    differs from itself alone."""
    generator = torch.Generator().manual_seed(4)
    calls = [
        torch.randn(3, length, mixer.width, generator=generator, dtype=torch.float64)
        for length in lengths
    ]
    masks = [torch.rand(3, x.shape[1], generator=generator) > 0.45 for x in calls]
    masks[1][:, 0] = torch.tensor([False, True, False])
    for mask_BT in masks[3:]:
        mask_BT[:] = True
    with torch.set_grad_enabled(grad):
        state, pieces = start, []
        for x_BTD, mask_BT in zip(calls, masks):
            y_BTD, state = mixer(x_BTD, state, mask_BT=None if mask_BT.all() else mask_BT)
            pieces.append(y_BTD)
    y_BTD, x_BTD, mask_BT = (torch.cat(parts, dim=1) for parts in (pieces, calls, masks))
    for b in range(3):
        alone = mixer(x_BTD[b : b + 1, mask_BT[b]])[0]
        torch.testing.assert_close(y_BTD[b, mask_BT[b]], alone[0], rtol=0, atol=1e-12)
