"""The simple recurrent unit: its gates see the input and their own channel of the cell.

Lei, Zhang, Wang, Dai and Artzi 2018, "Simple Recurrent Units for Highly Parallelizable Recurrence",
arXiv:1709.02755, section 3.

    f_t = sigmoid(W_f x_t + v_f c_{t-1} + b_f)           v_f and v_r: one number a channel
    c_t = f_t c_{t-1} + (1 - f_t) (W x_t)
    r_t = sigmoid(W_r x_t + v_r c_{t-1} + b_r)           reset gate
    y_t = r_t c_t + (1 - r_t) alpha x_t                  highway around the cell

alpha = sqrt(1 + 2 exp(b)) keeps the variance of the highway where b is the first bias of the reset
gate (section 3.2). The reset gate needs the cell before it and changes no later one, so that it is
computed for all positions at once.

Letters: B batch, T time, D width, E = D channels of the cell. W, W_f, W_r are the rows of in_proj.
"""

import math
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.core.shapes import at_least_float32
from seqarena.mixers.base import Complexity, Mixer, MixerConfig
from seqarena.ops.sru import sru


class SRUConfig(MixerConfig):
    """`highway_bias` is b_r at the start: below zero, more of the input passes by the cell."""

    highway_bias: float = 0.0


class SRUState(NamedTuple):
    """The cell, at least float32."""

    c_BE: Tensor


class SRU(Mixer):
    """One projection to candidate and gates, the cell, and the highway.

    Initialised as the authors' code: matrices of variance 1 / D, those of the gates of half of it,
    v_f and v_r of variance 1/2, b_f zero.
    """

    Config = SRUConfig
    operation = sru
    equation: ClassVar[str] = """\
f_t = sigmoid(W_f x_t + v_f c_{t-1} + b_f)           v_f and v_r: one number a channel
c_t = f_t c_{t-1} + (1 - f_t) (W x_t)
r_t = sigmoid(W_r x_t + v_r c_{t-1} + b_r)           reset gate
y_t = r_t c_t + (1 - r_t) alpha x_t                  highway around the cell"""
    complexity = Complexity("T D^2", "T", "T", "D")

    def __init__(self, width: int, config: SRUConfig) -> None:
        super().__init__(width, config)
        if width < 1:
            raise UserError(f"width {width}: it must be at least 1")
        self.in_proj = nn.Linear(width, 3 * width, bias=False)
        self.cell_2E = nn.Parameter(torch.empty(2, width))  # v_f and v_r
        self.bias_2E = nn.Parameter(torch.zeros(2, width))
        self.highway_scale = math.sqrt(1 + 2 * math.exp(config.highway_bias))
        self._initialise(config.highway_bias)

    @torch.no_grad()
    def _initialise(self, highway_bias: float) -> None:
        bound = math.sqrt(3 / self.width)
        nn.init.uniform_(self.in_proj.weight, -bound, bound)
        self.in_proj.weight[self.width :] *= math.sqrt(0.5)
        nn.init.uniform_(self.cell_2E, -math.sqrt(1.5), math.sqrt(1.5))
        self.bias_2E[1] = highway_bias

    def mix(
        self, x_BTD: Tensor, state: SRUState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, SRUState]:
        state = self.initial_state(x_BTD.shape[0]) if state is None else state
        u_BTE, forget_BTE, reset_BTE = at_least_float32(self.in_proj(x_BTD)).chunk(3, dim=-1)
        c_BTE = sru(
            u_BTE,
            forget_BTE + self.bias_2E[0],
            self.cell_2E[0],
            state.c_BE,
            lengths_B,
            algorithm=self.algorithm,
        )
        before_BTE = torch.cat((state.c_BE[:, None], c_BTE[:, :-1]), dim=1)
        r_BTE = torch.sigmoid(reset_BTE + self.bias_2E[1] + self.cell_2E[1] * before_BTE)
        y_BTD = torch.lerp(self.highway_scale * x_BTD.to(c_BTE.dtype), c_BTE, r_BTE)
        # a view would keep the cells of all positions alive
        return y_BTD.to(x_BTD.dtype), SRUState(c_BTE[:, -1].clone())

    def initial_state(self, batch_size: int, max_length: int = 0) -> SRUState:
        weight = self.cell_2E
        dtype = torch.promote_types(weight.dtype, torch.float32)
        return SRUState(weight.new_zeros(batch_size, self.width, dtype=dtype))

    def flops(self, length: int) -> int:
        # forget gate 2, cell 3, reset gate 2, highway 4
        return length * (6 * self.width**2 + 11 * self.width)

    def state_bytes(self, length: int) -> int:
        return self.width * max(4, self.cell_2E.element_size())

    def serial_steps(self, length: int) -> int:
        # project; then, beside the cell: reset gate, highway
        return 3 + self.algorithm_steps(length)

    def path_length(self, distance: int) -> int:
        return distance

    def reach(self) -> float:
        return math.inf
