"""The short causal convolution of each channel by itself, with its activation.

    y_t = f(sum over i of w_i x_(t-K+1+i) + b)

The input carries its history in front, K - 1 positions.

    loop     tap after tap, shifted products (the slow truth; on a CPU faster than the library's
             depthwise convolution)
    compiled all taps and the activation in one walk, by numba
    triton   all taps and the activation in one kernel

Letters: B batch, T time, C channels, K kernel taps, P = K - 1 + T positions: history and call.
"""

from torch import Tensor

from seqarena.ops.registry import operation, register_files

ACTIVATIONS = ("silu", "none")


@operation("short_convolution")
def short_convolution(
    x_BPC: Tensor,
    weight_CK: Tensor,
    bias_C: Tensor | None,
    activation: str,
    algorithm: str = "auto",
) -> Tensor:
    """x_BPC [B, K - 1 + T, C] -> y_BTC, of the dtype that x and the weight have together.

    `activation` is one of `ACTIVATIONS`. Gradients of first order flow to x, weight and bias.
    Raises UserError for an unknown algorithm.
    """
    form = short_convolution.form(algorithm, weight_CK)
    return form(x_BPC, weight_CK, bias_C, activation)


register_files(__name__, __path__)
