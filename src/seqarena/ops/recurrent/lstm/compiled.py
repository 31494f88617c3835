"""The walk along time in one call of a kernel that numba compiles (`ops/kernels`)."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqarena.ops import recurrent
from seqarena.ops.recurrent import compiled_cells as cells
from seqarena.ops.recurrent.lstm import LSTMState, LSTMWeights, lstm
from seqarena.ops.recurrent.lstm.fused import fused


@lstm.algorithm("compiled", devices=("cpu",), needs="numba", serial_steps=lambda length: length)
def compiled(
    x_BTD: Tensor, start: LSTMState, weights: LSTMWeights, lengths_B: Tensor | None
) -> tuple[Tensor, LSTMState]:
    """The outputs and the final state. A recorded graph and a single decoded position are those of
    `fused`."""
    if cells.runs_stepwise(x_BTD):
        return fused(x_BTD, start, weights, lengths_B)
    ends_B = lengths_B
    if ends_B is None:
        ends_B = torch.full((len(x_BTD),), x_BTD.shape[1], dtype=torch.long)
    h_BTE, c_BE = cells.apply(_LSTM, weights.input_FD, x_BTD, *start, *weights[:3], ends_B)
    return h_BTE, LSTMState(recurrent.pick_last(h_BTE, start.h_BE, lengths_B), c_BE)


class _LSTM(torch.autograd.Function):
    """(x_BTD, h_BE, c_BE, weights, where rows end, product dtype) -> (h_BTE, cells at the ends)."""

    @staticmethod
    def forward(
        ctx: Any,
        x_BTD: Tensor,
        h_BE: Tensor,
        c_BE: Tensor,
        input_FD: Tensor,
        recurrent_FE: Tensor,
        bias_F: Tensor,
        ends_B: Tensor,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        from seqarena.ops.kernels.cells import lstm_forward

        part_BTF = cells.input_part(x_BTD, input_FD.to(dtype), bias_F, c_BE)
        h_BTE = c_BE.new_empty(*x_BTD.shape[:2], c_BE.shape[1])
        c_BTE, gates_BTF = torch.empty_like(h_BTE), torch.empty_like(part_BTF)
        cells.over_sequences(
            lstm_forward, h_BTE, part_BTF, h_BE, c_BE, recurrent_FE.to(h_BTE.dtype).t(), h_BTE,
            c_BTE, gates_BTF,
        )  # fmt: skip
        ctx.dtype = dtype
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(
            x_BTD, h_BE, c_BE, gates_BTF, h_BTE, c_BTE, input_FD, recurrent_FE, ends_B
        )
        return h_BTE, recurrent.pick_last(c_BTE, c_BE, ends_B)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh_BTE: Tensor | None, dc_BE: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        from seqarena.ops.kernels.cells import lstm_backward

        x_BTD, h_BE, c_BE, gates_BTF, h_BTE, c_BTE, input_FD, recurrent_FE, ends_B = (
            ctx.saved_tensors
        )
        dtype, needs, weight = ctx.dtype, ctx.needs_input_grad, recurrent.weight_gradient
        dh_BTE = torch.zeros_like(h_BTE) if dh_BTE is None else dh_BTE
        dc_BE = torch.zeros_like(c_BE) if dc_BE is None else dc_BE
        d_BTF = torch.empty_like(gates_BTF)
        dstart_BE, dcell_BE = h_BTE.new_empty(h_BE.shape), h_BTE.new_empty(h_BE.shape)
        cells.over_sequences(
            lstm_backward, h_BTE, recurrent_FE.to(h_BTE.dtype), c_BE, c_BTE, gates_BTF, dh_BTE,
            ends_B, dc_BE, d_BTF, dstart_BE, dcell_BE,
        )  # fmt: skip
        with recurrent.without_autocast(x_BTD):
            before_BTE = cells.states_before(h_BTE, h_BE)
            return (
                (d_BTF.to(dtype) @ input_FD.to(dtype)).to(x_BTD.dtype) if needs[0] else None,
                dstart_BE,
                dcell_BE,
                weight(d_BTF, x_BTD, dtype).to(input_FD.dtype) if needs[3] else None,
                weight(d_BTF, before_BTE, dtype).to(recurrent_FE.dtype) if needs[4] else None,
                d_BTF.sum((0, 1)).to(input_FD.dtype) if needs[5] else None,
                None,
                None,
            )
