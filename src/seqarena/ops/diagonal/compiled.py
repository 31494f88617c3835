"""One loop that numba compiles (`ops/kernels`) for each sequence and block of features: every
number is read once and written once."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqarena.ops.diagonal import linear_recurrence
from seqarena.ops.diagonal.fused import fused
from seqarena.ops.kernels.arrays import FlatRows, flat, is_traced, rows
from seqarena.ops.kernels.sharing import share_out


@linear_recurrence.algorithm(
    "compiled", devices=("cpu",), needs="numba", serial_steps=lambda length: length
)
def compiled(a_BTD: Tensor, b_BTD: Tensor, start_BD: Tensor) -> Tensor:
    """Every h_t. Where a graph is recorded, it gets the operations of `fused`."""
    if is_traced(b_BTD):
        return fused(a_BTD, b_BTD, start_BD)
    return _Recurrence.apply(a_BTD, b_BTD, start_BD)  # pyright: ignore[reportReturnType]


class _Recurrence(torch.autograd.Function):
    """(a_BTD, b_BTD, start_BD) -> h_BTD."""

    @staticmethod
    def forward(ctx: Any, a_BTD: Tensor, b_BTD: Tensor, start_BD: Tensor) -> Tensor:
        from seqarena.ops.kernels import diagonal as kernels

        h_BTD = torch.empty_like(b_BTD, memory_format=torch.contiguous_format)
        kernel = kernels.forward_complex if h_BTD.is_complex() else kernels.forward
        length, width = _sizes(h_BTD)
        start = _rows(start_BD[:, None])
        share_out(
            kernel, _blocks(h_BTD, width, kernels.BLOCK), h_BTD.numel(),
            length, width, *_rows(a_BTD), *_rows(b_BTD), start.flat, start.batch, _flat(h_BTD),
        )  # fmt: skip
        ctx.save_for_backward(a_BTD, h_BTD, start_BD)
        return h_BTD

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh_BTD: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        from seqarena.ops.kernels import diagonal as kernels

        a_BTD, h_BTD, start_BD = ctx.saved_tensors
        g_BTD = torch.empty_like(h_BTD)
        da_BTD = torch.empty_like(h_BTD) if ctx.needs_input_grad[0] else h_BTD.new_empty(0)
        dstart_BD = h_BTD.new_empty(h_BTD[:, 0].shape)
        kernel = kernels.backward_complex if h_BTD.is_complex() else kernels.backward
        length, width = _sizes(h_BTD)
        start = _rows(start_BD[:, None])
        share_out(
            kernel, _blocks(h_BTD, width, kernels.BLOCK), h_BTD.numel(),
            length, width, *_rows(a_BTD), *_rows(dh_BTD), start.flat, start.batch,
            *map(_flat, (h_BTD, g_BTD, da_BTD, dstart_BD)),
        )  # fmt: skip
        return da_BTD if ctx.needs_input_grad[0] else None, g_BTD, dstart_BD


def _real(x: Tensor) -> Tensor:
    """A complex tensor as pairs of real numbers."""
    return torch.view_as_real(x.detach().resolve_conj()) if x.is_complex() else x


def _flat(x: Tensor) -> Any:
    return flat(_real(x))


def _rows(x_BTD: Tensor) -> FlatRows:
    """Any number of trailing axes as one."""
    x_BTD = _real(x_BTD)
    return rows(x_BTD.flatten(2) if x_BTD.dim() > 2 else x_BTD[..., None])


def _sizes(h_BTD: Tensor) -> tuple[int, int]:
    """Positions, and real numbers at each."""
    sequences, length = h_BTD.shape[:2]
    return length, h_BTD.numel() // max(1, sequences * length) * (2 if h_BTD.is_complex() else 1)


def _blocks(h_BTD: Tensor, width: int, block: int) -> int:
    return len(h_BTD) * -(-width // block)
