"""Our own: in-place gate arithmetic, and a hand-written backward (`ops.recurrent`, and the head of
this folder for why the stabiliser costs the walk back nothing).

Buffers are time-major, then by head, so that a step is one batched product on contiguous memory:

    gates_THBG'   five blocks a head: f', i', f~, tanh z, sigmoid o; the products fill the last four
    cn_S2HBP      the cell and the normaliser, which have the same decay
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from seqarena.core.products import small_products
from seqarena.ops import recurrent
from seqarena.ops.diagonal.fused import reversed_recurrence
from seqarena.ops.recurrent.slstm import SLSTMState, slstm
from seqarena.ops.recurrent.slstm.reference import loop


@slstm.algorithm("stepwise", serial_steps=lambda length: length)
def stepwise(
    x_BTF: Tensor, start: SLSTMState, recurrent_HGP: Tensor, lengths_B: Tensor | None
) -> tuple[Tensor, SLSTMState]:
    """The outputs and the final state."""
    if recurrent.is_decoding(x_BTF):
        return loop(x_BTF, start, recurrent_HGP, lengths_B)
    h_TBE, *final = recurrent.apply_stepwise(
        _StepwiseSLSTM, recurrent_HGP, x_BTF, *start, recurrent_HGP, lengths_B
    )
    h_BTE = h_TBE.transpose(0, 1)
    if lengths_B is not None:
        begun_B1 = (lengths_B > 0)[:, None]
        final = [torch.where(begun_B1, leaf, old) for leaf, old in zip(final, start[1:])]
    return h_BTE, SLSTMState(recurrent.pick_last(h_BTE, start.h_BE, lengths_B), *final)


class _Late(NamedTuple):
    """What a loss on the final state itself adds on the way back: to each state's cell and
    normaliser, and through the stabiliser to each step's i and f and to the first m."""

    dcn_S2HBP: Tensor
    d_THB2P: Tensor
    dm_HBP: Tensor


class _StepwiseSLSTM(torch.autograd.Function):
    """(x_TBF, h_BE, c_BE, n_BE, m_BE, R, lengths_B, product dtype) -> (h_TBE, last c, n, m)."""

    @staticmethod
    def forward(
        ctx: Any,
        x_TBF: Tensor,
        h_BE: Tensor,
        c_BE: Tensor,
        n_BE: Tensor,
        m_BE: Tensor,
        recurrent_HGP: Tensor,
        lengths_B: Tensor | None,
        dtype: torch.dtype,
    ) -> tuple[Tensor, ...]:
        heads, width = len(recurrent_HGP), recurrent_HGP.shape[2]
        gates_THBG = c_BE.new_empty(len(x_TBF), heads, len(c_BE), 5 * width)
        gates_THBG[..., width:] = _by_head(x_TBF, heads, width)
        start = SLSTMState(*(_by_head(leaf, heads, width) for leaf in (h_BE, c_BE, n_BE, m_BE)))
        h_SHBP, cn_S2HBP, m_SHBP = _walk(gates_THBG, start, recurrent_HGP.to(dtype))
        ends_B = torch.full_like(h_BE[:, 0], len(x_TBF), dtype=torch.long)
        ends_B = ends_B if lengths_B is None else lengths_B
        final = (cn_S2HBP[:, 0], cn_S2HBP[:, 1], m_SHBP)
        ctx.set_materialize_grads(False)
        ctx.dtype, ctx.x_dtype = dtype, x_TBF.dtype
        ctx.save_for_backward(gates_THBG, h_SHBP, cn_S2HBP, recurrent_HGP, ends_B)
        last = (_by_feature(_at_end(leaf, ends_B), width) for leaf in final)
        return _by_feature(h_SHBP[1:], width), *last

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        gates_THBG, h_SHBP, cn_S2HBP, recurrent_HGP, ends_B = ctx.saved_tensors
        heads, width, dtype = len(recurrent_HGP), recurrent_HGP.shape[2], ctx.dtype
        dh, *d_final = (None if g is None else _by_head(g, heads, width) for g in gradients)
        dh_THBP = torch.zeros_like(h_SHBP[1:]) if dh is None else dh
        late = _late(d_final, gates_THBG, cn_S2HBP, ends_B)
        with recurrent.without_autocast(gates_THBG):
            weight_HGP = recurrent_HGP.to(dtype)
            d_THBG, dcn_2HBP = _walk_back(gates_THBG, h_SHBP, cn_S2HBP, dh_THBP, late, weight_HGP)
            dm_HBP = (cn_S2HBP[0] * dcn_2HBP).sum(0)
            if late is not None:
                dm_HBP += late.dm_HBP
            d_HNG = d_THBG.transpose(0, 1).flatten(1, 2).to(dtype)
            h_HNP = h_SHBP[:-1].transpose(0, 1).flatten(1, 2).to(dtype)
            start = (d_THBG[0].to(dtype) @ weight_HGP).to(h_SHBP.dtype), *dcn_2HBP, dm_HBP
        return (
            _by_feature(d_THBG, width).to(ctx.x_dtype),
            *(_by_feature(leaf, width) for leaf in start),
            (d_HNG.transpose(1, 2) @ h_HNP).to(recurrent_HGP.dtype),
            None,
            None,
        )


