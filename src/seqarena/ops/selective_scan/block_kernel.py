"""Blocks of positions and channels at once on a GPU, in Triton (ops/triton_kernels/
selective_scan.py): coefficients are made in the kernel, memory B T E N / 32, and the backward pass
recomputes the states; float32."""

from functools import partial

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqarena.ops.diagonal.block_kernel import serial_steps
from seqarena.ops.registry import TRITON
from seqarena.ops.selective_scan import selective_scan

BLOCK_LENGTH = 32  # the kernel's


@selective_scan.algorithm(
    "triton", **TRITON, serial_steps=partial(serial_steps, block=BLOCK_LENGTH)
)
def block_kernel(
    x_BTE: Tensor, step_BTE: Tensor, a_NE: Tensor, b_BTN: Tensor, c_BTN: Tensor, start_BNE: Tensor
) -> tuple[Tensor, Tensor]:
    """The outputs and the final state."""
    return _BlockScan.apply(x_BTE, step_BTE, a_NE, b_BTN, c_BTN, start_BNE)  # pyright: ignore[reportReturnType]


class _BlockScan(torch.autograd.Function):
    """(x, step, A, b, c, start) -> (y_BTE, state_BNE)."""

    @staticmethod
    def forward(
        ctx,
        x_BTE: Tensor,
        step_BTE: Tensor,
        a_NE: Tensor,
        b_BTN: Tensor,
        c_BTN: Tensor,
        start_BNE: Tensor,
    ) -> tuple[Tensor, Tensor]:
        from seqarena.ops.triton_kernels.selective_scan import outputs

        given = (x_BTE, step_BTE, a_NE, b_BTN.mT, c_BTN.mT, start_BNE)
        given = tuple(tensor.contiguous() for tensor in given)
        y_BTE, last_BNE, carries = outputs(*given)
        ctx.save_for_backward(*given, carries)
        return y_BTE, last_BNE

    @staticmethod
    @once_differentiable
    def backward(ctx, dy_BTE: Tensor, dlast_BNE: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        from seqarena.ops.triton_kernels.selective_scan import gradients

        dy_BTE, dlast_BNE = dy_BTE.contiguous(), dlast_BNE.contiguous()
        return gradients(*ctx.saved_tensors, dy_BTE=dy_BTE, dlast_BNE=dlast_BNE)
