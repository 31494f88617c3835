"""The diagonal state space of constant coefficients, as recurrence, convolution and chunks.

    h_t = exp(e) h_{t-1} + b u_t          complex, for each channel and each of N states
    y_t = 2 Re(sum over n of c h_t)       the other half of the states are the conjugates

Gu, Gupta, Goel and Re 2022, "On the Parameterization and Initialization of Diagonal State Space
Models", arXiv:2206.11893, equations 3-8; `zero_order_hold` or `bilinear` discretise.

    loop      the recurrence as written: the slow truth
    parallel  one long convolution by FFT with the kernel K_t = 2 Re(sum c b exp(e t)); it reads
              the whole sequence at once, so a later input moves earlier outputs by rounding
    chunked   matrix products inside chunks, and a recurrence over the chunks' states

Letters: B batch, T time, D channels, N complex states of a channel, C chunks, L chunk length.
A trailing 2N is N real parts and N imaginary parts, interleaved as torch.view_as_real has them.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from seqarena.ops.registry import operation, register_files


class Diagonal(NamedTuple):
    """The discretised system, complex: exponent e, input b, output c."""

    exponent_DN: Tensor
    input_DN: Tensor
    output_DN: Tensor


def zero_order_hold(step_D: Tensor, a_DN: Tensor, c_DN: Tensor) -> Diagonal:
    """x' = A x + u sampled every `step_D` with its input held between: b = (exp(e) - 1) / A."""
    exponent_DN = step_D[:, None] * a_DN
    x_DN, angle_DN = exponent_DN.real, exponent_DN.imag
    # exp(x + i angle) - 1 without cancellation near zero, from real functions for speed
    real_DN = torch.expm1(x_DN) * torch.cos(angle_DN) - 2 * torch.sin(angle_DN / 2).square()
    change_DN = torch.complex(real_DN, torch.exp(x_DN) * torch.sin(angle_DN))
    return Diagonal(exponent_DN, change_DN / a_DN, c_DN)


def bilinear(step_D: Tensor, a_DN: Tensor, c_DN: Tensor) -> Diagonal:
    """x' = A x + u by the trapezoidal rule: exp(e) = (1 + z) / (1 - z), b = step / (1 - z) with
    z = step A / 2, the transform of Tustin; where Re A < 0 the recurrence is stable."""
    z_DN = step_D[:, None] * a_DN / 2
    x_DN, y_DN = z_DN.real, z_DN.imag
    # log(1 + z) - log(1 - z) without cancellation near zero, from real functions for speed
    size_DN = torch.log1p(4 * x_DN / ((1 - x_DN).square() + y_DN.square())) / 2
    angle_DN = torch.atan2(y_DN, 1 + x_DN) + torch.atan2(y_DN, 1 - x_DN)
    return Diagonal(torch.complex(size_DN, angle_DN), step_D[:, None] / (1 - z_DN), c_DN)


@operation("diagonal_ssm")
def diagonal_ssm(
    u_BTD: Tensor,
    system: Diagonal,
    start_BDN: Tensor | None = None,
    lengths_B: Tensor | None = None,
    *,
    algorithm: str = "auto",
) -> tuple[Tensor, Tensor]:
    """The real outputs y_BTD and the complex state [B, D, N] after each row's last real position.

    `u_BTD` is real, of the system's precision, and zero beyond `lengths_B` (None: all positions are
    real). Raises UserError for an unknown algorithm.
    """
    form = diagonal_ssm.form(algorithm, u_BTD)
    if start_BDN is None:
        start_BDN = system.input_DN.new_zeros(u_BTD.shape[0], *system.input_DN.shape)
    # autocast would turn the matrix products into bfloat16
    with torch.autocast(u_BTD.device.type, enabled=False):
        return form(u_BTD, system, start_BDN, lengths_B)


register_files(__name__, __path__)
