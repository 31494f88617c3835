"""The simple recurrent network: one layer, one direction, in three forms.

    h_t = f(W x_t + U h_{t-1} + b)      f: tanh or ReLU

Letters: `ops.recurrent`. Source: Elman 1990.
"""

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from seqarena.core.errors import unknown_name
from seqarena.ops import recurrent

Nonlinearity = Literal["tanh", "relu"]


class ElmanWeights(NamedTuple):
    """One row a hidden feature."""

    input_ED: Tensor
    recurrent_EE: Tensor
    bias_E: Tensor


def elman(
    x_BTD: Tensor,
    start_BE: Tensor,
    weights: ElmanWeights,
    lengths_B: Tensor | None = None,
    *,
    nonlinearity: Nonlinearity,
    algorithm: str,
) -> tuple[Tensor, Tensor]:
    """x_BTD [B, T, D], right-padded where `lengths_B` says so -> (h_BTE, final state h_BE).

    The start's dtype is the one that the recurrence is kept in. Outputs beyond a row's length are
    free; its final state is that after its last real position. `algorithm`: loop, fused or
    stepwise; raises UserError for another.
    """
    if algorithm == "loop":
        h_BTE = _loop(x_BTD, start_BE, weights, nonlinearity)
    elif algorithm == "fused":
        h_BTE = _fused(x_BTD, start_BE, weights, nonlinearity)
    elif algorithm != "stepwise":
        raise unknown_name("algorithm", algorithm, ("loop", "fused", "stepwise"))
    elif recurrent.is_decoding(x_BTD):
        h_BTE = _loop(x_BTD, start_BE, weights, nonlinearity)
    else:
        dtype = recurrent.product_dtype(x_BTD, weights.input_ED)
        with recurrent.without_autocast(x_BTD):
            h_TBE = _StepwiseElman.apply(
                x_BTD.transpose(0, 1), start_BE, *weights, nonlinearity, dtype
            )
        h_BTE = h_TBE.transpose(0, 1)
    # the state is the output, so the one after the last real position is all that padding needs
    last_BE = recurrent.pick_last(h_BTE, start_BE, lengths_B)
    return h_BTE, last_BE.to(start_BE.dtype)


def _loop(x_BTD: Tensor, h_BE: Tensor, weights: ElmanWeights, nonlinearity: Nonlinearity) -> Tensor:
    dtype, activation = weights.input_ED.dtype, getattr(torch, nonlinearity)
    outputs = []
    for x_BD in x_BTD.unbind(1):
        a_BE = functional.linear(x_BD.to(dtype), weights.input_ED, weights.bias_E)
        a_BE = a_BE + functional.linear(h_BE.to(dtype), weights.recurrent_EE)
        h_BE = activation(a_BE.to(h_BE.dtype))
        outputs.append(h_BE)
    return torch.stack(outputs, dim=1)


def _fused(
    x_BTD: Tensor, start_BE: Tensor, weights: ElmanWeights, nonlinearity: Nonlinearity
) -> Tensor:
    dtype = weights.input_ED.dtype
    kernel = torch.rnn_tanh if nonlinearity == "tanh" else torch.rnn_relu
    # the kernel has a second bias, added at the same place; then: biases, layers, dropout,
    # training, bidirectional, batch first
    parameters = [*weights, torch.zeros_like(weights.bias_E)]
    options = (True, 1, 0.0, torch.is_grad_enabled(), False, True)
    return kernel(x_BTD.to(dtype), start_BE[None].to(dtype), parameters, *options)[0]


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
