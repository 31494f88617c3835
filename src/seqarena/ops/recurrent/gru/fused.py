"""The library's kernel, which resets after the product."""

import torch
from torch import Tensor

from seqarena.ops import recurrent
from seqarena.ops.recurrent.gru import GRUWeights, gru


@gru.algorithm("fused", serial_steps=lambda length: length)
def fused(x_BTD: Tensor, start_BE: Tensor, weights: GRUWeights) -> Tensor:
    """Every h_t."""
    dtype = weights.input_FD.dtype
    assert weights.inner_bias_E is not None
    # the kernel has a whole second bias; that of r and z is added at the same place as the first
    rest = torch.zeros_like(weights.bias_F[: -len(weights.inner_bias_E)])
    parameters = [*weights[:3], torch.cat([rest, weights.inner_bias_E])]
    options = (True, 1, 0.0, torch.is_grad_enabled(), False, True)  # biases, layers, dropout, ...

    def kernel(x_BTD: Tensor, h_1BE: Tensor) -> tuple[Tensor, Tensor]:
        return torch.gru(x_BTD, h_1BE, parameters, *options)

    return recurrent.in_pieces(kernel, x_BTD.to(dtype), start_BE[None].to(dtype))[0]
