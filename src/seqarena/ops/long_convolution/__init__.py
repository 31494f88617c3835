"""Causal convolution of each channel with a filter that may be as long as the sequence.

    y_t = sum over s < K of k_s x_{t - s}        x is zero before the past

    loop     lag after lag, as written: the slow truth, work T K
    fft      one product of spectra, work T log T; it reads the whole call at once, so a later input
             moves earlier outputs by rounding
    halves   matrix products inside blocks of L positions; then, for blocks twice as long each time,
             what their first half gives to their second, by FFT: work T (L + log^2 T). No output
             is computed from a later input, so it is causal to the last bit.

Halving is van der Hoeven 2003, "Relaxed Multiplication Using the Middle Product", for a sequence
that is known. A single position, which is decoding, is one weighted sum in the fast forms too.

Letters: B batch, T time, D channels, K lags of the filter, P positions of the past, L block length.
"""

import math

import torch
from torch import Tensor

from seqarena.ops.registry import operation, register_files


@operation("long_convolution")
def long_convolution(
    x_BTD: Tensor,
    kernel_KD: Tensor,
    past_BPD: Tensor | None = None,
    *,
    algorithm: str = "auto",
) -> Tensor:
    """y_BTD, in at least float32. `past_BPD` are the inputs before the call, the last one last
    (None: there are none); `kernel_KD[s]` weighs the input `s` positions back.

    Raises UserError for an unknown algorithm.
    """
    form = long_convolution.form(algorithm, x_BTD)
    dtype = torch.promote_types(torch.promote_types(x_BTD.dtype, kernel_KD.dtype), torch.float32)
    if past_BPD is None:
        past_BPD = x_BTD[:, :0]
    past_BPD = past_BPD[:, max(0, past_BPD.shape[1] - len(kernel_KD) + 1) :]
    kernel_KD = kernel_KD[: past_BPD.shape[1] + x_BTD.shape[1]]
    # autocast would turn the matrix products into bfloat16
    with torch.autocast(x_BTD.device.type, enabled=False):
        return form(x_BTD.to(dtype), kernel_KD.to(dtype), past_BPD.to(dtype))


def convolution_flops(length: int) -> int:
    """Of one channel over `length` positions, by what is cheaper: the sum over all lags, or three
    real transforms of twice the length (5/2 n log n each) and the product of two spectra."""
    size = 2 * length
    transforms = 3 * (5 * size * math.ceil(math.log2(size)) // 2) + 6 * (length + 1)
    return min(length * (length + 1), transforms)


register_files(__name__, __path__)
