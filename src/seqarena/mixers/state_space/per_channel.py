"""What S4 and S4D share: a state space for each channel, then GELU and a gated linear layer.

    y = 2 Re(C x) + D u            of the state x that a subclass discretises
    output = GLU(W gelu(y))

Letters: B batch, T time, D width, N complex states of a channel (half of state_size).
"""

import math
from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqarena.core.errors import UserError
from seqarena.core.shapes import at_least_float32
from seqarena.mixers.base import Mixer
from seqarena.mixers.state_space.time_steps import TimeStepConfig


class ChannelState(NamedTuple):
    """The complex states as pairs of real numbers, at least float32."""

    h_BDN2: Tensor


class PerChannelMixer(Mixer):
    """Abstract: subclasses set `operation` and fill in `_system`. `state_flops` are the operations
    of one complex state, its reading included.

    Re a starts at -1/2, C complex normal, D normal, the linear layer as torch.nn.Linear.
    """

    state_flops: ClassVar[int]

    def __init__(self, width: int, config: TimeStepConfig, frequencies_N: Tensor) -> None:
        """`frequencies_N` is the imaginary part of a at the start, the same in every channel."""
        super().__init__(width, config)
        if width < 1:
            raise UserError(f"width {width}: it must be at least 1")
        self.states = states = len(frequencies_N)
        self.log_step = nn.Parameter(config.draw_log_steps(width))
        self.log_a_real = nn.Parameter(torch.full((width, states), math.log(0.5)))
        self.a_imaginary = nn.Parameter(frequencies_N.expand(width, -1).clone())
        # two normal numbers of variance 1/2: a complex one of variance 1
        self.c = nn.Parameter(torch.randn(width, states, 2) * math.sqrt(0.5))
        self.skip = nn.Parameter(torch.randn(width))
        self.out_proj = nn.Linear(width, 2 * width)
        spare_from_decay(self.log_step, self.log_a_real, self.a_imaginary)

    @abstractmethod
    def _system(self) -> Any:
        """What the operation takes of the parameters."""

    def mix(
        self, x_BTD: Tensor, state: ChannelState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, ChannelState]:
        u_BTD = at_least_float32(x_BTD)
        start_BDN = None if state is None else torch.view_as_complex(state.h_BDN2)
        y_BTD, h_BDN = self.operation_of(self.config)(
            u_BTD, self._system(), start_BDN, lengths_B, algorithm=self.algorithm
        )
        y_BTD = F.gelu(y_BTD + self.skip * u_BTD).to(x_BTD.dtype)
        h_BDN2 = torch.view_as_real(h_BDN).contiguous()
        return F.glu(self.out_proj(y_BTD), dim=-1), ChannelState(h_BDN2)

    def _diagonal(self) -> Tensor:
        """a [D, N], complex."""
        decay_DN = torch.exp(at_least_float32(self.log_a_real))
        return torch.complex(-decay_DN, at_least_float32(self.a_imaginary))

    def _steps(self) -> Tensor:
        """The step of each channel, [D]."""
        return torch.exp(at_least_float32(self.log_step))

    def initial_state(self, batch_size: int, max_length: int = 0) -> ChannelState:
        dtype = torch.promote_types(self.c.dtype, torch.float32)
        return ChannelState(self.c.new_zeros(batch_size, self.width, self.states, 2, dtype=dtype))

    def flops(self, length: int) -> int:
        per_channel = self.state_flops * self.states + 2  # 2: the skip
        return length * (self.width * per_channel + 4 * self.width**2)

    def state_bytes(self, length: int) -> int:
        return self.width * self.states * 2 * max(4, self.c.element_size())

    def serial_steps(self, length: int) -> int:
        return 4 + self.algorithm_steps(length)

    def path_length(self, distance: int) -> int:
        return distance

    def reach(self) -> float:
        return math.inf


def spare_from_decay(*dynamics: nn.Parameter) -> None:
    """The published recipes spare the dynamics from weight decay; an optimizer may read it."""
    for parameter in dynamics:
        parameter.no_weight_decay = True  # pyright: ignore[reportAttributeAccessIssue]


def complex_numbers(x_DN2: Tensor) -> Tensor:
    """Pairs of real numbers as complex ones, of at least single precision."""
    return torch.view_as_complex(at_least_float32(x_DN2))
