"""Causal dilated convolution along time.

    y_t = b + sum_k W_k x_(t - (K - 1 - k) dilation)

The input carries its history in front, (K - 1) * dilation positions (zeros before a sequence's
start), so that a sequence and its continuation are the same case.

    loop       tap after tap, each a matrix product (the slow truth)
    unfolded   the taps side by side, one matrix product of K D features
    fused      PyTorch's convolution

    D features in   F features out   K taps   P + T positions: history and call
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def causal_convolution(
    x_BPD: Tensor, weight_KDF: Tensor, bias_F: Tensor | None, dilation: int, algorithm: str
) -> Tensor:
    """x_BPD [B, (K - 1) * dilation + T, D] -> y_BTF. `algorithm`: "loop", "unfolded", "fused"."""
    K, D, features = weight_KDF.shape
    length = x_BPD.shape[1] - (K - 1) * dilation
    if algorithm == "fused":
        x_BDP, weight_FDK = x_BPD.transpose(1, 2), weight_KDF.permute(2, 1, 0)
        return F.conv1d(x_BDP, weight_FDK, bias_F, dilation=dilation).transpose(1, 2)
    taps = [x_BPD[:, k * dilation : k * dilation + length] for k in range(K)]
    if algorithm == "unfolded":
        weight_FU = weight_KDF.reshape(K * D, features).T
        return F.linear(torch.cat(taps, dim=-1), weight_FU, bias_F)
    y_BTF = taps[0] @ weight_KDF[0]
    for x_BTD, weight_DF in zip(taps[1:], weight_KDF[1:]):
        y_BTF = y_BTF + x_BTD @ weight_DF
    return y_BTF if bias_F is None else y_BTF + bias_F
