"""One long convolution by FFT with the kernel K_t = 2 Re(sum c b exp(e t)).

It reads the whole sequence at once, so a later input moves earlier outputs by rounding.
"""

import math

import torch
from torch import Tensor

from seqarena.ops.state_space import Diagonal, diagonal_ssm
from seqarena.ops.state_space.shared import powers, with_padding


def serial_steps(length: int) -> int:
    """The butterflies of the FFT there and back, and the products around them."""
    return 2 * math.ceil(math.log2(2 * length)) + 2


@diagonal_ssm.algorithm("parallel", serial_steps=serial_steps)
def parallel(
    u_BTD: Tensor, system: Diagonal, start_BDN: Tensor, lengths_B: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The outputs and the state after each row's last real position."""
    return with_padding(_parallel, u_BTD, system, start_BDN, lengths_B)


def _parallel(u_BTD: Tensor, system: Diagonal, start_BDN: Tensor) -> tuple[Tensor, Tensor]:
    length = u_BTD.shape[1]
    u_BDT = u_BTD.transpose(1, 2)
    powers_DTN = powers(system.exponent_DN, length + 1)
    weights_DN = system.output_DN * system.input_DN
    kernel_DT = 2 * torch.einsum("dn,dtn->dt", weights_DN, powers_DTN[:, :-1]).real
    # twice the length, so that the circular convolution does not come round
    spectrum_BDF = torch.fft.rfft(u_BDT, n=2 * length) * torch.fft.rfft(kernel_DT, n=2 * length)
    y_BDT = torch.fft.irfft(spectrum_BDF, n=2 * length)[..., :length]
    from_start_BDN = start_BDN * system.output_DN
    y_BDT = y_BDT + 2 * torch.einsum("bdn,dtn->bdt", from_start_BDN, powers_DTN[:, 1:]).real
    u_complex = u_BDT.to(powers_DTN.dtype)
    state_BDN = torch.einsum("bdt,dtn->bdn", u_complex, powers_DTN[:, :-1].flip(1))
    state_BDN = state_BDN * system.input_DN + powers_DTN[:, -1] * start_BDN
    return y_BDT.transpose(1, 2), state_BDN
