"""All taps and the activation in one kernel on a GPU, in Triton (ops/triton_kernels/
short_convolution.py). It reads x and writes y in their own dtype and sums in float32; the backward
pass computes what stands before the activation again."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqarena.ops.registry import TRITON
from seqarena.ops.short_convolution import short_convolution


@short_convolution.algorithm("triton", **TRITON, serial_steps=lambda length, taps: taps)
def block_kernel(
    x_BPC: Tensor, weight_CK: Tensor, bias_C: Tensor | None, activation: str
) -> Tensor:
    """y_BTC."""
    return _ShortConvolution.apply(x_BPC, weight_CK, bias_C, activation)  # pyright: ignore[reportReturnType]


class _ShortConvolution(torch.autograd.Function):
    """(x_BPC, weight_CK, bias_C, activation) -> y_BTC."""

    @staticmethod
    def forward(
        ctx, x_BPC: Tensor, weight_CK: Tensor, bias_C: Tensor | None, activation: str
    ) -> Tensor:
        from seqarena.ops.triton_kernels.short_convolution import convolved

        ctx.save_for_backward(x_BPC, weight_CK, bias_C)
        ctx.activation = activation
        return convolved(x_BPC, weight_CK, bias_C, activation)

    @staticmethod
    @once_differentiable
    def backward(ctx, dy_BTC: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        from seqarena.ops.triton_kernels.short_convolution import gradients

        x_BPC, weight_CK, bias_C = ctx.saved_tensors
        return *gradients(x_BPC, weight_CK, bias_C, ctx.activation, dy_BTC), None
