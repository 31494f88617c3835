"""One in-place interpolation a position, gates and candidate differentiated by hand, so that few
tensors of the sequence's size are ever made."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqarena.ops.diagonal.fused import reversed_recurrence
from seqarena.ops.minimal import minimal_recurrence


@minimal_recurrence.algorithm("fused", serial_steps=lambda length: length)
def fused(gate_BTE: Tensor, value_BTE: Tensor, start_BE: Tensor | None, candidate: str) -> Tensor:
    """Every h_t."""
    start_BE = torch.zeros_like(value_BTE[:, 0]) if start_BE is None else start_BE
    return _Blend.apply(gate_BTE, value_BTE, start_BE, candidate)  # pyright: ignore[reportReturnType]


class _Blend(torch.autograd.Function):
    """Gates, candidate and recurrence at once. With g_t the gradient of h_t, from the end:

    g_t = dh_t + (1 - z_{t+1}) g_{t+1}
    dgate_t = g_t (c_t - h_{t-1}) z_t (1 - z_t),   dvalue_t = g_t z_t g'(value_t)
    """

    @staticmethod
    def forward(
        ctx, gate_BTE: Tensor, value_BTE: Tensor, start_BE: Tensor, candidate: str
    ) -> Tensor:
        z_BTE = torch.sigmoid(gate_BTE)
        c_BTE = value_BTE
        if candidate == "positive":
            # g is the larger of its two branches everywhere
            c_BTE = torch.sigmoid(value_BTE)
            torch.maximum(c_BTE, value_BTE + 0.5, out=c_BTE)
        h_BTE = torch.empty_like(value_BTE, memory_format=torch.contiguous_format)
        h_BE = start_BE
        for z_BE, c_BE, out_BE in zip(z_BTE.unbind(1), c_BTE.unbind(1), h_BTE.unbind(1)):
            h_BE = torch.lerp(h_BE, c_BE, z_BE, out=out_BE)
        ctx.candidate = candidate
        ctx.save_for_backward(z_BTE, c_BTE, h_BTE, start_BE)
        return h_BTE

    @staticmethod
    @once_differentiable
    def backward(ctx, dh_BTE: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        z_BTE, c_BTE, h_BTE, start_BE = ctx.saved_tensors
        a_BTE = 1 - z_BTE
        g_BTE = reversed_recurrence(a_BTE, dh_BTE)
        dstart_BE = a_BTE[:, 0] * g_BTE[:, 0]
        dgate_BTE = torch.empty_like(g_BTE)
        torch.sub(c_BTE[:, 1:], h_BTE[:, :-1], out=dgate_BTE[:, 1:])
        torch.sub(c_BTE[:, 0], start_BE, out=dgate_BTE[:, 0])
        dvalue_BTE = g_BTE.mul_(z_BTE)
        dgate_BTE.mul_(dvalue_BTE).mul_(a_BTE)
        if ctx.candidate == "positive":
            # c (1 - c) is 1/4 where the branches meet at c = 1/2; above, the slope is one
            slope_BTE = torch.addcmul(c_BTE, c_BTE, c_BTE, value=-1, out=a_BTE)
            dvalue_BTE.mul_(slope_BTE.masked_fill_(c_BTE >= 0.5, 1.0))
        return dgate_BTE, dvalue_BTE, dstart_BE, None
