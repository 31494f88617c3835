"""Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate of Gers et al. 2000).

    i, f, o = sigmoid(W x_t + U h_{t-1} + b),   g = tanh(W x_t + U h_{t-1} + b)
    c_t = f * c_{t-1} + i * g
    h_t = o * tanh(c_t),   y_t = h_t

With peepholes (Gers & Schmidhuber 2000; here as in Graves 2013, equations 7 to 11) each gate also
sees its own feature of the cell:

    i = sigmoid(... + p_i * c_{t-1}),   f = sigmoid(... + p_f * c_{t-1})
    o = sigmoid(... + p_o * c_t)

Letters: D the width, in and out; E = D the hidden state; F = 4 E the rows of i, f, g and o. W is
`input_FD`, U `recurrent_FE`, b `bias_F`, p `peepholes_3E`; i, f, o are the input, forget and output
gates, g the candidate, c the memory cell. In Graves' letters: W_x., W_h., b and W_c..
"""

import math
from abc import abstractmethod
from typing import Any, ClassVar, Literal

import torch
from pydantic import model_validator
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.mixers.base import Complexity, Mixer, MixerConfig
from seqarena.ops import recurrent
from seqarena.ops.recurrent.lstm import LSTMState, LSTMWeights, lstm, lstm_peephole
from seqarena.ops.registry import Operation

ELEMENTWISE_FLOPS = 4  # f c + i g and o tanh(c), a feature
_PEEPHOLE_FLOPS = 6  # three multiply-adds a feature
_PEEPHOLE_STEPS = 3  # a sum before c_t, a multiplication and a sum after it
_FORGET_BIAS = 1.0  # Jozefowicz et al. 2015, section 5


class LSTMConfig(MixerConfig):
    """`uniform` draws every parameter from +-1/sqrt(D), as torch.nn.LSTM, and then sets the forget
    gate's bias to `forget_bias` (1: Jozefowicz et al. 2015). `chrono` draws the forget gate's bias
    as log(u), u uniform in [1, max_time_steps - 1], and sets the input gate's to minus that, so
    that memories last up to `max_time_steps` positions (Tallec & Ollivier 2018, equation 16).
    `peepholes` lets the gates see the cell; no library kernel has them.

    Raises UserError for fields that contradict each other.
    """

    initialisation: Literal["uniform", "chrono"] = "uniform"
    forget_bias: float = _FORGET_BIAS
    max_time_steps: int | None = None
    peepholes: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> "LSTMConfig":
        if self.initialisation == "uniform" and self.max_time_steps is not None:
            raise UserError("lstm: max_time_steps belongs to initialisation='chrono': leave it out")
        if self.initialisation == "chrono":
            if self.max_time_steps is None or self.max_time_steps < 3:
                raise UserError(
                    "lstm: initialisation='chrono' needs max_time_steps >= 3, the longest memory"
                )
            if self.forget_bias != _FORGET_BIAS:
                raise UserError(
                    "lstm: initialisation='chrono' draws the forget bias: leave forget_bias out"
                )
        return self


class LSTMCell(Mixer):
    """Abstract: one layer whose hidden size is the width, without an output projection. A subclass
    has the bias `bias_F`, says what the matrices are made of, and counts their products."""

    operation = lstm
    serial_per_step: ClassVar[int] = 7  # product, sum, sigmoid, multiply, sum, tanh, multiply
    bias_F: nn.Parameter
    peepholes_3E: nn.Parameter | None  # None: the gates do not see the cell

    def __init__(self, width: int, config: MixerConfig) -> None:
        super().__init__(width, config)
        self.register_parameter("peepholes_3E", None)

    @abstractmethod
    def matrices(self) -> tuple[Tensor, Tensor]:
        """W and U, [F, D] and [F, E]."""

    def mix(
        self, x_BTD: Tensor, state: LSTMState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, LSTMState]:
        """One call of the operation."""
        start = state if state is not None else self.initial_state(x_BTD.shape[0])
        weights = LSTMWeights(*self.matrices(), self.bias_F, self.peepholes_3E)
        compute = lstm if self.peepholes_3E is None else lstm_peephole
        y_BTE, state = compute(x_BTD, start, weights, lengths_B, algorithm=self.algorithm)
        return y_BTE.to(x_BTD.dtype), state

    def initial_state(self, batch_size: int, max_length: int = 0) -> LSTMState:
        """Zeros."""
        dtype = recurrent.state_dtype(self.bias_F.dtype)
        zeros_BE = self.bias_F.new_zeros(batch_size, self.width, dtype=dtype)
        return LSTMState(zeros_BE, zeros_BE.clone())

    def state_bytes(self, length: int) -> int:
        """2 D numbers, whatever the length."""
        return 2 * self.width * recurrent.state_dtype(self.bias_F.dtype).itemsize

    def serial_steps(self, length: int) -> int:
        """The input product, then each position after the one before."""
        peepholes = 0 if self.peepholes_3E is None else _PEEPHOLE_STEPS
        return 1 + (self.serial_per_step + peepholes) * self.algorithm_steps(length)

    def path_length(self, distance: int) -> int:
        """One step a position."""
        return distance

    def reach(self) -> float:
        """All of the past, through the state."""
        return math.inf


class LSTM(LSTMCell):
    """The layer with two full matrices."""

    Config = LSTMConfig
    equation: ClassVar[str] = """\
i, f, o = sigmoid(W x_t + U h_{t-1} + b),   g = tanh(W x_t + U h_{t-1} + b)
c_t = f * c_{t-1} + i * g
h_t = o * tanh(c_t),   y_t = h_t"""
    complexity: ClassVar[Complexity] = Complexity("T D^2", "T", "T", "D")

    def __init__(self, width: int, config: LSTMConfig) -> None:
        super().__init__(width, config)
        self.input_FD = nn.Parameter(torch.empty(4 * width, width))
        self.recurrent_FE = nn.Parameter(torch.empty(4 * width, width))
        self.bias_F = nn.Parameter(torch.empty(4 * width))
        if config.peepholes:
            self.peepholes_3E = nn.Parameter(torch.empty(3, width))
        self._initialise(config)

    @classmethod
    def operation_of(cls, config: MixerConfig) -> Operation[..., Any]:
        """With peepholes another operation: the library has a kernel without them only."""
        assert isinstance(config, LSTMConfig)
        return lstm_peephole if config.peepholes else lstm

    @torch.no_grad()
    def _initialise(self, config: LSTMConfig) -> None:
        bound = 1.0 / math.sqrt(self.width)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)
        input_bias, forget_bias, _, _ = self.bias_F.chunk(4)
        if config.max_time_steps is None:
            forget_bias.fill_(config.forget_bias)
        else:
            forget_bias.uniform_(1, config.max_time_steps - 1).log_()
            input_bias.copy_(-forget_bias)

    def matrices(self) -> tuple[Tensor, Tensor]:
        return self.input_FD, self.recurrent_FE

    def flops(self, length: int) -> int:
        """W x and U h for four gates, 16 D^2 a position, and the recurrence itself."""
        peepholes = 0 if self.peepholes_3E is None else _PEEPHOLE_FLOPS
        return length * (16 * self.width**2 + (ELEMENTWISE_FLOPS + peepholes) * self.width)
