"""What the fast forms share: products of spectra, and a single position."""

import torch
from torch import Tensor


def spectral_product(x: Tensor, kernel: Tensor, size: int, first: int) -> Tensor:
    """Positions `first` to `size` - 1 of the convolution of the last axes. What is longer than
    `size` comes round to the positions before `first`, as the caller has seen to."""
    spectrum = torch.fft.rfft(x, n=size) * torch.fft.rfft(kernel, n=size)
    return torch.fft.irfft(spectrum, n=size)[..., first:]


def single_position(x_B1D: Tensor, kernel_KD: Tensor, past_BPD: Tensor) -> Tensor:
    """The output at one position: no spectrum pays for it."""
    known_BSD = torch.cat((past_BPD, x_B1D), dim=1)
    return torch.einsum("bsd,sd->bd", known_BSD, kernel_KD.flip(0))[:, None]
