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
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from seqarena.mixers.base import Complexity
from seqarena.mixers.state_space.per_channel import PerChannelMixer, complex_numbers
from seqarena.mixers.state_space.time_steps import TimeStepConfig
from seqarena.ops.state_space import Diagonal, diagonal_ssm, zero_order_hold


class S4DConfig(TimeStepConfig):
    """The defaults are the reference implementation's."""

    state_size: int = Field(default=64, ge=2, multiple_of=2)
    # imaginary part of A: linear is S4D-Lin (pi n), inverse is S4D-Inv (frequencies like 1 / n)
    initialisation: Literal["linear", "inverse"] = "linear"


class S4D(PerChannelMixer):
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

    # of a complex state: its decay 6, its input 2, their sum 2, the real part of C h 4
    state_flops = 14

    def __init__(self, width: int, config: S4DConfig) -> None:
        super().__init__(width, config, _frequencies(config))

    def _system(self) -> Diagonal:
        return zero_order_hold(self._steps(), self._diagonal(), complex_numbers(self.c))


def _frequencies(config: S4DConfig) -> Tensor:
    """Im A of S4D-Lin or S4D-Inv (section 4.2 of the paper), one row."""
    size, n = config.state_size, torch.arange(config.state_size // 2, dtype=torch.float32)
    if config.initialisation == "linear":
        return math.pi * n
    return size / math.pi * (size - 1 - 2 * n) / (2 * n + 1)
