"""The convolution as written: one lag after another."""

import torch
from torch import Tensor

from seqarena.ops.long_convolution import long_convolution


@long_convolution.truth("loop", serial_steps=lambda length: length)
def loop(x_BTD: Tensor, kernel_KD: Tensor, past_BPD: Tensor) -> Tensor:
    """y_BTD."""
    past, length = past_BPD.shape[1], x_BTD.shape[1]
    known_BSD = torch.cat((past_BPD, x_BTD), dim=1)
    y_BTD = torch.zeros_like(x_BTD)
    for lag, k_D in enumerate(kernel_KD.unbind(0)):
        first = max(0, lag - past)  # the first output that has an input so far back
        part_BTD = k_D * known_BSD[:, past + first - lag : past + length - lag]
        y_BTD = torch.cat((y_BTD[:, :first], y_BTD[:, first:] + part_BTD), dim=1)
    return y_BTD
