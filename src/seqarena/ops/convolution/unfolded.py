"""The taps side by side, one matrix product of K D features."""

import torch
import torch.nn.functional as F
from torch import Tensor

from seqarena.ops.convolution import causal_convolution, taps_of


@causal_convolution.algorithm("unfolded", serial_steps=lambda length, taps: 1)
def unfolded(x_BPD: Tensor, weight_KDF: Tensor, bias_F: Tensor | None, dilation: int) -> Tensor:
    """y_BTF."""
    K, D, features = weight_KDF.shape
    weight_FU = weight_KDF.reshape(K * D, features).T
    return F.linear(torch.cat(taps_of(x_BPD, K, dilation), dim=-1), weight_FU, bias_F)
