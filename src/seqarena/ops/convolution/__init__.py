"""Causal dilated convolution along time.

    y_t = b + sum_k W_k x_(t - (K - 1 - k) dilation)

The input carries its history in front, (K - 1) * dilation positions (zeros before a sequence's
start), so that a sequence and its continuation are the same case.

    loop       tap after tap, each a matrix product (the slow truth)
    unfolded   the taps side by side, one matrix product of K D features
    fused      PyTorch's convolution

    D features in   F features out   K taps   P + T positions: history and call
"""

from torch import Tensor

from seqarena.ops.registry import operation, register_files


@operation("causal_convolution")
def causal_convolution(
    x_BPD: Tensor,
    weight_KDF: Tensor,
    bias_F: Tensor | None,
    dilation: int,
    algorithm: str = "auto",
) -> Tensor:
    """x_BPD [B, (K - 1) * dilation + T, D] -> y_BTF. Raises UserError for an unknown algorithm."""
    form = causal_convolution.form(algorithm, x_BPD)
    return form(x_BPD, weight_KDF, bias_F, dilation)


def taps_of(x_BPD: Tensor, taps: int, dilation: int) -> list[Tensor]:
    """The inputs that each tap meets, [B, T, D] each, the oldest first."""
    length = x_BPD.shape[1] - (taps - 1) * dilation
    return [x_BPD[:, k * dilation : k * dilation + length] for k in range(taps)]


register_files(__name__, __path__)
