"""The backward pass that the fast forms share, without an autograd graph over time.

With g_t the gradient of h_t, from the end:

    g_t = dh_t + conj(a_{t+1}) g_{t+1},   da_t = g_t conj(h_{t-1}),   db_t = g_t

It is the same recurrence, so each form gives both passes.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class Passes(NamedTuple):
    """A form without gradients of its own: `forward(a, b, start)` gives every h_t, and
    `backward(a, dh)` every g_t, zero beyond the end."""

    forward: Callable[[Tensor, Tensor, Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]


def in_place(advance: Callable[[Tensor, Tensor], None]) -> Passes:
    """The passes of a form that turns the inputs b (the start already added to the first) into
    the states, in place: `advance(a_BTD, h_BTD)`."""

    def forward(a_BTD: Tensor, b_BTD: Tensor, start_BD: Tensor) -> Tensor:
        h_BTD = b_BTD.clone(memory_format=torch.contiguous_format)
        h_BTD[:, 0].addcmul_(a_BTD[:, 0], start_BD)
        advance(a_BTD, h_BTD)
        return h_BTD

    def backward(a_BTD: Tensor, dh_BTD: Tensor) -> Tensor:
        g_BTD = dh_BTD.flip(1)
        advance(F.pad(a_BTD[:, 1:].flip(1), (0, 0) * (a_BTD.dim() - 2) + (1, 0)), g_BTD)
        return g_BTD.flip(1)

    return Passes(forward, backward)


def differentiable(a_BTD: Tensor, b_BTD: Tensor, start_BD: Tensor, passes: Passes) -> Tensor:
    """Every h_t by these passes, with gradients of first order."""
    return _Recurrence.apply(a_BTD, b_BTD, start_BD, passes)  # pyright: ignore[reportReturnType]


class _Recurrence(torch.autograd.Function):
    """(a_BTD, b_BTD, start_BD, passes) -> h_BTD."""

    @staticmethod
    def forward(ctx, a_BTD: Tensor, b_BTD: Tensor, start_BD: Tensor, passes: Passes) -> Tensor:
        h_BTD = passes.forward(a_BTD, b_BTD, start_BD)
        ctx.passes = passes
        ctx.save_for_backward(a_BTD, h_BTD, start_BD)
        return h_BTD

    @staticmethod
    @once_differentiable
    def backward(ctx, dh_BTD: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        a_BTD, h_BTD, start_BD = ctx.saved_tensors
        if a_BTD.is_complex():
            a_BTD, h_BTD, start_BD = (x.conj().resolve_conj() for x in (a_BTD, h_BTD, start_BD))
        g_BTD = ctx.passes.backward(a_BTD, dh_BTD)
        da_BTD = None
        if ctx.needs_input_grad[0]:
            da_BTD = torch.empty_like(g_BTD)
            torch.mul(g_BTD[:, 1:], h_BTD[:, :-1], out=da_BTD[:, 1:])
            torch.mul(g_BTD[:, 0], start_BD, out=da_BTD[:, 0])
        dstart_BD = a_BTD[:, 0] * g_BTD[:, 0] if ctx.needs_input_grad[2] else None
        return da_BTD, g_BTD, dstart_BD, None
