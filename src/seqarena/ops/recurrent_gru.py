"""The gated recurrent unit: one layer, one direction, in three forms, with either reset gate.

    r, z = sigmoid(W x_t + U h_{t-1} + b)                      each its own rows
    n = tanh(W x_t + r * (U h_{t-1} + b') + b)                 reset "after" the product
    n = tanh(W x_t + U (r * h_{t-1}) + b)                      reset "before" it
    h_t = (1 - z) * n + z * h_{t-1}

"before" is Cho et al. 2014 (version 1 of that paper); "after" is version 3, and the library's.
The gates stand in the order r, z, n in the weights, as in torch.nn. Letters: `ops.recurrent`.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from seqarena.core.errors import UserError, unknown_name
from seqarena.ops import recurrent


class GRUWeights(NamedTuple):
    """F = 3 E: the rows of r, z and n. The reset is "after" where there is an inner bias b'."""

    input_FD: Tensor
    recurrent_FE: Tensor
    bias_F: Tensor
    inner_bias_E: Tensor | None


def gru(
    x_BTD: Tensor,
    start_BE: Tensor,
    weights: GRUWeights,
    lengths_B: Tensor | None = None,
    *,
    algorithm: str,
) -> tuple[Tensor, Tensor]:
    """x_BTD [B, T, D], right-padded where `lengths_B` says so -> (h_BTE, final state h_BE).

    The start's dtype is the one that the recurrence is kept in. Outputs beyond a row's length are
    free; its final state is that after its last real position. `algorithm`: loop, fused or
    stepwise; raises UserError for another, and for `fused` with the reset gate before the product,
    which no kernel computes.
    """
    if algorithm == "loop":
        h_BTE = _loop(x_BTD, start_BE, weights)
    elif algorithm == "fused":
        h_BTE = _fused(x_BTD, start_BE, weights)
    elif algorithm != "stepwise":
        raise unknown_name("algorithm", algorithm, ("loop", "fused", "stepwise"))
    elif recurrent.is_decoding(x_BTD):
        h_BTE = _loop(x_BTD, start_BE, weights)
    else:
        dtype = recurrent.product_dtype(x_BTD, weights.input_FD)
        function = _StepwiseBefore if weights.inner_bias_E is None else _StepwiseAfter
        with recurrent.without_autocast(x_BTD):
            h_TBE = function.apply(x_BTD.transpose(0, 1), start_BE, *weights, dtype)
        h_BTE = h_TBE.transpose(0, 1)
    # the state is the output, so the one after the last real position is all that padding needs
    last_BE = recurrent.pick_last(h_BTE, start_BE, lengths_B)
    return h_BTE, last_BE.to(start_BE.dtype)


def _loop(x_BTD: Tensor, h_BE: Tensor, weights: GRUWeights) -> Tensor:
    outputs = []
    for x_BD in x_BTD.unbind(1):
        h_BE = _cell(x_BD, h_BE, weights)
        outputs.append(h_BE)
    return torch.stack(outputs, dim=1)


def _cell(x_BD: Tensor, h_BE: Tensor, weights: GRUWeights) -> Tensor:
    dtype, width = weights.input_FD.dtype, h_BE.shape[1]
    x_BF = functional.linear(x_BD.to(dtype), weights.input_FD, weights.bias_F).to(h_BE.dtype)
    x_both, x_n = x_BF.split([2 * width, width], dim=1)
    if weights.inner_bias_E is None:
        both_FE, n_EE = weights.recurrent_FE.split([2 * width, width])
        both = (x_both + functional.linear(h_BE.to(dtype), both_FE)).sigmoid()
        r_BE, z_BE = both.chunk(2, dim=1)
        n_BE = (x_n + functional.linear((r_BE * h_BE).to(dtype), n_EE)).tanh()
    else:
        u_both, u_n = functional.linear(h_BE.to(dtype), weights.recurrent_FE).split(
            [2 * width, width], dim=1
        )
        r_BE, z_BE = (x_both + u_both).sigmoid().chunk(2, dim=1)
        n_BE = (x_n + r_BE * (u_n + weights.inner_bias_E)).tanh()
    return (1 - z_BE) * n_BE + z_BE * h_BE


