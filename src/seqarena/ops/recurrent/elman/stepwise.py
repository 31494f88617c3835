"""Our own: in-place arithmetic, and a hand-written backward (`ops.recurrent`)."""

from typing import Any

import torch
from torch import Tensor

from seqarena.ops import recurrent
from seqarena.ops.recurrent.elman import ElmanWeights, Nonlinearity, elman
from seqarena.ops.recurrent.elman.reference import loop


@elman.algorithm("stepwise", serial_steps=lambda length: length)
def stepwise(
    x_BTD: Tensor, start_BE: Tensor, weights: ElmanWeights, nonlinearity: Nonlinearity
) -> Tensor:
    """Every h_t."""
    if recurrent.is_decoding(x_BTD):
        return loop(x_BTD, start_BE, weights, nonlinearity)
    h_TBE = recurrent.apply_stepwise(
        _StepwiseElman, weights.input_ED, x_BTD, start_BE, *weights, nonlinearity
    )
    return h_TBE.transpose(0, 1)


class _StepwiseElman(torch.autograd.Function):
    """(x_TBD, h_BE, weights, nonlinearity, product dtype) -> h_TBE."""

    @staticmethod
    def forward(
        ctx: Any,
        x_TBD: Tensor,
        start_BE: Tensor,
        input_ED: Tensor,
        recurrent_EE: Tensor,
        bias_E: Tensor,
        nonlinearity: Nonlinearity,
        dtype: torch.dtype,
    ) -> Tensor:
        h_TBE = start_BE.new_empty(*x_TBD.shape[:2], len(bias_E))
        recurrent.project_inputs(x_TBD, input_ED.to(dtype), bias_E, h_TBE)
        activate_ = torch.tanh_ if nonlinearity == "tanh" else torch.relu_
        weight_EE = recurrent.laid_out(recurrent_EE.to(dtype), len(h_TBE))
        before_BE = start_BE
        for h_BE in h_TBE.unbind(0):
            recurrent.add_product(h_BE, before_BE, weight_EE)
            before_BE = activate_(h_BE)
        ctx.nonlinearity, ctx.dtype = nonlinearity, dtype
        ctx.save_for_backward(x_TBD, start_BE, h_TBE, input_ED, recurrent_EE)
        return h_TBE

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x_TBD, start_BE, h_TBE, input_ED, recurrent_EE = ctx.saved_tensors
        (dh_TBE,), dtype, needs = gradients, ctx.dtype, ctx.needs_input_grad
        with recurrent.without_autocast(x_TBD):
            weight_EE = recurrent_EE.to(dtype)
            d_TBE = _walk_back(h_TBE, dh_TBE, weight_EE, ctx.nonlinearity)
            start_gradient_BE = torch.zeros_like(start_BE)
            recurrent.add_product(start_gradient_BE, d_TBE[0], weight_EE)
            before_TBE = torch.cat([start_BE[None], h_TBE[:-1]])
            weight = recurrent.weight_gradient
            return (
                (d_TBE.to(dtype) @ input_ED.to(dtype)).to(x_TBD.dtype) if needs[0] else None,
                start_gradient_BE,
                weight(d_TBE, x_TBD, dtype).to(input_ED.dtype) if needs[2] else None,
                weight(d_TBE, before_TBE, dtype).to(recurrent_EE.dtype) if needs[3] else None,
                d_TBE.sum((0, 1)).to(input_ED.dtype) if needs[4] else None,
                None,
                None,
            )


def _walk_back(
    h_TBE: Tensor, dh_TBE: Tensor, recurrent_EE: Tensor, nonlinearity: Nonlinearity
) -> Tensor:
    """Gradients of the sums before their nonlinearity, [T, B, E]."""
    if nonlinearity == "tanh":
        slopes_TBE = torch.addcmul(h_TBE.new_ones(()), h_TBE, h_TBE, value=-1)
    else:
        slopes_TBE = (h_TBE > 0).to(h_TBE.dtype)
    # one buffer: first the gradients of the outputs, then those of the sums
    d_TBE = dh_TBE.clone(memory_format=torch.contiguous_format)
    after_BE = None
    for d_BE, slope_BE in zip(reversed(d_TBE.unbind(0)), reversed(slopes_TBE.unbind(0))):
        if after_BE is not None:
            recurrent.add_product(d_BE, after_BE, recurrent_EE)
        after_BE = d_BE.mul_(slope_BE)
    return d_TBE
