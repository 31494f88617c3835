"""The short convolution tap after tap, each a shifted product."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from seqarena.ops.short_convolution import short_convolution

_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {"silu": F.silu, "none": lambda x: x}


@short_convolution.truth("loop", serial_steps=lambda length, taps: taps)
def loop(x_BPC: Tensor, weight_CK: Tensor, bias_C: Tensor | None, activation: str) -> Tensor:
    """y_BTC."""
    length = x_BPC.shape[1] - weight_CK.shape[1] + 1
    first_C, *taps = weight_CK.unbind(1)
    y_BTC = first_C * x_BPC[:, :length]
    for k, tap_C in enumerate(taps, start=1):
        y_BTC = torch.addcmul(y_BTC, tap_C, x_BPC[:, k : k + length])
    if bias_C is not None:
        y_BTC = y_BTC + bias_C
    return _FUNCTIONS[activation](y_BTC)
