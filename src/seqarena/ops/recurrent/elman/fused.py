"""The library's kernel."""

import torch
from torch import Tensor

from seqarena.ops import recurrent
from seqarena.ops.recurrent.elman import ElmanWeights, Nonlinearity, elman


@elman.algorithm("fused", serial_steps=lambda length: length)
def fused(
    x_BTD: Tensor, start_BE: Tensor, weights: ElmanWeights, nonlinearity: Nonlinearity
) -> Tensor:
    """Every h_t."""
    dtype = weights.input_ED.dtype
    library = torch.rnn_tanh if nonlinearity == "tanh" else torch.rnn_relu
    # the kernel has a second bias, added at the same place; then: biases, layers, dropout,
    # training, bidirectional, batch first
    parameters = [*weights, torch.zeros_like(weights.bias_E)]
    options = (True, 1, 0.0, torch.is_grad_enabled(), False, True)

    def kernel(x_BTD: Tensor, h_1BE: Tensor) -> tuple[Tensor, Tensor]:
        return library(x_BTD, h_1BE, parameters, *options)

    return recurrent.in_pieces(kernel, x_BTD.to(dtype), start_BE[None].to(dtype))[0]
