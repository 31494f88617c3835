"""One in-place multiply-add a position and no autograd graph: T steps, the least memory."""

from collections.abc import Iterable

import torch
from torch import Tensor

from seqarena.ops.diagonal import linear_recurrence
from seqarena.ops.diagonal.gradient import Passes, differentiable


@linear_recurrence.algorithm("fused", serial_steps=lambda length: length)
def fused(a_BTD: Tensor, b_BTD: Tensor, start_BD: Tensor) -> Tensor:
    """Every h_t."""
    return differentiable(a_BTD, b_BTD, start_BD, _PASSES)


def reversed_recurrence(a_BTD: Tensor, dh_BTD: Tensor) -> Tensor:
    """g_t = dh_t + a_{t+1} g_{t+1}, zero beyond the end; no graph is recorded by its callers."""
    g_BTD = torch.empty_like(dh_BTD, memory_format=torch.contiguous_format)
    last_BD = torch.zeros_like(dh_BTD[:, 0])
    # the last step meets a zero, so that any coefficient serves it
    a_steps = (last_BD, *reversed(a_BTD[:, 1:].unbind(1)))
    _advance(a_steps, reversed(dh_BTD.unbind(1)), reversed(g_BTD.unbind(1)), last_BD)
    return g_BTD


def _forward(a_BTD: Tensor, b_BTD: Tensor, start_BD: Tensor) -> Tensor:
    h_BTD = torch.empty_like(b_BTD, memory_format=torch.contiguous_format)
    _advance(a_BTD.unbind(1), b_BTD.unbind(1), h_BTD.unbind(1), start_BD)
    return h_BTD


def _advance(
    a_steps: Iterable[Tensor], b_steps: Iterable[Tensor], h_steps: Iterable[Tensor], h_BD: Tensor
) -> None:
    """Writes each step's state into the views `h_steps`."""
    for a_BD, b_BD, out_BD in zip(a_steps, b_steps, h_steps):
        h_BD = torch.addcmul(b_BD, a_BD, h_BD, out=out_BD)


_PASSES = Passes(_forward, reversed_recurrence)
