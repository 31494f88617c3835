"""The gated recurrent unit (Cho et al. 2014, "Learning phrase representations using RNN
encoder-decoder for statistical machine translation").

    r, z = sigmoid(W x_t + U h_{t-1} + b)
    n = tanh(W x_t + r * (U h_{t-1} + b') + b)     or     n = tanh(W x_t + U (r * h_{t-1}) + b)
    h_t = (1 - z) * n + z * h_{t-1},   y_t = h_t

Letters: D the width, in and out; E = D the hidden state; F = 3 E the rows of r, z and n. W is
`input_FD`, U `recurrent_FE`, b `bias_F`, b' `inner_bias_E`. r is the paper's reset gate, z its
update gate, n its candidate (h tilde).
"""

import math
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from seqarena.mixers.base import Complexity, Mixer, MixerConfig
from seqarena.ops import recurrent
from seqarena.ops.recurrent.gru import GRUWeights, gru, gru_reset_before
from seqarena.ops.registry import Operation

# product, sum, sigmoid, [multiply, sum | multiply, product, sum], tanh, multiply, sum
_SERIAL_PER_STEP = {"after": 8, "before": 9}
# multiplications and sums a feature: r u + x and the mixture of n and h; r h and the mixture
_ELEMENTWISE_FLOPS = {"after": 5, "before": 4}


class GRUConfig(MixerConfig):
    """`reset`: whether the reset gate acts "after" the recurrent product (third version of the
    paper, torch.nn.GRU, with an inner bias) or "before" it (first version; no library kernel).

    Every parameter is drawn from +-1/sqrt(D), as torch.nn.GRU does.
    """

    reset: Literal["after", "before"] = "after"


class GRUState(NamedTuple):
    """The hidden state, at least float32."""

    h_BE: Tensor


class GRU(Mixer):
    """One layer; its hidden size is the width, and there is no output projection."""

    Config = GRUConfig
    equation: ClassVar[str] = """\
r, z = sigmoid(W x_t + U h_{t-1} + b)
n = tanh(W x_t + r * (U h_{t-1} + b') + b)     or     n = tanh(W x_t + U (r * h_{t-1}) + b)
h_t = (1 - z) * n + z * h_{t-1},   y_t = h_t"""
    complexity: ClassVar[Complexity] = Complexity("T D^2", "T", "T", "D")

    def __init__(self, width: int, config: GRUConfig) -> None:
        super().__init__(width, config)
        self.reset = config.reset
        self.input_FD = nn.Parameter(torch.empty(3 * width, width))
        self.recurrent_FE = nn.Parameter(torch.empty(3 * width, width))
        self.bias_F = nn.Parameter(torch.empty(3 * width))
        self.inner_bias_E = nn.Parameter(torch.empty(width)) if config.reset == "after" else None
        bound = 1.0 / math.sqrt(width)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    @classmethod
    def operation_of(cls, config: MixerConfig) -> Operation[..., Any]:
        """The two resets are two operations: the library has a kernel for one of them."""
        assert isinstance(config, GRUConfig)
        return gru if config.reset == "after" else gru_reset_before

    def mix(
        self, x_BTD: Tensor, state: GRUState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, GRUState]:
        """One call of the operation."""
        start = state if state is not None else self.initial_state(x_BTD.shape[0])
        weights = GRUWeights(self.input_FD, self.recurrent_FE, self.bias_F, self.inner_bias_E)
        compute = gru if self.reset == "after" else gru_reset_before
        y_BTE, h_BE = compute(x_BTD, start.h_BE, weights, lengths_B, algorithm=self.algorithm)
        return y_BTE.to(x_BTD.dtype), GRUState(h_BE)

    def initial_state(self, batch_size: int, max_length: int = 0) -> GRUState:
        """Zeros."""
        weight = self.recurrent_FE
        return GRUState(
            weight.new_zeros(batch_size, self.width, dtype=recurrent.state_dtype(weight.dtype))
        )

    def flops(self, length: int) -> int:
        """W x and U h for three gates, 12 D^2 a position, and the recurrence itself."""
        return length * (12 * self.width**2 + _ELEMENTWISE_FLOPS[self.reset] * self.width)

    def state_bytes(self, length: int) -> int:
        """D numbers, whatever the length."""
        return self.width * recurrent.state_dtype(self.recurrent_FE.dtype).itemsize

    def serial_steps(self, length: int) -> int:
        """The input product, then each position after the one before."""
        return 1 + _SERIAL_PER_STEP[self.reset] * self.algorithm_steps(length)

    def path_length(self, distance: int) -> int:
        """One step a position."""
        return distance

    def reach(self) -> float:
        """All of the past, through the state."""
        return math.inf
