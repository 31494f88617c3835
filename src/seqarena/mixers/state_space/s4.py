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
from typing import ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from seqarena.core.errors import UserError
from seqarena.core.shapes import at_least_float32
from seqarena.mixers.base import Complexity, Mixer
from seqarena.mixers.state_space.hippo import hippo_normal_spectrum
from seqarena.mixers.state_space.time_steps import TimeStepConfig
from seqarena.ops.dplr import DPLR, dplr_ssm


class S4Config(TimeStepConfig):
    """The defaults are the authors' code's."""

    state_size: int = Field(default=64, ge=4, multiple_of=2)


class S4State(NamedTuple):
    """The complex states as pairs of real numbers, at least float32."""

    h_BDN2: Tensor


class S4(Mixer):
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

    def __init__(self, width: int, config: S4Config) -> None:
        super().__init__(width, config)
        if width < 1:
            raise UserError(f"width {width}: it must be at least 1")
        self.states = states = config.state_size // 2
        self.log_step = nn.Parameter(config.draw_log_steps(width))
        frequencies_N, p_N = legs(config.state_size)
        self.log_a_real = nn.Parameter(torch.full((width, states), math.log(0.5)))
        self.a_imaginary = nn.Parameter(frequencies_N.expand(width, -1).clone())
        p_N2 = torch.stack((p_N, torch.zeros_like(p_N)), dim=1)
        self.p = nn.Parameter(p_N2.expand(width, -1, -1).clone())
        self.b = nn.Parameter(math.sqrt(2) * self.p.detach())
        # two normal numbers of variance 1/2: a complex one of variance 1
        self.c = nn.Parameter(torch.randn(width, states, 2) * math.sqrt(0.5))
        self.skip = nn.Parameter(torch.randn(width))
        self.out_proj = nn.Linear(width, 2 * width)
        # the published recipe spares the dynamics from weight decay; an optimizer may read this
        for parameter in (self.log_step, self.log_a_real, self.a_imaginary, self.p, self.b):
            parameter.no_weight_decay = True  # pyright: ignore[reportAttributeAccessIssue]

    def mix(
        self, x_BTD: Tensor, state: S4State | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, S4State]:
        u_BTD = at_least_float32(x_BTD)
        start_BDN = None if state is None else torch.view_as_complex(state.h_BDN2)
        y_BTD, h_BDN = dplr_ssm(
            u_BTD, self._system(), start_BDN, lengths_B, algorithm=self.algorithm
        )
        y_BTD = F.gelu(y_BTD + self.skip * u_BTD).to(x_BTD.dtype)
        h_BDN2 = torch.view_as_real(h_BDN).contiguous()
        return F.glu(self.out_proj(y_BTD), dim=-1), S4State(h_BDN2)

    def _system(self) -> DPLR:
        decay_DN = torch.exp(at_least_float32(self.log_a_real))
        a_DN = torch.complex(-decay_DN, at_least_float32(self.a_imaginary))
        p_DN, b_DN, c_DN = (
            torch.view_as_complex(at_least_float32(x_DN2)) for x_DN2 in (self.p, self.b, self.c)
        )
        return DPLR(torch.exp(at_least_float32(self.log_step)), a_DN, p_DN, b_DN, c_DN)

    def initial_state(self, batch_size: int, max_length: int = 0) -> S4State:
        dtype = torch.promote_types(self.c.dtype, torch.float32)
        return S4State(self.c.new_zeros(batch_size, self.width, self.states, 2, dtype=dtype))

    def flops(self, length: int) -> int:
        # a complex state: the right side 8 and its projection 8, the input 4, the division by the
        # diagonal 6, the projection after it and its removal 12, the real part of C h 4; skip 2
        per_channel = 42 * self.states + 2
        return length * (self.width * per_channel + 4 * self.width**2)

    def state_bytes(self, length: int) -> int:
        return self.width * self.states * 2 * max(4, self.c.element_size())

    def serial_steps(self, length: int) -> int:
        return 4 + self.algorithm_steps(length)

    def path_length(self, distance: int) -> int:
        return distance

    def reach(self) -> float:
        return math.inf


def legs(state_size: int) -> tuple[Tensor, Tensor]:
    """HiPPO-LegS as a diagonal less one rank: Im a, one of each conjugate pair from low to high,
    and p, real and positive. Every Re a is -1/2. [N] each, in float32."""
    frequency_N, basis_MN = hippo_normal_spectrum(state_size)
    p_M = torch.sqrt(torch.arange(state_size, dtype=torch.float64) + 0.5)
    size_N = (basis_MN.conj().T @ p_M.to(basis_MN.dtype)).abs()
    # the conjugates of the half with negative frequencies
    return -frequency_N.flip(0).float(), size_N.flip(0).float()
