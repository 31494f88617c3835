"""The published step, once for each position, under autograd."""

import torch
from torch import Tensor
from torch.nn import functional

from seqarena.ops.recurrent.gru import GRUWeights, gru, gru_reset_before


@gru_reset_before.truth("loop", serial_steps=lambda length: length)
@gru.truth("loop", serial_steps=lambda length: length)
def loop(x_BTD: Tensor, h_BE: Tensor, weights: GRUWeights) -> Tensor:
    """Every h_t."""
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
