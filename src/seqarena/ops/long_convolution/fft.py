"""One product of spectra over the past and the call."""

import math

import torch
from torch import Tensor

from seqarena.ops.long_convolution import long_convolution
from seqarena.ops.long_convolution.shared import single_position, spectral_product


def serial_steps(length: int) -> int:
    """The butterflies of the FFT there and back, and the product between them."""
    return 2 * math.ceil(math.log2(2 * length)) + 1


@long_convolution.algorithm("fft", serial_steps=serial_steps)
def fft(x_BTD: Tensor, kernel_KD: Tensor, past_BPD: Tensor) -> Tensor:
    """y_BTD."""
    if x_BTD.shape[1] == 1:
        return single_position(x_BTD, kernel_KD, past_BPD)
    known_BDS = torch.cat((past_BPD, x_BTD), dim=1).transpose(1, 2)
    # as long as both together, so that the circular convolution does not come round
    size = known_BDS.shape[2] + len(kernel_KD)
    y_BDS = spectral_product(known_BDS, kernel_KD.t(), size, past_BPD.shape[1])
    return y_BDS[..., : x_BTD.shape[1]].transpose(1, 2)
