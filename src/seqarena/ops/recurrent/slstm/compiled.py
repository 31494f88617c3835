"""The walk along time in one call of a kernel that numba compiles (`ops/kernels`)."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqarena.ops import recurrent
from seqarena.ops.recurrent import compiled_cells as cells
from seqarena.ops.recurrent.slstm import SLSTMState, slstm
from seqarena.ops.recurrent.slstm.stepwise import stepwise


@slstm.algorithm("compiled", devices=("cpu",), needs="numba", serial_steps=lambda length: length)
def compiled(
    x_BTF: Tensor, start: SLSTMState, recurrent_HGP: Tensor, lengths_B: Tensor | None
) -> tuple[Tensor, SLSTMState]:
    """The outputs and the final state. A recorded graph and a single decoded position are those of
    `stepwise`."""
    if cells.runs_stepwise(x_BTF):
        return stepwise(x_BTF, start, recurrent_HGP, lengths_B)
    ends_B = lengths_B
    if ends_B is None:
        ends_B = torch.full((len(x_BTF),), x_BTF.shape[1], dtype=torch.long)
    h_BTE, *final = cells.apply(_SLSTM, recurrent_HGP, x_BTF, *start, recurrent_HGP, ends_B)
    if lengths_B is not None:
        begun_B1 = (lengths_B > 0)[:, None]
        final = [torch.where(begun_B1, leaf, old) for leaf, old in zip(final, start[1:])]
    return h_BTE, SLSTMState(recurrent.pick_last(h_BTE, start.h_BE, lengths_B), *final)


class _SLSTM(torch.autograd.Function):
    """(x_BTF, h_BE, c_BE, n_BE, m_BE, R, where rows end, product dtype) -> (h_BTE, c, n and m
    there)."""

    @staticmethod
    def forward(
        ctx: Any,
        x_BTF: Tensor,
        h_BE: Tensor,
        c_BE: Tensor,
        n_BE: Tensor,
        m_BE: Tensor,
        recurrent_HGP: Tensor,
        ends_B: Tensor,
        dtype: torch.dtype,
    ) -> tuple[Tensor, ...]:
        from seqarena.ops.kernels.slstm import forward

        weight_HGP = recurrent_HGP.to(c_BE.dtype)
        h_BTE = c_BE.new_empty(*x_BTF.shape[:2], c_BE.shape[1])
        c_BTE, n_BTE = torch.empty_like(h_BTE), torch.empty_like(h_BTE)
        gates_BT5E = c_BE.new_empty(*x_BTF.shape[:2], 5 * c_BE.shape[1])
        final = tuple(
            leaf.clone(memory_format=torch.contiguous_format) for leaf in (c_BE, n_BE, m_BE)
        )
        cells.over_sequences(
            forward, h_BTE, len(weight_HGP), x_BTF.to(c_BE.dtype), h_BE, c_BE, n_BE, m_BE,
            weight_HGP.transpose(1, 2), ends_B, h_BTE, c_BTE, n_BTE, gates_BT5E, *final,
        )  # fmt: skip
        ctx.set_materialize_grads(False)
        ctx.dtype, ctx.x_dtype = dtype, x_BTF.dtype
        ctx.save_for_backward(
            h_BE, c_BE, n_BE, recurrent_HGP, ends_B, h_BTE, c_BTE, n_BTE, gates_BT5E
        )
        return h_BTE, *final

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        from seqarena.ops.kernels.slstm import backward

        h_BE, c_BE, n_BE, recurrent_HGP, ends_B, h_BTE, c_BTE, n_BTE, gates_BT5E = ctx.saved_tensors
        given = (
            torch.zeros_like(like) if gradient is None else gradient
            for gradient, like in zip(gradients, (h_BTE, c_BE, c_BE, c_BE))
        )  # fmt: skip
        heads, rows, width = recurrent_HGP.shape
        d_BTHG = h_BTE.new_empty(*h_BTE.shape[:2], heads, rows)
        dstart = [h_BTE.new_empty(h_BE.shape) for _ in range(4)]
        cells.over_sequences(
            backward, h_BTE, heads, recurrent_HGP.to(h_BTE.dtype), c_BE, n_BE, ends_B, h_BTE,
            c_BTE, n_BTE, gates_BT5E, *given, d_BTHG, *dstart,
        )  # fmt: skip
        before_BTE = cells.states_before(h_BTE, h_BE)
        with recurrent.without_autocast(h_BTE):
            # head by head: one batched product would first copy all gradients transposed
            parts = zip(d_BTHG.unbind(2), before_BTE.unflatten(2, (heads, width)).unbind(2))
            dweight_HGP = torch.stack(
                [recurrent.weight_gradient(d_BTG, h_BTP, ctx.dtype) for d_BTG, h_BTP in parts]
            ).to(recurrent_HGP.dtype)
        dx_BTF = d_BTHG.unflatten(3, (4, width)).transpose(2, 3).flatten(2).to(ctx.x_dtype)
        return dx_BTF, *dstart, dweight_HGP, None, None
