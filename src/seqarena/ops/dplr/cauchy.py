"""The paper's algorithm: the filter from its generating function, and one convolution by FFT.

    sum over t of z^t C A_d^t B_d = 2 / (1 + z) C (g - A)^-1 B,      g = 2 (1 - z) / (step (1 + z))

For a matrix of one rank beyond its diagonal the inverse is four Cauchy products sum x_n / (g - a_n)
and a quotient (Woodbury). The paper evaluates it on the unit circle and trains C (I - A_d^L) in
place of C, which ties C to a length L. Here C is itself: on a circle of radius r < 1 the filter
beyond the M points that are evaluated comes back shrunk by r^M. With M = 4 T and r^M the accuracy
a of the result, dividing by r^t loses a quarter of its digits: a^(5/4) is the rounding of numbers.
"""

import math

import torch
from torch import Tensor

from seqarena.ops.dplr import DPLR, dplr_ssm
from seqarena.ops.dplr.chunked import final_state
from seqarena.ops.dplr.reference import loop, real_sum
from seqarena.ops.long_convolution import long_convolution


def serial_steps(length: int) -> int:
    """The butterflies of the FFTs of filter and convolution, and the products around them."""
    return 4 * math.ceil(math.log2(2 * length)) + 6


@dplr_ssm.algorithm("cauchy", serial_steps=serial_steps)
def cauchy(
    u_BTD: Tensor, system: DPLR, start_BDN: Tensor | None, lengths_B: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The outputs and the state after each row's last real position."""
    length = u_BTD.shape[1]
    if length == 1:  # a step costs less than the filter
        return loop(u_BTD, system, start_BDN, lengths_B)
    kernel_DT = _responses(system, system.b_DN, length)
    y_BTD = long_convolution(u_BTD, kernel_DT.t(), algorithm="fft")
    if start_BDN is not None:
        # (1 / step + A / 2) h takes the place of B: the step of the rule that leads from h
        projected_BD1 = real_sum(system.p_DN.conj() * start_BDN)
        moved_BDN = system.a_DN * start_BDN - system.p_DN * projected_BD1
        moved_BDN = start_BDN / system.step_D[:, None] + moved_BDN / 2
        y_BTD = y_BTD + _responses(system, moved_BDN, length).transpose(1, 2)
    return y_BTD, final_state(u_BTD, system, start_BDN, lengths_B)


def _responses(system: DPLR, b_XDN: Tensor, length: int) -> Tensor:
    """C A_d^t (1 - step A / 2)^-1 step b at t = 0 ... length - 1: [..., D, T]."""
    points = 4 * length
    real = system.step_D.dtype
    radius = torch.finfo(real).eps ** (0.8 / points)
    turn_F = torch.arange(points // 2 + 1, device=b_XDN.device, dtype=real)
    turn_F = turn_F * (-2 * math.pi / points)
    z_F = radius * torch.complex(torch.cos(turn_F), torch.sin(turn_F))
    g_DF1 = (2 * (1 - z_F) / (1 + z_F) / system.step_D[:, None])[..., None]
    poles_DFN = 1 / (g_DF1 - system.a_DN[:, None])
    twins_DFN = 1 / (g_DF1 - system.a_DN.conj()[:, None])

    def product(left_DN: Tensor, right_XDN: Tensor) -> Tensor:
        """sum over n and conjugates of left right / (g - a): [..., D, F]."""
        pair_XDN = left_DN * right_XDN
        return _sums(pair_XDN, poles_DFN) + _sums(pair_XDN.conj(), twins_DFN)

    c_DN, q_DN, p_DN = system.c_DN, system.p_DN.conj(), system.p_DN
    spectrum_XDF = product(c_DN, b_XDN)
    correction_XDF = product(c_DN, p_DN) * product(q_DN, b_XDN) / (1 + product(q_DN, p_DN))
    spectrum_XDF = (spectrum_XDF - correction_XDF) * (2 / (1 + z_F))
    shrunk_XDT = torch.fft.irfft(spectrum_XDF, n=points)[..., :length]
    steps_T = torch.arange(length, device=b_XDN.device, dtype=real)
    return shrunk_XDT * radius**-steps_T


def _sums(pair_XDN: Tensor, poles_DFN: Tensor) -> Tensor:
    return torch.einsum("...dn,dfn->...df", pair_XDN, poles_DFN)
