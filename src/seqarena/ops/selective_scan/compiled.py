"""The scan in one loop that numba compiles (`ops/kernels`) for each sequence and block of channels;
the way back recomputes states chunk by chunk: memory B T E N / 16."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqarena.ops.kernels.arrays import flat, is_traced, rows, unless_recorded
from seqarena.ops.kernels.sharing import share_out
from seqarena.ops.selective_scan import selective_scan
from seqarena.ops.selective_scan.chunked import chunked

_WORK = 20  # of one state's step, in numbers that are read and written (`share_out`)


@selective_scan.algorithm(
    "compiled", devices=("cpu",), needs="numba", serial_steps=lambda length: length
)
def compiled(
    x_BTE: Tensor, step_BTE: Tensor, a_NE: Tensor, b_BTN: Tensor, c_BTN: Tensor, start_BNE: Tensor
) -> tuple[Tensor, Tensor]:
    """The outputs and the final state. Where a graph is recorded, it gets the operations of
    `chunked`."""
    inputs = (x_BTE, step_BTE, a_NE, b_BTN, c_BTN, start_BNE)
    return chunked(*inputs) if is_traced(x_BTE) else _Scan.apply(*unless_recorded(*inputs))  # pyright: ignore[reportReturnType]


class _Scan(torch.autograd.Function):
    """(x_BTE, step_BTE, a_NE, b_BTN, c_BTN, start_BNE) -> (y_BTE, final state)."""

    @staticmethod
    def forward(
        ctx: Any,
        x_BTE: Tensor,
        step_BTE: Tensor,
        a_NE: Tensor,
        b_BTN: Tensor,
        c_BTN: Tensor,
        start_BNE: Tensor,
    ) -> tuple[Tensor, Tensor]:
        from seqarena.ops.kernels import selective_scan as kernels

        y_BTE = torch.empty_like(x_BTE, memory_format=torch.contiguous_format)
        h_BNE = torch.empty_like(start_BNE, memory_format=torch.contiguous_format)
        chunks = -(-x_BTE.shape[1] // kernels.CHUNK) if any(ctx.needs_input_grad) else 0
        starts_BCNE = x_BTE.new_empty(len(x_BTE), chunks, *a_NE.shape)
        inputs = (x_BTE, step_BTE, a_NE, b_BTN, c_BTN)
        _share_out(kernels.forward, inputs, *map(_array, (start_BNE, y_BTE, h_BNE, starts_BCNE)))
        ctx.save_for_backward(*inputs, starts_BCNE)
        return y_BTE, h_BNE

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_BTE: Tensor, dfinal_BNE: Tensor) -> tuple[Tensor, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        from seqarena.ops.kernels import selective_scan as kernels

        *inputs, starts_BCNE = ctx.saved_tensors
        x_BTE, _, a_NE, b_BTN, _ = inputs
        dx_BTE, dstep_BTE = (x_BTE.new_empty(x_BTE.shape) for _ in range(2))
        da_BNE, dstart_BNE = (x_BTE.new_empty(dfinal_BNE.shape) for _ in range(2))
        blocks = -(-a_NE.shape[1] // kernels.BLOCK)
        db_KBTN, dc_KBTN = (x_BTE.new_empty(blocks, *b_BTN.shape) for _ in range(2))
        outputs = (dx_BTE, dstep_BTE, da_BNE, db_KBTN, dc_KBTN, dstart_BNE)
        _share_out(
            kernels.backward, inputs,
            _array(starts_BCNE), *rows(dy_BTE), _array(dfinal_BNE), *map(_array, outputs),
        )  # fmt: skip
        return dx_BTE, dstep_BTE, da_BNE.sum(0), db_KBTN.sum(0), dc_KBTN.sum(0), dstart_BNE


def _array(x: Tensor) -> Any:
    return flat(x.contiguous())


def _share_out(kernel: Any, inputs: Any, *more: Any) -> None:
    from seqarena.ops.kernels.selective_scan import BLOCK

    x_BTE, step_BTE, a_NE, b_BTN, c_BTN = inputs
    sequences, length, width = x_BTE.shape
    share_out(
        kernel, sequences * -(-width // BLOCK), x_BTE.numel() * len(a_NE) * _WORK,
        length, width, len(a_NE), *rows(x_BTE), *rows(step_BTE), _array(a_NE), *rows(b_BTN),
        *rows(c_BTN), *more,
    )  # fmt: skip
