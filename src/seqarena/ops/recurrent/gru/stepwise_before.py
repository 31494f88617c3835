"""Our own form of the GRU that resets before the product: in-place gate arithmetic, and a
hand-written backward (`ops.recurrent`)."""

from typing import Any

import torch
from torch import Tensor

from seqarena.ops import recurrent
from seqarena.ops.recurrent.gru import GRUWeights, gru_reset_before
from seqarena.ops.recurrent.gru.reference import loop


@gru_reset_before.algorithm("stepwise", serial_steps=lambda length: length)
def stepwise(x_BTD: Tensor, start_BE: Tensor, weights: GRUWeights) -> Tensor:
    """Every h_t."""
    if recurrent.is_decoding(x_BTD):
        return loop(x_BTD, start_BE, weights)
    h_TBE = recurrent.apply_stepwise(_StepwiseBefore, weights.input_FD, x_BTD, start_BE, *weights)
    return h_TBE.transpose(0, 1)


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