def _fused(x_BTD: Tensor, start_BE: Tensor, weights: GRUWeights) -> Tensor:
    if weights.inner_bias_E is None:
        raise UserError("no library kernel resets before the product: use loop or stepwise")
    dtype = weights.input_FD.dtype
    # the kernel has a whole second bias; that of r and z is added at the same place as the first
    rest = torch.zeros_like(weights.bias_F[: -len(weights.inner_bias_E)])
    parameters = [*weights[:3], torch.cat([rest, weights.inner_bias_E])]
    options = (True, 1, 0.0, torch.is_grad_enabled(), False, True)  # biases, layers, dropout, ...
    return torch.gru(x_BTD.to(dtype), start_BE[None].to(dtype), parameters, *options)[0]


class _StepwiseAfter(torch.autograd.Function):
    """(x_TBD, h_BE, weights, product dtype) -> h_TBE, reset after the product.

    One buffer holds four blocks a position, [inner, r, z, n], inner = U h + b' of n: the products
    with U fill the first three and those with W the last three, each in one piece. The gradients
    of the arguments have the same layout.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x_TBD: Tensor,
        start_BE: Tensor,
        input_FD: Tensor,
        recurrent_FE: Tensor,
        bias_F: Tensor,
        inner_bias_E: Tensor,
        dtype: torch.dtype,
    ) -> Tensor:
        width = start_BE.shape[1]
        gates_TB4E = start_BE.new_empty(*x_TBD.shape[:2], 4 * width)
        gates_TB4E[..., :width] = inner_bias_E
        recurrent.project_inputs(x_TBD, input_FD.to(dtype), bias_F, gates_TB4E[..., width:])
        h_SBE = _walk_after(gates_TB4E, start_BE, recurrent_FE.to(dtype).roll(width, 0))
        ctx.dtype = dtype
        ctx.save_for_backward(x_TBD, gates_TB4E, h_SBE, input_FD, recurrent_FE)
        return h_SBE[1:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x_TBD, gates_TB4E, h_SBE, input_FD, recurrent_FE = ctx.saved_tensors
        (dh_TBE,), dtype, needs = gradients, ctx.dtype, ctx.needs_input_grad
        width = h_SBE.shape[2]
        with recurrent.without_autocast(x_TBD):
            d_TB4E = _slopes_after(gates_TB4E, h_SBE)
            inner_first_FE = recurrent_FE.to(dtype).roll(width, 0)
            start_gradient_BE = _walk_back_after(gates_TB4E, dh_TBE, d_TB4E, inner_first_FE)
            d_TBF = d_TB4E[..., width:]
            weight = recurrent.weight_gradient
            du_FE = weight(d_TB4E[..., : 3 * width], h_SBE[:-1], dtype).roll(-width, 0)
            return (
                (d_TBF.to(dtype) @ input_FD.to(dtype)).to(x_TBD.dtype) if needs[0] else None,
                start_gradient_BE,
                weight(d_TBF, x_TBD, dtype).to(input_FD.dtype) if needs[2] else None,
                du_FE.to(recurrent_FE.dtype),
                d_TBF.sum((0, 1)).to(input_FD.dtype) if needs[4] else None,
                d_TB4E[..., :width].sum((0, 1)).to(input_FD.dtype) if needs[5] else None,
                None,
            )


def _walk_after(gates_TB4E: Tensor, start_BE: Tensor, inner_first_FE: Tensor) -> Tensor:
    """Completes the inputs' part and the inner bias to [inner, r, z, n], in place -> h_SBE."""
    length, width = len(gates_TB4E), start_BE.shape[1]
    h_SBE = start_BE.new_empty(length + 1, *start_BE.shape)
    h_SBE[0] = start_BE
    weight_EF, h = recurrent.laid_out(inner_first_FE, length), h_SBE.unbind(0)
    products = gates_TB4E[..., : 3 * width].unbind(0)
    both = gates_TB4E[..., width : 3 * width].unbind(0)
    inner, r, z, n = (block.unbind(0) for block in gates_TB4E.chunk(4, dim=2))
    for t in range(length):
        recurrent.add_product(products[t], h[t], weight_EF)
        both[t].sigmoid_()
        n[t].addcmul_(r[t], inner[t]).tanh_()
        torch.lerp(n[t], h[t], z[t], out=h[t + 1])
    return h_SBE


