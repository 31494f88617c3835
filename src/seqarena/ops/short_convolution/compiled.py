"""All taps and the activation in one loop that numba compiles (`ops/kernels`) for each sequence and
block of channels; the way back computes what stands before the activation again."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqarena.ops.kernels.arrays import flat, is_traced, rows, unless_recorded
from seqarena.ops.kernels.sharing import share_out
from seqarena.ops.short_convolution import short_convolution
from seqarena.ops.short_convolution.reference import loop


@short_convolution.algorithm(
    "compiled", devices=("cpu",), dtypes=(torch.float32, torch.float64), needs="numba",
    serial_steps=lambda length, taps: taps,
)  # fmt: skip
def compiled(x_BPC: Tensor, weight_CK: Tensor, bias_C: Tensor | None, activation: str) -> Tensor:
    """y_BTC. A graph that is recorded gets the operations of `loop`, and so does a single position,
    for which they are quicker."""
    if is_traced(x_BPC) or x_BPC.shape[1] == weight_CK.shape[1]:
        return loop(x_BPC, weight_CK, bias_C, activation)
    dtype = torch.promote_types(x_BPC.dtype, weight_CK.dtype)
    bias_C = weight_CK.new_zeros(weight_CK.shape[0]) if bias_C is None else bias_C
    given = unless_recorded(x_BPC.to(dtype), weight_CK.to(dtype), bias_C.to(dtype))
    return _ShortConvolution.apply(*given, activation == "silu")  # pyright: ignore[reportReturnType]


class _ShortConvolution(torch.autograd.Function):
    """(x_BPC, weight_CK, bias_C, whether f is SiLU) -> y_BTC."""

    @staticmethod
    def forward(ctx: Any, x_BPC: Tensor, weight_CK: Tensor, bias_C: Tensor, silu: bool) -> Tensor:
        from seqarena.ops.kernels import short_convolution as kernels

        sequences, positions, width = x_BPC.shape
        y_BTC = x_BPC.new_empty(sequences, positions - weight_CK.shape[1] + 1, width)
        ctx.silu = silu
        ctx.save_for_backward(x_BPC, weight_CK, bias_C)
        _share_out(kernels.forward, x_BPC, weight_CK, bias_C, silu, flat(y_BTC))
        return y_BTC

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_BTC: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        from seqarena.ops.kernels import short_convolution as kernels

        x_BPC, weight_CK, bias_C = ctx.saved_tensors
        sequences, _, width = x_BPC.shape
        dx_BPC = torch.zeros_like(x_BPC, memory_format=torch.contiguous_format)
        dweight_BKC = x_BPC.new_zeros(sequences, weight_CK.shape[1], width)
        dbias_BC = x_BPC.new_zeros(sequences, width)
        _share_out(
            kernels.backward, x_BPC, weight_CK, bias_C, ctx.silu,
            *rows(dy_BTC), *map(flat, (dx_BPC, dweight_BKC, dbias_BC)),
        )  # fmt: skip
        return dx_BPC, dweight_BKC.sum(0).T, dbias_BC.sum(0), None


def _share_out(
    kernel: Any, x_BPC: Tensor, weight_CK: Tensor, bias_C: Tensor, silu: bool, *more: Any
) -> None:
    from seqarena.ops.kernels.short_convolution import BLOCK

    (sequences, positions, width), taps = x_BPC.shape, weight_CK.shape[1]
    share_out(
        kernel, sequences * -(-width // BLOCK), taps * x_BPC.numel(),
        positions - taps + 1, width, taps, *rows(x_BPC), flat(weight_CK.T.contiguous()),
        flat(bias_C.contiguous()), silu, *more,
    )  # fmt: skip
