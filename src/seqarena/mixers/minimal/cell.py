"""What minGRU and minLSTM share (Feng et al. 2024, "Were RNNs All We Needed?", arXiv:2410.01201).

One projection in, which sees only the input, so that the recurrence is diagonal and linear,

    h_t = (1 - z_t) * h_{t-1} + z_t * c_t        c_t = g(W_h x_t)

and one projection out when the inner width is not the width. g is x + 1/2 for x >= 0 and sigmoid(x)
below, which keeps the state positive (Appendix B.3); the plain cells of section 3 have g(x) = x.
The paper's parallel form sums logarithms, because it needs a cumulative sum; the recurrence here is
computed directly, so nothing is gained by taking logarithms, and both candidates and any start
state are exact. The state starts at zero.

Letters: B batch, T time, D width, E inner width (expansion times D).
"""

import math
from abc import abstractmethod
from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.mixers.base import Complexity, Mixer, MixerConfig
from seqarena.ops.minimal import minimal_recurrence


class MinimalConfig(MixerConfig):
    """`candidate` positive is g of Appendix B.3, linear the plain cell of section 3."""

    expansion: float = Field(default=1.0, gt=0)  # inner width; other than 1 needs a projection out
    candidate: Literal["positive", "linear"] = "positive"
    bias: bool = True


class MinimalState(NamedTuple):
    """The recurrent state, at least float32."""

    h_BE: Tensor


class MinimalMixer(Mixer):
    """Abstract: a subclass says how many `parts` it projects to and what the gate is made of.

    Initialised as torch.nn.Linear is (uniform, one over the square root of the inputs).
    """

    parts: ClassVar[int]  # of the projection in, the candidate included
    operation = minimal_recurrence
    complexity = Complexity("T D E", "T, or log T by scan", "T", "E")

    def __init__(self, width: int, config: MinimalConfig) -> None:
        super().__init__(width, config)
        self.inner_width = _inner_width(width, config.expansion)
        self.candidate = config.candidate
        self.in_proj = nn.Linear(width, self.parts * self.inner_width, bias=config.bias)
        self.out_proj = (
            nn.Linear(self.inner_width, width, bias=config.bias) if config.expansion != 1 else None
        )

    @abstractmethod
    def gate_and_value(self, parts_BTF: Tensor) -> tuple[Tensor, Tensor]:
        """What z is the sigmoid of, and what c is g of, [B, T, E] each, from the projection."""

    def mix(
        self, x_BTD: Tensor, state: MinimalState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, MinimalState]:
        h_BTE = minimal_recurrence(
            *self.gate_and_value(self.in_proj(x_BTD)),
            None if state is None else state.h_BE,
            lengths_B,
            candidate=self.candidate,
            algorithm=self.algorithm,
        )
        y_BTE = h_BTE.to(x_BTD.dtype)
        y_BTD = y_BTE if self.out_proj is None else self.out_proj(y_BTE)
        # a copy: a view would keep the states of all positions alive
        return y_BTD, MinimalState(h_BTE[:, -1].clone())

    def initial_state(self, batch_size: int, max_length: int = 0) -> MinimalState:
        weight = self.in_proj.weight
        dtype = torch.promote_types(weight.dtype, torch.float32)
        return MinimalState(weight.new_zeros(batch_size, self.inner_width, dtype=dtype))

    def flops(self, length: int) -> int:
        projections = self.parts + (self.out_proj is not None)
        per_position = 2 * projections * self.width * self.inner_width + 2 * self.inner_width
        return length * per_position

    def state_bytes(self, length: int) -> int:
        return self.inner_width * max(4, self.in_proj.weight.element_size())

    def serial_steps(self, length: int) -> int:
        return 2 + (self.out_proj is not None) + self.algorithm_steps(length)

    def path_length(self, distance: int) -> int:
        return distance

    def reach(self) -> float:
        return math.inf


def _inner_width(width: int, expansion: float) -> int:
    """expansion * width, rounded. Raises UserError where nothing would be left."""
    inner = round(expansion * width)
    if width < 1 or inner < 1:
        raise UserError(
            f"width {width} with expansion {expansion:g} leaves no channel: "
            "their product must be at least 1"
        )
    return inner
