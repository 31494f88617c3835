"""Our own form of the GRU that resets after the product: in-place gate arithmetic, and a
hand-written backward (`ops.recurrent`)."""

from typing import Any

import torch
from torch import Tensor

from seqarena.ops import recurrent
from seqarena.ops.recurrent.gru import GRUWeights, gru
from seqarena.ops.recurrent.gru.reference import loop


@gru.algorithm("stepwise", serial_steps=lambda length: length)
def stepwise(x_BTD: Tensor, start_BE: Tensor, weights: GRUWeights) -> Tensor:
    """Every h_t."""
    if recurrent.is_decoding(x_BTD):
        return loop(x_BTD, start_BE, weights)
    h_TBE = recurrent.apply_stepwise(_StepwiseAfter, weights.input_FD, x_BTD, start_BE, *weights)
    return h_TBE.transpose(0, 1)


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
