"""The published step, once for each position, under autograd."""

import torch
from torch import Tensor
from torch.nn import functional

from seqarena.ops.recurrent.elman import ElmanWeights, Nonlinearity, elman


@elman.truth("loop", serial_steps=lambda length: length)
def loop(x_BTD: Tensor, h_BE: Tensor, weights: ElmanWeights, nonlinearity: Nonlinearity) -> Tensor:
    """Every h_t."""
    dtype, activation = weights.input_ED.dtype, getattr(torch, nonlinearity)
    outputs = []
    for x_BD in x_BTD.unbind(1):
        a_BE = functional.linear(x_BD.to(dtype), weights.input_ED, weights.bias_E)
        a_BE = a_BE + functional.linear(h_BE.to(dtype), weights.recurrent_EE)
        h_BE = activation(a_BE.to(h_BE.dtype))
        outputs.append(h_BE)
    return torch.stack(outputs, dim=1)
