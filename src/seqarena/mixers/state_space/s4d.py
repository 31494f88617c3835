"""S4D: a bank of damped oscillators for each channel, trained as one long convolution.

Gu, Gupta, Goel and Re 2022, "On the Parameterization and Initialization of Diagonal State Space
Models", arXiv:2206.11893.

    x' = A x + u,  y = 2 Re(C x) + D u      continuous, diagonal A, one system for each channel
    h_t = exp(step A) h_{t-1} + (exp(step A) - 1) / A u_t          zero-order hold
    output = GLU(W gelu(y))                 mixes the channels

Glossary: N is the paper's state size; half of it is kept as complex numbers, the rest are their
conjugates. Re A = -exp(log_a_real), step is the paper's Delta, `skip` its D.

Letters: B batch, T time, D width, N complex states of a channel (half of state_size).
"""

import math
from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from seqarena.core.errors import UserError
from seqarena.core.shapes import at_least_float32
from seqarena.mixers.base import Complexity, Mixer
from seqarena.mixers.state_space.time_steps import TimeStepConfig
from seqarena.ops.state_space import Diagonal, diagonal_ssm, zero_order_hold


class S4DConfig(TimeStepConfig):
    """The defaults are the reference implementation's."""

    state_size: int = Field(default=64, ge=2, multiple_of=2)
    # imaginary part of A: linear is S4D-Lin (pi n), inverse is S4D-Inv (frequencies like 1 / n)
    initialisation: Literal["linear", "inverse"] = "linear"


class S4DState(NamedTuple):
    """The complex states as pairs of real numbers, at least float32."""

    h_BDN2: Tensor


class S4D(Mixer):
    """The diagonal state space of each channel, then GELU and a gated linear layer.

    Initialised as the reference: Re A to -1/2, Im A by `initialisation`, C complex normal, D
    normal, the linear layer as torch.nn.Linear.
    """

    Config = S4DConfig
    operation = diagonal_ssm
    equation: ClassVar[str] = """\
x' = A x + u,  y = 2 Re(C x) + D u      continuous, diagonal A, one system for each channel
h_t = exp(step A) h_{t-1} + (exp(step A) - 1) / A u_t          zero-order hold
output = GLU(W gelu(y))                 mixes the channels"""
    complexity = Complexity("T (D^2 + D N)", "log T (parallel), T (loop)", "T", "D N")

    def __init__(self, width: int, config: S4DConfig) -> None:
        super().__init__(width, config)
        if width < 1:
            raise UserError(f"width {width}: it must be at least 1")
        self.states = states = config.state_size // 2
        self.log_step = nn.Parameter(config.draw_log_steps(width))
        self.log_a_real = nn.Parameter(torch.full((width, states), math.log(0.5)))
        self.a_imaginary = nn.Parameter(_frequencies(config).expand(width, -1).clone())
        # two normal numbers of variance 1/2: a complex one of variance 1
        self.c = nn.Parameter(torch.randn(width, states, 2) * math.sqrt(0.5))
        self.skip = nn.Parameter(torch.randn(width))
        self.out_proj = nn.Linear(width, 2 * width)
        # the published recipe spares the dynamics from weight decay; an optimizer may read this
        for parameter in (self.log_step, self.log_a_real, self.a_imaginary):
            parameter.no_weight_decay = True  # pyright: ignore[reportAttributeAccessIssue]

    def mix(
        self, x_BTD: Tensor, state: S4DState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, S4DState]:
        u_BTD = at_least_float32(x_BTD)
        start_BDN = None if state is None else torch.view_as_complex(state.h_BDN2)
        y_BTD, h_BDN = diagonal_ssm(
            u_BTD, self._system(), start_BDN, lengths_B, algorithm=self.algorithm
        )
        y_BTD = F.gelu(y_BTD + self.skip * u_BTD).to(x_BTD.dtype)
        h_BDN2 = torch.view_as_real(h_BDN).contiguous()
        return F.glu(self.out_proj(y_BTD), dim=-1), S4DState(h_BDN2)

    def _system(self) -> Diagonal:
        decay_DN = torch.exp(at_least_float32(self.log_a_real))
        a_DN = torch.complex(-decay_DN, at_least_float32(self.a_imaginary))
        c_DN = torch.view_as_complex(at_least_float32(self.c))
        return zero_order_hold(torch.exp(at_least_float32(self.log_step)), a_DN, c_DN)

    def initial_state(self, batch_size: int, max_length: int = 0) -> S4DState:
        dtype = torch.promote_types(self.c.dtype, torch.float32)
        return S4DState(self.c.new_zeros(batch_size, self.width, self.states, 2, dtype=dtype))

    def flops(self, length: int) -> int:
        # a complex state: its decay 6, its input 2, their sum 2, the real part of C h 4; skip 2
        per_channel = 14 * self.states + 2
        return length * (self.width * per_channel + 4 * self.width**2)

    def state_bytes(self, length: int) -> int:
        return self.width * self.states * 2 * max(4, self.c.element_size())

    def serial_steps(self, length: int) -> int:
        return 4 + self.algorithm_steps(length)

    def path_length(self, distance: int) -> int:
        return distance

    def reach(self) -> float:
        return math.inf


def _frequencies(config: S4DConfig) -> Tensor:
    """Im A of S4D-Lin or S4D-Inv (section 4.2 of the paper), one row."""
    size, n = config.state_size, torch.arange(config.state_size // 2, dtype=torch.float32)
    if config.initialisation == "linear":
        return math.pi * n
    return size / math.pi * (size - 1 - 2 * n) / (2 * n + 1)
