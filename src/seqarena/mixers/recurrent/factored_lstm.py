"""LSTM with fewer parameters: factored and grouped (Kuchaiev & Ginsburg 2017, sections 2.2, 2.3).

    LSTM       [i, f, g, o] = act( T [x_t, h_{t-1}] + b )               T is 4 D x 2 D
    factored   T = T_2 T_1,  T_1 is r x 2 D,  T_2 is 4 D x r            a product of low rank r
    grouped    T is made of k blocks: group j of the gates sees group j of x and of h alone

The cell is that of `mixers/recurrent/lstm.py`, and so is the operation: T is put together once a
call and handed to the same kernels, which is faster here than two thin products at every step, and
the same function. The costs are those of what is executed: fewer parameters, not fewer operations.

Letters: D the width, in and out; R the rank; K groups; F = 4 D the rows of i, f, g and o.
"""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.mixers.base import Complexity, MixerConfig
from seqarena.mixers.recurrent.lstm import ELEMENTWISE_FLOPS, LSTMCell


class FactoredLSTMConfig(MixerConfig):
    """`factored` has the rank `rank_ratio` * D; `grouped` has `groups` groups, which must divide
    D."""

    kind: Literal["factored", "grouped"] = "factored"
    rank_ratio: float = Field(0.5, gt=0)  # the paper: 512 of 1,024 units
    groups: int = Field(4, ge=1)
    forget_bias: float = 1.0


class FactoredLSTM(LSTMCell):
    """One layer; its hidden size is the width."""

    Config = FactoredLSTMConfig
    equation: ClassVar[str] = """\
LSTM       [i, f, g, o] = act( T [x_t, h_{t-1}] + b )               T is 4 D x 2 D
factored   T = T_2 T_1,  T_1 is r x 2 D,  T_2 is 4 D x r            a product of low rank r
grouped    T is made of k blocks: group j of the gates sees group j of x and of h alone"""
    complexity: ClassVar[Complexity] = Complexity("T D^2 + D^2 R", "T", "T", "D")

    def __init__(self, width: int, config: FactoredLSTMConfig) -> None:
        super().__init__(width, config)
        self.rank = max(1, round(config.rank_ratio * width))
        bound = 1.0 / math.sqrt(width)
        if config.kind == "factored":
            shapes = ((self.rank, 2 * width), (4 * width, self.rank))
        else:
            if width % config.groups:
                raise UserError(
                    f"factored_lstm: a width of {width} does not divide into {config.groups} groups"
                )
            part = width // config.groups
            shapes = ((config.groups, 4 * part, 2 * part),)
        self.factors = nn.ParameterList(torch.empty(shape) for shape in shapes)
        self.bias_F = nn.Parameter(torch.empty(4 * width))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)
        with torch.no_grad():
            self.bias_F.chunk(4)[1].fill_(config.forget_bias)

    def matrices(self) -> tuple[Tensor, Tensor]:
        """T as the input matrix and the recurrent one, [F, D] each."""
        if len(self.factors) == 2:
            first_R2D, second_FR = self.factors
            input_RD, recurrent_RD = first_R2D.chunk(2, dim=1)
            return second_FR @ input_RD, second_FR @ recurrent_RD
        (blocks,) = self.factors  # [K, 4 D / K, 2 D / K]
        return tuple(_grouped(part) for part in blocks.chunk(2, dim=2))  # pyright: ignore

    def flops(self, length: int) -> int:
        """T from its factors, once; then an LSTM's products with T, whose zeros between groups are
        multiplied like other numbers, and the recurrence itself."""
        once = 16 * self.rank * self.width**2 if len(self.factors) == 2 else 0
        return once + length * (16 * self.width**2 + ELEMENTWISE_FLOPS * self.width)


def _grouped(blocks: Tensor) -> Tensor:
    """Blocks [K, 4 P, P] of K groups, each with its own four gates, as one matrix [F, D] whose rows
    are gate by gate."""
    by_gate = blocks.unflatten(1, (4, -1)).transpose(0, 1)  # [4, K, P, P]
    return torch.cat([torch.block_diag(*gate) for gate in by_gate])
