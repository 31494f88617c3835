"""The walk along time in one call of a kernel that numba compiles (`ops/kernels`)."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqarena.ops import recurrent
from seqarena.ops.recurrent import compiled_cells as cells
from seqarena.ops.recurrent.elman import ElmanWeights, Nonlinearity, elman
from seqarena.ops.recurrent.elman.stepwise import stepwise


@elman.algorithm("compiled", devices=("cpu",), needs="numba", serial_steps=lambda length: length)
def compiled(
    x_BTD: Tensor, start_BE: Tensor, weights: ElmanWeights, nonlinearity: Nonlinearity
) -> Tensor:
    """Every h_t. A recorded graph and a single decoded position are those of `stepwise`."""
    if cells.runs_stepwise(x_BTD):
        return stepwise(x_BTD, start_BE, weights, nonlinearity)
    return cells.apply(_Elman, weights.input_ED, x_BTD, start_BE, *weights, nonlinearity == "tanh")


class _Elman(torch.autograd.Function):
    """(x_BTD, start_BE, weights, whether f is tanh, product dtype) -> h_BTE."""

    @staticmethod
    def forward(
        ctx: Any,
        x_BTD: Tensor,
        start_BE: Tensor,
        input_ED: Tensor,
        recurrent_EE: Tensor,
        bias_E: Tensor,
        is_tanh: bool,
        dtype: torch.dtype,
    ) -> Tensor:
        from seqarena.ops.kernels.cells import elman_forward

        part_BTE = cells.input_part(x_BTD, input_ED.to(dtype), bias_E, start_BE)
        h_BTE = torch.empty_like(part_BTE)
        weight_EE = recurrent_EE.to(h_BTE.dtype)
        cells.over_sequences(
            elman_forward, h_BTE, part_BTE, start_BE, weight_EE.t(), is_tanh, h_BTE
        )
        ctx.is_tanh, ctx.dtype = is_tanh, dtype
        ctx.save_for_backward(x_BTD, start_BE, h_BTE, input_ED, recurrent_EE)
        return h_BTE

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh_BTE: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        from seqarena.ops.kernels.cells import elman_backward

        x_BTD, start_BE, h_BTE, input_ED, recurrent_EE = ctx.saved_tensors
        dtype, needs, weight = ctx.dtype, ctx.needs_input_grad, recurrent.weight_gradient
        d_BTE, dstart_BE = (
            torch.empty_like(h_BTE),
            torch.empty_like(start_BE, memory_format=torch.contiguous_format),
        )
        cells.over_sequences(
            elman_backward, h_BTE, recurrent_EE.to(h_BTE.dtype), ctx.is_tanh, h_BTE, dh_BTE,
            d_BTE, dstart_BE,
        )  # fmt: skip
        with recurrent.without_autocast(x_BTD):
            before_BTE = cells.states_before(h_BTE, start_BE)
            return (
                (d_BTE.to(dtype) @ input_ED.to(dtype)).to(x_BTD.dtype) if needs[0] else None,
                dstart_BE,
                weight(d_BTE, x_BTD, dtype).to(input_ED.dtype) if needs[2] else None,
                weight(d_BTE, before_BTE, dtype).to(recurrent_EE.dtype) if needs[3] else None,
                d_BTE.sum((0, 1)).to(input_ED.dtype) if needs[4] else None,
                None,
                None,
            )
