"""The simple recurrent network (Elman 1990, "Finding structure in time").

    h_t = f(W x_t + U h_{t-1} + b),   y_t = h_t

Letters: D the width, in and out; E = D the hidden state. W is `input_ED`, U `recurrent_EE`,
b `bias_E`; f is tanh or ReLU. With ReLU and the identity initialisation this is the IRNN (Le,
Jaitly & Hinton 2015, "A simple way to initialize recurrent networks of rectified linear units").
The backward through time is that of Werbos 1990.
"""

import math
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from seqarena.mixers.base import Complexity, Mixer, MixerConfig
from seqarena.ops import recurrent
from seqarena.ops.recurrent.elman import ElmanWeights, Nonlinearity, elman

_SERIAL_PER_STEP = 3  # product, sum, nonlinearity
_IDENTITY_INPUT_DEVIATION = 1e-3  # Le et al. 2015, section 3


class ElmanConfig(MixerConfig):
    """`uniform` draws every parameter from +-1/sqrt(D), as torch.nn.RNN; `identity` sets U to the
    identity, b to zero and draws W from a normal of deviation 0.001 (Le et al. 2015).
    """

    nonlinearity: Nonlinearity = "tanh"
    initialisation: Literal["uniform", "identity"] = "uniform"


class ElmanState(NamedTuple):
    """The hidden state, at least float32."""

    h_BE: Tensor


class Elman(Mixer):
    """One layer; its hidden size is the width, and there is no output projection."""

    Config = ElmanConfig
    operation = elman
    equation: ClassVar[str] = "h_t = f(W x_t + U h_{t-1} + b),   y_t = h_t"
    complexity: ClassVar[Complexity] = Complexity("T D^2", "T", "T", "D")

    def __init__(self, width: int, config: ElmanConfig) -> None:
        super().__init__(width, config)
        self.settings = config
        self.input_ED = nn.Parameter(torch.empty(width, width))
        self.recurrent_EE = nn.Parameter(torch.empty(width, width))
        self.bias_E = nn.Parameter(torch.empty(width))
        self._initialise(config.initialisation)

    @torch.no_grad()
    def _initialise(self, how: str) -> None:
        if how == "identity":
            nn.init.normal_(self.input_ED, std=_IDENTITY_INPUT_DEVIATION)
            nn.init.eye_(self.recurrent_EE)
            nn.init.zeros_(self.bias_E)
            return
        bound = 1.0 / math.sqrt(self.width)
        for parameter in (self.input_ED, self.recurrent_EE, self.bias_E):
            nn.init.uniform_(parameter, -bound, bound)

    def mix(
        self, x_BTD: Tensor, state: ElmanState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, ElmanState]:
        """One call of the operation."""
        start = state if state is not None else self.initial_state(x_BTD.shape[0])
        y_BTE, h_BE = elman(
            x_BTD,
            start.h_BE,
            ElmanWeights(self.input_ED, self.recurrent_EE, self.bias_E),
            lengths_B,
            nonlinearity=self.settings.nonlinearity,
            algorithm=self.algorithm,
        )
        return y_BTE.to(x_BTD.dtype), ElmanState(h_BE)

    def initial_state(self, batch_size: int, max_length: int = 0) -> ElmanState:
        """Zeros."""
        weight = self.recurrent_EE
        return ElmanState(
            weight.new_zeros(batch_size, self.width, dtype=recurrent.state_dtype(weight.dtype))
        )

    def flops(self, length: int) -> int:
        """W x and U h: 4 D^2 a position."""
        return length * 4 * self.width**2

    def state_bytes(self, length: int) -> int:
        """D numbers, whatever the length."""
        return self.width * recurrent.state_dtype(self.recurrent_EE.dtype).itemsize

    def serial_steps(self, length: int) -> int:
        """The input product, then each position after the one before."""
        return 1 + _SERIAL_PER_STEP * self.algorithm_steps(length)

    def path_length(self, distance: int) -> int:
        """One step a position."""
        return distance

    def reach(self) -> float:
        """All of the past, through the state."""
        return math.inf