def _walk(
    gates_THBG: Tensor, start: SLSTMState, recurrent_HGP: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Turns the inputs' part into gates, in place -> (h_SHBP, cn_S2HBP, m_SHBP)."""
    length, (heads, batch_size, width) = len(gates_THBG), start.h_BE.shape
    h_SHBP = start.h_BE.new_empty(length + 1, heads, batch_size, width)
    m_SHBP = torch.empty_like(h_SHBP)
    cn_S2HBP = h_SHBP.new_empty(length + 1, 2, heads, batch_size, width)
    h_SHBP[0], cn_S2HBP[0, 0], cn_S2HBP[0, 1], m_SHBP[0] = start
    weight_HPG = recurrent_HGP.transpose(1, 2).contiguous()
    products = gates_THBG[..., width:].unbind(0)
    both = gates_THBG[..., : 2 * width].unflatten(3, (2, width)).unbind(0)
    keep, take, f, z, o = (block.unbind(0) for block in gates_THBG.chunk(5, dim=3))
    h, cn, m = h_SHBP.unbind(0), cn_S2HBP.unbind(0), m_SHBP.unbind(0)
    for t in range(length):
        _add_products(products[t], h[t], weight_HPG)
        torch.add(functional.logsigmoid(f[t]), m[t], out=keep[t])
        torch.maximum(take[t], keep[t], out=m[t + 1])
        both[t].sub_(m[t + 1][:, :, None]).exp_()
        z[t].tanh_()
        o[t].sigmoid_()
        c_HBP, n_HBP = torch.mul(cn[t], keep[t], out=cn[t + 1])
        c_HBP.addcmul_(take[t], z[t])
        n_HBP.add_(take[t])
        torch.div(c_HBP, n_HBP, out=h[t + 1]).mul_(o[t])
    return h_SHBP, cn_S2HBP, m_SHBP


def _walk_back(
    gates_THBG: Tensor,
    h_SHBP: Tensor,
    cn_S2HBP: Tensor,
    dh_THBP: Tensor,
    late: _Late | None,
    recurrent_HGP: Tensor,
) -> tuple[Tensor, Tensor]:
    """Gradients of the gates before their nonlinearity d_THBG, and of the first cell and
    normaliser, as if m were fixed."""
    d_THBG, slopes_TH2BP, carry_T2HBP = _slopes(gates_THBG, h_SHBP, cn_S2HBP)
    length, (heads, batch_size, width) = len(gates_THBG), h_SHBP.shape[1:]
    dh_HBP, dcn_2HBP = torch.empty_like(h_SHBP[0]), torch.zeros_like(cn_S2HBP[0])
    d, dh, carry = d_THBG.unbind(0), dh_THBP.unbind(0), carry_T2HBP.unbind(0)
    d_blocks = d_THBG.view(length, heads, batch_size, 4, width)
    ifz, both, o = (
        block.unbind(0)
        for block in (d_blocks[..., :3, :], d_blocks[..., :2, :], d_blocks[..., 3, :])
    )
    slopes, keep = slopes_TH2BP.unbind(0), gates_THBG[..., :width].unbind(0)
    dc_HB1P, dn_HB1P = dcn_2HBP[0][:, :, None], dcn_2HBP[1][:, :, None]
    for t in range(length - 1, -1, -1):
        dh_HBP.copy_(dh[t])
        if t + 1 < length:
            _add_products(dh_HBP, d[t + 1], recurrent_HGP)
        dcn_2HBP.addcmul_(dh_HBP, carry[t])
        if late is not None:
            dcn_2HBP.add_(late.dcn_S2HBP[t + 1])
        ifz[t].mul_(dc_HB1P)
        both[t].addcmul_(slopes[t], dn_HB1P)
        if late is not None:
            both[t].add_(late.d_THB2P[t])
        o[t].mul_(dh_HBP)
        dcn_2HBP.mul_(keep[t])
    return d_THBG, dcn_2HBP


def _slopes(gates_THBG: Tensor, h_SHBP: Tensor, cn_S2HBP: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Slopes of c_t (i, f, z) and of h_t (o) in each gate's argument, [T, H, B, 4 P]; of n_t in
    those of i and f, [T, H, B, 2, P]; of h_t in c_t and n_t, [T, 2, H, B, P]."""
    keep, take, f, z, o = gates_THBG.chunk(5, dim=3)
    width, (c, n) = keep.shape[3], cn_S2HBP.unbind(1)
    slopes_THBG = gates_THBG.new_empty(*gates_THBG.shape[:3], 4 * width)
    slope_i, slope_f, slope_z, slope_o = slopes_THBG.chunk(4, dim=3)
    own_THB2P = gates_THBG.new_empty(*gates_THBG.shape[:3], 2, width)
    kept = torch.sigmoid(-f).mul_(keep)
    torch.mul(take, z, out=slope_i)
    torch.mul(kept, c[:-1], out=slope_f)
    torch.mul(z, z, out=slope_z).neg_().add_(1).mul_(take)
    torch.sub(1, o, out=slope_o).mul_(h_SHBP[1:])  # o (1 - o) c / n, and h = o c / n
    own_THB2P[..., 0, :] = take
    torch.mul(kept, n[:-1], out=own_THB2P[..., 1, :])
    carry_T2HBP = torch.stack((o, -h_SHBP[1:]), dim=1).div_(n[1:, None])
    return slopes_THBG, own_THB2P, carry_T2HBP


def _late(
    d_final: list[Tensor | None], gates_THBG: Tensor, cn_S2HBP: Tensor, ends_B: Tensor
) -> _Late | None:
    """From the gradients of the final c, n and m; None where there are none, as in training."""
    if all(gradient is None for gradient in d_final):
        return None
    zeros_HBP = torch.zeros_like(cn_S2HBP[0, 0])
    dc_HBP, dn_HBP, dm_HBP = (zeros_HBP if g is None else g for g in d_final)
    c_HBP, n_HBP = (_at_end(leaf, ends_B) for leaf in cn_S2HBP.unbind(1))
    rows_B = torch.arange(len(ends_B), device=ends_B.device)
    dcn_S2HBP, q_SHBP = torch.zeros_like(cn_S2HBP), torch.zeros_like(cn_S2HBP[:, 0])
    # advanced indices apart from each other put the rows first
    dcn_S2HBP[ends_B, :, :, rows_B] = torch.stack((dc_HBP, dn_HBP)).movedim(2, 0)
    q_SHBP[ends_B, :, rows_B] = (dm_HBP - c_HBP * dc_HBP - n_HBP * dn_HBP).transpose(0, 1)
    _, take, f, _, _ = gates_THBG.chunk(5, dim=3)
    fresh = take == 1  # the input's gate was the maximum: nothing of the m before it is left
    kept_HTBP = (~fresh).to(f.dtype).transpose(0, 1)
    q_THBP = reversed_recurrence(kept_HTBP, q_SHBP[1:].transpose(0, 1)).transpose(0, 1)
    kept_THBP = q_THBP.masked_fill(fresh, 0.0)
    d_THB2P = torch.stack((q_THBP - kept_THBP, kept_THBP * torch.sigmoid(-f)), dim=3)
    return _Late(dcn_S2HBP, d_THB2P, kept_THBP[0])


def _by_head(x_BF: Tensor, heads: int, width: int) -> Tensor:
    """[..., B, K E], each part with its heads side by side -> [..., H, B, K P]."""
    return x_BF.unflatten(-1, (-1, heads, width)).movedim(-2, -4).flatten(-2)


def _by_feature(x_HBG: Tensor, width: int) -> Tensor:
    """The inverse of `_by_head`."""
    return x_HBG.unflatten(-1, (-1, width)).movedim(-4, -2).flatten(-3)


def _at_end(x_SHBP: Tensor, ends_B: Tensor) -> Tensor:
    """The state after each row's last real position, as memory of its own. [H, B, P]"""
    rows_B = torch.arange(len(ends_B), device=ends_B.device)
    return x_SHBP[ends_B, :, rows_B].transpose(0, 1).contiguous()


def _add_products(out_HBG: Tensor, x_HBP: Tensor, weight_HPG: Tensor) -> None:
    """out += x @ weight in place, head by head, multiplied in the weight's dtype."""
    if weight_HPG.dtype == out_HBG.dtype:
        with small_products(x_HBP.shape[1] * weight_HPG.numel()):
            out_HBG.baddbmm_(x_HBP, weight_HPG)
    else:
        out_HBG.add_(torch.bmm(x_HBP.to(weight_HPG.dtype), weight_HPG))
