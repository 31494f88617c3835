"""What LRU and S5 share: one diagonal complex system that all features enter and leave.

    h_t = a h_{t-1} + g B x_t                a, g: one complex number a state
    y_t = c Re(C h_t) + skip x_t             c: 1, or 2 where conjugates are left out

A subclass says what a and g are made of (`dynamics`) and how all begins. B and C are linear maps
of real numbers: the real parts of the states come first, then the imaginary ones.

Letters: B batch, T time, D width, N complex states.
"""

import math
from abc import abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.core.shapes import at_least_float32, lengths_to_mask
from seqarena.mixers.base import Complexity, Mixer, MixerConfig
from seqarena.ops.diagonal import linear_recurrence


class DenseDiagonalState(NamedTuple):
    """The complex states as pairs of real numbers, at least float32."""

    h_BN2: Tensor


class DenseDiagonalMixer(Mixer):
    """Abstract: subclasses fill in `dynamics` and initialise the maps.

    `conjugates` is c. The skip starts normal of variance one, as in both papers.
    """

    operation = linear_recurrence
    complexity = Complexity("T D N", "T, or log T by scan", "T", "N")
    conjugates: ClassVar[int] = 1

    def __init__(self, width: int, config: MixerConfig, states: int) -> None:
        """`states` is N."""
        super().__init__(width, config)
        if width < 1:
            raise UserError(f"width {width}: it must be at least 1")
        self.states = states
        self.inward = nn.Linear(width, 2 * states, bias=False)  # Re B, Im B
        self.outward = nn.Linear(2 * states, width, bias=False)  # Re C, -Im C
        self.skip = nn.Parameter(torch.randn(width))

    @abstractmethod
    def dynamics(self) -> tuple[Tensor, Tensor]:
        """a_N and g_N, complex (g may be real), of at least single precision."""

    def mix(
        self, x_BTD: Tensor, state: DenseDiagonalState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, DenseDiagonalState]:
        a_N, scale_N = self.dynamics()
        b_BTN = scale_N * torch.complex(*at_least_float32(self.inward(x_BTD)).chunk(2, dim=-1))
        if lengths_B is not None:
            real_BT1 = lengths_to_mask(lengths_B, x_BTD.shape[1])[..., None]
            a_N, b_BTN = a_N.where(real_BT1, 1.0), b_BTN.where(real_BT1, 0.0)
        start_BN = None if state is None else torch.view_as_complex(state.h_BN2)
        h_BTN = linear_recurrence(a_N, b_BTN, start_BN, algorithm=self.algorithm)
        parts_BTM = torch.cat((h_BTN.real, h_BTN.imag), dim=-1).to(x_BTD.dtype)
        y_BTD = self.conjugates * self.outward(parts_BTM) + self.skip * x_BTD
        return y_BTD, DenseDiagonalState(torch.view_as_real(h_BTN[:, -1]).clone())

    def initial_state(self, batch_size: int, max_length: int = 0) -> DenseDiagonalState:
        dtype = torch.promote_types(self.skip.dtype, torch.float32)
        return DenseDiagonalState(self.skip.new_zeros(batch_size, self.states, 2, dtype=dtype))

    def flops(self, length: int) -> int:
        # a complex state: its decay 6, its input times g 6, their sum 2; a multiply-add of the skip
        return length * (8 * self.width * self.states + 14 * self.states + 2 * self.width)

    def state_bytes(self, length: int) -> int:
        return 2 * self.states * max(4, self.skip.element_size())

    def serial_steps(self, length: int) -> int:
        # projection in, g, projection out, skip
        return 4 + self.algorithm_steps(length)

    def path_length(self, distance: int) -> int:
        return distance

    def reach(self) -> float:
        return math.inf