def _slopes_after(gates_TB4E: Tensor, h_SBE: Tensor) -> Tensor:
    """Slopes of h_t in inner and in the arguments of r, z and n."""
    slopes_TB4E = torch.empty_like(gates_TB4E)
    slope_inner, slope_r, slope_z, slope_n = slopes_TB4E.chunk(4, dim=2)
    inner, r, z, n = gates_TB4E.chunk(4, dim=2)
    torch.mul(n, n, out=slope_n).sub_(1).mul_(z - 1)
    torch.mul(slope_n, r, out=slope_inner)
    torch.sub(1, r, out=slope_r).mul_(slope_inner).mul_(inner)
    torch.addcmul(z, z, z, value=-1, out=slope_z).mul_(h_SBE[:-1] - n)
    return slopes_TB4E


def _walk_back_after(
    gates_TB4E: Tensor, dh_TBE: Tensor, d_TB4E: Tensor, inner_first_FE: Tensor
) -> Tensor:
    """Multiplies the slopes by the gradient of their h_t, in place -> gradient of the start."""
    length, batch_size, width = dh_TBE.shape
    dh, z = dh_TBE.unbind(0), gates_TB4E[..., 2 * width : 3 * width].unbind(0)
    d = d_TB4E.view(length, batch_size, 4, width).unbind(0)
    products = d_TB4E[..., : 3 * width].unbind(0)
    dh_BE = gates_TB4E.new_zeros(batch_size, width)
    for t in range(length - 1, -1, -1):
        dh_BE.add_(dh[t])
        d[t].mul_(dh_BE[:, None])
        dh_BE.mul_(z[t])
        recurrent.add_product(dh_BE, products[t], inner_first_FE)
    return dh_BE


