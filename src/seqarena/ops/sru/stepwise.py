"""Three operations a step in place, and a backward that is a diagonal linear recurrence."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqarena.ops.diagonal.fused import reversed_recurrence
from seqarena.ops.sru import sru


@sru.algorithm("stepwise", serial_steps=lambda length: length)
def stepwise(u_BTE: Tensor, a_BTE: Tensor, v_E: Tensor, start_BE: Tensor) -> Tensor:
    """Every c_t."""
    return _Cell.apply(u_BTE, a_BTE, v_E, start_BE)  # pyright: ignore[reportReturnType]


class _Cell(torch.autograd.Function):
    """(u_BTE, a_BTE, v_E, start_BE) -> c_BTE."""

    @staticmethod
    def forward(ctx: Any, u_BTE: Tensor, a_BTE: Tensor, v_E: Tensor, start_BE: Tensor) -> Tensor:
        c_BTE = torch.empty_like(u_BTE, memory_format=torch.contiguous_format)
        f_BTE, c_BE = torch.empty_like(c_BTE), start_BE
        steps = (x_BTE.unbind(1) for x_BTE in (u_BTE, a_BTE, f_BTE, c_BTE))
        for u_BE, a_BE, f_BE, out_BE in zip(*steps):
            torch.addcmul(a_BE, v_E, c_BE, out=f_BE).sigmoid_()
            c_BE = torch.lerp(u_BE, c_BE, f_BE, out=out_BE)
        ctx.save_for_backward(u_BTE, v_E, f_BTE, c_BTE, start_BE)
        return c_BTE

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dc_BTE: Tensor) -> tuple[Tensor, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        u_BTE, v_E, f_BTE, c_BTE, start_BE = ctx.saved_tensors
        before_BTE = torch.cat((start_BE[:, None], c_BTE[:, :-1]), dim=1)
        # of the cell in the forget gate's argument
        slope_BTE = (before_BTE - u_BTE) * (f_BTE - f_BTE.square())
        decay_BTE = torch.addcmul(f_BTE, v_E, slope_BTE)
        g_BTE = reversed_recurrence(decay_BTE, dc_BTE)
        da_BTE = g_BTE * slope_BTE
        return (
            g_BTE - g_BTE * f_BTE,
            da_BTE,
            (da_BTE * before_BTE).sum((0, 1)),
            decay_BTE[:, 0] * g_BTE[:, 0],
        )
