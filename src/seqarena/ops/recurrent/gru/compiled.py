"""The GRU that resets after the product: the walk along time in one call of a kernel that numba
compiles (`ops/kernels`)."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqarena.ops import recurrent
from seqarena.ops.recurrent import compiled_cells as cells
from seqarena.ops.recurrent.gru import GRUWeights, gru
from seqarena.ops.recurrent.gru.stepwise import stepwise


@gru.algorithm("compiled", devices=("cpu",), needs="numba", serial_steps=lambda length: length)
def compiled(x_BTD: Tensor, start_BE: Tensor, weights: GRUWeights) -> Tensor:
    """Every h_t. A recorded graph and a single decoded position are those of `stepwise`."""
    if cells.runs_stepwise(x_BTD):
        return stepwise(x_BTD, start_BE, weights)
    return cells.apply(_GRU, weights.input_FD, x_BTD, start_BE, *weights)


class _GRU(torch.autograd.Function):
    """(x_BTD, start_BE, weights, product dtype) -> h_BTE, reset after the product. The buffers of
    gates and of their gradients are [inner, r, z, n], as in `stepwise`."""

    @staticmethod
    def forward(
        ctx: Any,
        x_BTD: Tensor,
        start_BE: Tensor,
        input_FD: Tensor,
        recurrent_FE: Tensor,
        bias_F: Tensor,
        inner_bias_E: Tensor,
        dtype: torch.dtype,
    ) -> Tensor:
        from seqarena.ops.kernels.cells import gru_forward

        part_BTF = cells.input_part(x_BTD, input_FD.to(dtype), bias_F, start_BE)
        h_BTE = start_BE.new_empty(*x_BTD.shape[:2], start_BE.shape[1])
        needed = any(ctx.needs_input_grad)
        gates_BT4E = h_BTE.new_empty(*h_BTE.shape[:2], 4 * h_BTE.shape[2] if needed else 0)
        cells.over_sequences(
            gru_forward, h_BTE, part_BTF, start_BE, recurrent_FE.to(h_BTE.dtype).t(),
            inner_bias_E.to(h_BTE.dtype), h_BTE, gates_BT4E,
        )  # fmt: skip
        ctx.dtype = dtype
        ctx.save_for_backward(x_BTD, start_BE, gates_BT4E, h_BTE, input_FD, recurrent_FE)
        return h_BTE

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh_BTE: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        from seqarena.ops.kernels.cells import gru_backward

        x_BTD, start_BE, gates_BT4E, h_BTE, input_FD, recurrent_FE = ctx.saved_tensors
        dtype, needs, weight = ctx.dtype, ctx.needs_input_grad, recurrent.weight_gradient
        width = h_BTE.shape[2]
        d_BT4E = torch.empty_like(gates_BT4E)
        dstart_BE = torch.empty_like(start_BE, memory_format=torch.contiguous_format)
        inner_first_FE = recurrent_FE.to(h_BTE.dtype).roll(width, 0)
        cells.over_sequences(
            gru_backward, h_BTE, inner_first_FE, start_BE, h_BTE, gates_BT4E, dh_BTE, d_BT4E,
            dstart_BE,
        )  # fmt: skip
        d_BTF = d_BT4E[..., width:]
        with recurrent.without_autocast(x_BTD):
            before_BTE = cells.states_before(h_BTE, start_BE)
            du_FE = weight(d_BT4E[..., : 3 * width], before_BTE, dtype).roll(-width, 0)
            return (
                (d_BTF.to(dtype) @ input_FD.to(dtype)).to(x_BTD.dtype) if needs[0] else None,
                dstart_BE,
                weight(d_BTF, x_BTD, dtype).to(input_FD.dtype) if needs[2] else None,
                du_FE.to(recurrent_FE.dtype),
                d_BTF.sum((0, 1)).to(input_FD.dtype) if needs[4] else None,
                d_BT4E[..., :width].sum((0, 1)).to(input_FD.dtype) if needs[5] else None,
                None,
            )