class _StepwiseBefore(torch.autograd.Function):
    """(x_TBD, h_BE, weights, product dtype) -> h_TBE, reset before the product."""

    @staticmethod
    def forward(
        ctx: Any,
        x_TBD: Tensor,
        start_BE: Tensor,
        input_FD: Tensor,
        recurrent_FE: Tensor,
        bias_F: Tensor,
        _no_inner_bias: None,
        dtype: torch.dtype,
    ) -> Tensor:
        gates_TBF = start_BE.new_empty(*x_TBD.shape[:2], len(bias_F))
        recurrent.project_inputs(x_TBD, input_FD.to(dtype), bias_F, gates_TBF)
        h_SBE, reset_TBE = _walk_before(gates_TBF, start_BE, recurrent_FE.to(dtype))
        ctx.dtype = dtype
        ctx.save_for_backward(x_TBD, gates_TBF, h_SBE, reset_TBE, input_FD, recurrent_FE)
        return h_SBE[1:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x_TBD, gates_TBF, h_SBE, reset_TBE, input_FD, recurrent_FE = ctx.saved_tensors
        (dh_TBE,), dtype, needs = gradients, ctx.dtype, ctx.needs_input_grad
        width = h_SBE.shape[2]
        with recurrent.without_autocast(x_TBD):
            d_TBF = _slopes_before(gates_TBF, h_SBE)
            weight_FE = recurrent_FE.to(dtype)
            start_gradient_BE = _walk_back_before(gates_TBF, dh_TBE, d_TBF, weight_FE)
            weight = recurrent.weight_gradient
            both_FE = weight(d_TBF[..., : 2 * width], h_SBE[:-1], dtype)
            n_EE = weight(d_TBF[..., 2 * width :], reset_TBE, dtype)
            return (
                (d_TBF.to(dtype) @ input_FD.to(dtype)).to(x_TBD.dtype) if needs[0] else None,
                start_gradient_BE,
                weight(d_TBF, x_TBD, dtype).to(input_FD.dtype) if needs[2] else None,
                torch.cat([both_FE, n_EE]).to(recurrent_FE.dtype),
                d_TBF.sum((0, 1)).to(input_FD.dtype) if needs[4] else None,
                None,
                None,
            )


def _walk_before(
    gates_TBF: Tensor, start_BE: Tensor, recurrent_FE: Tensor
) -> tuple[Tensor, Tensor]:
    """Turns the inputs' part into gates, in place -> (h_SBE, r * h at each position)."""
    length, batch_size, width = gates_TBF.shape[0], *start_BE.shape
    h_SBE = start_BE.new_empty(length + 1, batch_size, width)
    h_SBE[0] = start_BE
    reset_TBE = torch.empty_like(h_SBE[1:])
    both_EF = recurrent.laid_out(recurrent_FE[: 2 * width], length)
    n_EE = recurrent.laid_out(recurrent_FE[2 * width :], length)
    both, n = (block.unbind(0) for block in gates_TBF.split([2 * width, width], dim=2))
    r, z = (block.unbind(0) for block in gates_TBF[..., : 2 * width].chunk(2, dim=2))
    h = h_SBE.unbind(0)
    for t, reset_BE in enumerate(reset_TBE.unbind(0)):
        recurrent.add_product(both[t], h[t], both_EF)
        both[t].sigmoid_()
        torch.mul(r[t], h[t], out=reset_BE)
        recurrent.add_product(n[t], reset_BE, n_EE)
        n[t].tanh_()
        torch.lerp(n[t], h[t], z[t], out=h[t + 1])
    return h_SBE, reset_TBE


def _slopes_before(gates_TBF: Tensor, h_SBE: Tensor) -> Tensor:
    """Slopes of r * h in the argument of r, and of h_t in the arguments of z and n."""
    slopes_TBF = torch.empty_like(gates_TBF)
    slope_r, slope_z, slope_n = slopes_TBF.chunk(3, dim=2)
    r, z, n = gates_TBF.chunk(3, dim=2)
    torch.addcmul(r, r, r, value=-1, out=slope_r).mul_(h_SBE[:-1])
    torch.addcmul(z, z, z, value=-1, out=slope_z).mul_(h_SBE[:-1] - n)
    torch.mul(n, n, out=slope_n).sub_(1).mul_(z - 1)
    return slopes_TBF


def _walk_back_before(
    gates_TBF: Tensor, dh_TBE: Tensor, d_TBF: Tensor, recurrent_FE: Tensor
) -> Tensor:
    """Turns the slopes into gradients, in place -> gradient of the start."""
    length, _, width = dh_TBE.shape
    both_FE, n_EE = recurrent_FE[: 2 * width], recurrent_FE[2 * width :]
    dh, d_both = dh_TBE.unbind(0), d_TBF[..., : 2 * width].unbind(0)
    d_r, d_z, d_n = (block.unbind(0) for block in d_TBF.chunk(3, dim=2))
    r, z, _ = (block.unbind(0) for block in gates_TBF.chunk(3, dim=2))
    dh_BE = torch.zeros_like(gates_TBF[0, :, :width])
    reset_BE = torch.empty_like(dh_BE)
    for t in range(length - 1, -1, -1):
        dh_BE.add_(dh[t])
        d_n[t].mul_(dh_BE)
        d_z[t].mul_(dh_BE)
        reset_BE.zero_()
        recurrent.add_product(reset_BE, d_n[t], n_EE)
        d_r[t].mul_(reset_BE)
        dh_BE.mul_(z[t]).addcmul_(reset_BE, r[t])
        recurrent.add_product(dh_BE, d_both[t], both_FE)
    return dh_BE
