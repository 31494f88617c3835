"""Our own: in-place gate arithmetic, and a hand-written backward (`ops.recurrent`).

Peepholes cost the walk back nothing: they change the slopes that are taken beforehand.
"""

from typing import Any

import torch
from torch import Tensor

from seqarena.ops import recurrent
from seqarena.ops.recurrent.lstm import LSTMState, LSTMWeights, lstm, lstm_peephole
from seqarena.ops.recurrent.lstm.reference import loop


@lstm_peephole.algorithm("stepwise", serial_steps=lambda length: length)
@lstm.algorithm("stepwise", serial_steps=lambda length: length)
def stepwise(
    x_BTD: Tensor, start: LSTMState, weights: LSTMWeights, lengths_B: Tensor | None
) -> tuple[Tensor, LSTMState]:
    """The outputs and the final state."""
    if recurrent.is_decoding(x_BTD):
        return loop(x_BTD, start, weights, lengths_B)
    h_TBE, c_BE = recurrent.apply_stepwise(
        _StepwiseLSTM, weights.input_FD, x_BTD, *start, *weights, lengths_B
    )
    h_BTE = h_TBE.transpose(0, 1)
    if lengths_B is not None:
        c_BE = torch.where((lengths_B > 0)[:, None], c_BE, start.c_BE)
    return h_BTE, LSTMState(recurrent.pick_last(h_BTE, start.h_BE, lengths_B), c_BE)


