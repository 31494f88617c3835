"""The convolution tap after tap, each a matrix product."""

from torch import Tensor

from seqarena.ops.convolution import causal_convolution, taps_of


@causal_convolution.truth("loop", serial_steps=lambda length, taps: taps)
def loop(x_BPD: Tensor, weight_KDF: Tensor, bias_F: Tensor | None, dilation: int) -> Tensor:
    """y_BTF."""
    first_BTD, *rest = taps_of(x_BPD, len(weight_KDF), dilation)
    y_BTF = first_BTD @ weight_KDF[0]
    for x_BTD, weight_DF in zip(rest, weight_KDF[1:]):
        y_BTF = y_BTF + x_BTD @ weight_DF
    return y_BTF if bias_F is None else y_BTF + bias_F
