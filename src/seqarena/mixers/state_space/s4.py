"""S4: a state space that projects the past onto polynomials, one for each channel.

Gu, Goel and Re 2022, "Efficiently Modeling Long Sequences with Structured State Spaces",
arXiv:2111.00396; the matrix is HiPPO-LegS of Gu, Dao, Ermon, Rudra and Re 2020, arXiv:2008.07669.

    x' = (diag(a) - p p*) x + B u,  y = 2 Re(C x) + D u     continuous, one system for each channel
    (2 / step - A) h_t = (2 / step + A) h_{t-1} + 2 B u_t   the bilinear rule
    output = GLU(W gelu(y))                                 mixes the channels

At the start A is the LegS matrix in the basis where its normal part is diagonal (theorem 1):
A_nk = -sqrt(2n+1) sqrt(2k+1) below the diagonal, -(n+1) on it; p_n = sqrt(n + 1/2), B_n =
sqrt(2n+1). A unitary basis leaves the phase of each state free: here p is real and positive, so
that B, its multiple, is too. The authors' code clips the imaginary part of B at 2, which depends on
that phase; here nothing is clipped.

Glossary: N is the paper's state size; half of it is kept as complex numbers, the rest are their
conjugates. a is its Lambda, p its P = Q, step its Delta, `skip` its D; Re a = -exp(log_a_real). The
paper trains C (I - A_d^L) in place of C, which ties it to a length L; here C is itself.

Letters: B batch, T time, D width, N complex states of a channel (half of state_size).
"""

import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from seqarena.mixers.base import Complexity
from seqarena.mixers.state_space.hippo import hippo_normal_spectrum
from seqarena.mixers.state_space.per_channel import (
    PerChannelMixer,
    complex_numbers,
    spare_from_decay,
)
from seqarena.mixers.state_space.time_steps import TimeStepConfig
from seqarena.ops.dplr import DPLR, dplr_ssm


class S4Config(TimeStepConfig):
    """The defaults are the authors' code's."""

    state_size: int = Field(default=64, ge=4, multiple_of=2)


class S4(PerChannelMixer):
    """The state space of each channel, then GELU and a gated linear layer.

    Initialised as the authors' code: HiPPO-LegS in every channel, C complex normal, D normal, the
    linear layer as torch.nn.Linear.
    """

    Config = S4Config
    operation = dplr_ssm
    equation: ClassVar[str] = """\
x' = (diag(a) - p p*) x + B u,  y = 2 Re(C x) + D u     continuous, one system for each channel
(2 / step - A) h_t = (2 / step + A) h_{t-1} + 2 B u_t   the bilinear rule
output = GLU(W gelu(y))                                 mixes the channels"""
    complexity = Complexity("T (D^2 + D N)", "log T (convolution), T (loop)", "T", "D N")

    # of a complex state: the right side 8 and its projection 8, the input 4, the division by the
    # diagonal 6, the projection after it and its removal 12, the real part of C h 4
    state_flops = 42

    def __init__(self, width: int, config: S4Config) -> None:
        frequencies_N, p_N = legs(config.state_size)
        super().__init__(width, config, frequencies_N)
        p_N2 = torch.stack((p_N, torch.zeros_like(p_N)), dim=1)
        self.p = nn.Parameter(p_N2.expand(width, -1, -1).clone())
        self.b = nn.Parameter(math.sqrt(2) * self.p.detach())
        spare_from_decay(self.p, self.b)

    def _system(self) -> DPLR:
        p_DN, b_DN, c_DN = (complex_numbers(x_DN2) for x_DN2 in (self.p, self.b, self.c))
        return DPLR(self._steps(), self._diagonal(), p_DN, b_DN, c_DN)


def legs(state_size: int) -> tuple[Tensor, Tensor]:
    """HiPPO-LegS as a diagonal less one rank: Im a, one of each conjugate pair from low to high,
    and p, real and positive. Every Re a is -1/2. [N] each, in float32."""
    frequency_N, basis_MN = hippo_normal_spectrum(state_size)
    p_M = torch.sqrt(torch.arange(state_size, dtype=torch.float64) + 0.5)
    size_N = (basis_MN.conj().T @ p_M.to(basis_MN.dtype)).abs()
    # the conjugates of the half with negative frequencies
    return -frequency_N.flip(0).float(), size_N.flip(0).float()