class _StepwiseLSTM(torch.autograd.Function):
    """(x_TBD, h_BE, c_BE, weights, lengths_B, product dtype) -> (h_TBE, last cell c_BE)."""

    @staticmethod
    def forward(
        ctx: Any,
        x_TBD: Tensor,
        h_BE: Tensor,
        c_BE: Tensor,
        input_FD: Tensor,
        recurrent_FE: Tensor,
        bias_F: Tensor,
        peepholes_3E: Tensor | None,
        lengths_B: Tensor | None,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        gates_TBF = h_BE.new_empty(*x_TBD.shape[:2], len(bias_F))
        recurrent.project_inputs(x_TBD, input_FD.to(dtype), bias_F, gates_TBF)
        h_SBE, c_SBE = _walk(gates_TBF, h_BE, c_BE, recurrent_FE.to(dtype), peepholes_3E)
        ctx.set_materialize_grads(False)
        ctx.dtype = dtype
        ctx.save_for_backward(
            x_TBD, gates_TBF, h_SBE, c_SBE, input_FD, recurrent_FE, peepholes_3E, lengths_B
        )
        return h_SBE[1:], _cell_after(c_SBE, lengths_B)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        x_TBD, gates_TBF, h_SBE, c_SBE, input_FD, recurrent_FE, *rest = ctx.saved_tensors
        (peepholes_3E, lengths_B), (dh_TBE, dc_BE) = rest, gradients
        dtype, needs = ctx.dtype, ctx.needs_input_grad
        if dh_TBE is None:
            dh_TBE = torch.zeros_like(h_SBE[1:])
        with recurrent.without_autocast(x_TBD):
            weight_FE, slopes = recurrent_FE.to(dtype), _slopes(gates_TBF, c_SBE, peepholes_3E)
            d_TBF, dc_BE = _walk_back(*slopes, c_SBE, dh_TBE, dc_BE, lengths_B, weight_FE)
            dh_BE = torch.zeros_like(dc_BE)
            recurrent.add_product(dh_BE, d_TBF[0], weight_FE)
            weight = recurrent.weight_gradient
            return (
                (d_TBF.to(dtype) @ input_FD.to(dtype)).to(x_TBD.dtype) if needs[0] else None,
                dh_BE,
                dc_BE,
                weight(d_TBF, x_TBD, dtype).to(input_FD.dtype) if needs[3] else None,
                weight(d_TBF, h_SBE[:-1], dtype).to(recurrent_FE.dtype) if needs[4] else None,
                d_TBF.sum((0, 1)).to(input_FD.dtype) if needs[5] else None,
                _peephole_gradient(d_TBF, c_SBE).to(input_FD.dtype) if needs[6] else None,
                None,
                None,
            )


def _walk(
    gates_TBF: Tensor,
    h_BE: Tensor,
    c_BE: Tensor,
    recurrent_FE: Tensor,
    peepholes_3E: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Turns the inputs' part of the gates into gates, in place -> (h_SBE, c_SBE)."""
    length, batch_size, width = gates_TBF.shape[0], *h_BE.shape
    h_SBE = h_BE.new_empty(length + 1, *h_BE.shape)
    c_SBE = torch.empty_like(h_SBE)
    h_SBE[0], c_SBE[0] = h_BE, c_BE
    weight_EF, h, c = recurrent.laid_out(recurrent_FE, length), h_SBE.unbind(0), c_SBE.unbind(0)
    both_TBGE = gates_TBF.view(length, batch_size, 4, width)[:, :, :2]
    both = both_TBGE.unbind(0)
    i, f, g, o = (block.unbind(0) for block in gates_TBF.chunk(4, dim=2))
    if peepholes_3E is not None:
        peepholes_3E = peepholes_3E.to(c_BE.dtype)
    for t, gates_BF in enumerate(gates_TBF.unbind(0)):
        recurrent.add_product(gates_BF, h[t], weight_EF)
        if peepholes_3E is not None:
            both[t].addcmul_(c[t][:, None], peepholes_3E[:2])
        both[t].sigmoid_()
        g[t].tanh_()
        torch.mul(f[t], c[t], out=c[t + 1]).addcmul_(i[t], g[t])
        if peepholes_3E is not None:
            o[t].addcmul_(c[t + 1], peepholes_3E[2])
        o[t].sigmoid_()
        torch.tanh(c[t + 1], out=h[t + 1]).mul_(o[t])
    return h_SBE, c_SBE


def _walk_back(
    d_TBF: Tensor,
    carry_TBE: Tensor,
    keep_TBE: Tensor,
    c_SBE: Tensor,
    dh_TBE: Tensor,
    dc_last_BE: Tensor | None,
    lengths_B: Tensor | None,
    recurrent_FE: Tensor,
) -> tuple[Tensor, Tensor]:
    """Turns the slopes into gradients of the gates before their nonlinearity, in place -> these,
    and the gradient of the first cell."""
    length, batch_size, width = carry_TBE.shape
    dh_BE, dc_BE = torch.empty_like(c_SBE[0]), torch.zeros_like(c_SBE[0])
    late = None
    if dc_last_BE is not None and lengths_B is None:
        dc_BE.copy_(dc_last_BE)
    elif dc_last_BE is not None:
        late = _cell_before_end(dc_last_BE, lengths_B, length).unbind(0)
    d, dh, carry = d_TBF.unbind(0), dh_TBE.unbind(0), carry_TBE.unbind(0)
    ifg = d_TBF[..., : 3 * width].view(length, batch_size, 3, width).unbind(0)
    o, keep = d_TBF[..., 3 * width :].unbind(0), keep_TBE.unbind(0)
    for t in range(length - 1, -1, -1):
        dh_BE.copy_(dh[t])
        if t + 1 < length:
            recurrent.add_product(dh_BE, d[t + 1], recurrent_FE)
        dc_BE.addcmul_(dh_BE, carry[t])
        if late is not None:
            dc_BE.add_(late[t])
        ifg[t].mul_(dc_BE[:, None])
        o[t].mul_(dh_BE)
        dc_BE.mul_(keep[t])
    return d_TBF, dc_BE


def _slopes(
    gates_TBF: Tensor, c_SBE: Tensor, peepholes_3E: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Slope of c_t (i, f, g) and of h_t (o) in each gate's argument; slope of h_t in c_t; slope of
    c_t in c_{t-1}."""
    i, f, g, o = gates_TBF.chunk(4, dim=2)
    slopes_TBF = torch.empty_like(gates_TBF)
    slope_i, slope_f, slope_g, slope_o = slopes_TBF.chunk(4, dim=2)
    tanh_TBE = c_SBE[1:].tanh()
    # s (1 - s) = s - s^2 and 1 - g^2, written so that each is one pass over memory
    torch.addcmul(i, i, i, value=-1, out=slope_i).mul_(g)
    torch.addcmul(f, f, f, value=-1, out=slope_f).mul_(c_SBE[:-1])
    torch.mul(g, g, out=slope_g).neg_().add_(1).mul_(i)
    torch.addcmul(o, o, o, value=-1, out=slope_o).mul_(tanh_TBE)
    carry_TBE = tanh_TBE.square_().neg_().add_(1).mul_(o)
    if peepholes_3E is None:
        return slopes_TBF, carry_TBE, f
    p_i, p_f, p_o = peepholes_3E.to(f.dtype)
    keep_TBE = torch.addcmul(f, slope_i, p_i).addcmul_(slope_f, p_f)
    return slopes_TBF, carry_TBE.addcmul_(slope_o, p_o), keep_TBE


def _peephole_gradient(d_TBF: Tensor, c_SBE: Tensor) -> Tensor:
    """Of i and f, which see the cell before, and of o, which sees the new one. [3, E]"""
    d_i, d_f, _, d_o = d_TBF.chunk(4, dim=2)
    seen = ((d_i, c_SBE[:-1]), (d_f, c_SBE[:-1]), (d_o, c_SBE[1:]))
    return torch.stack([(d_TBE * c_TBE).sum((0, 1)) for d_TBE, c_TBE in seen])


def _cell_after(c_SBE: Tensor, lengths_B: Tensor | None) -> Tensor:
    """The cell after each row's last real position, as memory of its own."""
    if lengths_B is None:
        return c_SBE[-1].clone()
    return c_SBE.gather(0, lengths_B[None, :, None].expand(1, -1, c_SBE.shape[2]))[0]


def _cell_before_end(dc_BE: Tensor, lengths_B: Tensor | None, length: int) -> Tensor:
    """Puts the gradient of a row's final cell at the position that made it. [T, B, E]"""
    assert lengths_B is not None
    late_SBE = dc_BE.new_zeros(length + 1, *dc_BE.shape)
    late_SBE.scatter_(0, lengths_B[None, :, None].expand(1, *dc_BE.shape), dc_BE[None])
    return late_SBE[1:]
