"""PyTorch's convolution."""

import torch.nn.functional as F
from torch import Tensor

from seqarena.ops.convolution import causal_convolution


@causal_convolution.algorithm("fused", serial_steps=lambda length, taps: 1)
def fused(x_BPD: Tensor, weight_KDF: Tensor, bias_F: Tensor | None, dilation: int) -> Tensor:
    """y_BTF."""
    x_BDP, weight_FDK = x_BPD.transpose(1, 2), weight_KDF.permute(2, 1, 0)
    return F.conv1d(x_BDP, weight_FDK, bias_F, dilation=dilation).transpose(1, 2)
