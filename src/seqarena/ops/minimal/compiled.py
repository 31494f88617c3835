"""Gate, candidate and blend in one loop that numba compiles (`ops/kernels`) for each sequence and
block of channels; only the states are kept for the way back."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqarena.ops.kernels.arrays import flat, is_traced, rows
from seqarena.ops.kernels.sharing import share_out
from seqarena.ops.minimal import minimal_recurrence
from seqarena.ops.minimal.fused import fused


@minimal_recurrence.algorithm(
    "compiled", devices=("cpu",), needs="numba", serial_steps=lambda length: length
)
def compiled(
    gate_BTE: Tensor, value_BTE: Tensor, start_BE: Tensor | None, candidate: str
) -> Tensor:
    """Every h_t. Where a graph is recorded, it gets the operations of `fused`."""
    if is_traced(gate_BTE):
        return fused(gate_BTE, value_BTE, start_BE, candidate)
    start_BE = torch.zeros_like(value_BTE[:, 0]) if start_BE is None else start_BE
    return _Blend.apply(gate_BTE, value_BTE, start_BE, candidate == "positive")  # pyright: ignore[reportReturnType]


class _Blend(torch.autograd.Function):
    """(gate_BTE, value_BTE, start_BE, whether c is `positive`) -> h_BTE."""

    @staticmethod
    def forward(
        ctx: Any, gate_BTE: Tensor, value_BTE: Tensor, start_BE: Tensor, positive: bool
    ) -> Tensor:
        from seqarena.ops.kernels import minimal as kernels

        h_BTE = torch.empty_like(value_BTE, memory_format=torch.contiguous_format)
        ctx.positive = positive
        ctx.save_for_backward(gate_BTE, value_BTE, start_BE, h_BTE)
        _share_out(kernels.forward, gate_BTE, value_BTE, positive, start_BE, h_BTE)
        return h_BTE

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh_BTE: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        from seqarena.ops.kernels import minimal as kernels

        gate_BTE, value_BTE, start_BE, h_BTE = ctx.saved_tensors
        dgate_BTE, dvalue_BTE = torch.empty_like(h_BTE), torch.empty_like(h_BTE)
        dstart_BE = torch.empty_like(h_BTE[:, 0], memory_format=torch.contiguous_format)
        _share_out(
            kernels.backward, gate_BTE, value_BTE, ctx.positive, start_BE, h_BTE,
            *rows(dh_BTE), *map(flat, (dgate_BTE, dvalue_BTE, dstart_BE)),
        )  # fmt: skip
        return dgate_BTE, dvalue_BTE, dstart_BE, None


def _share_out(
    kernel: Any,
    gate_BTE: Tensor,
    value_BTE: Tensor,
    positive: bool,
    start_BE: Tensor,
    h_BTE: Tensor,
    *more: Any,
) -> None:
    from seqarena.ops.kernels.minimal import BLOCK

    sequences, length, width = h_BTE.shape
    start = rows(start_BE[:, None])
    share_out(
        kernel, sequences * -(-width // BLOCK), 4 * h_BTE.numel(),
        length, width, *rows(gate_BTE), *rows(value_BTE), positive, start.flat, start.batch,
        flat(h_BTE), *more,
    )  # fmt: skip
