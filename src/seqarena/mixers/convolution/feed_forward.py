"""A feed-forward network over a window: the neural language model of Bengio et al. 2003.

    h_t = tanh(d + H [x_(t-W+1); ...; x_t])         y_t = b + U h_t

The baseline without memory: what lies W positions back cannot matter. Before the start of a
sequence the window holds zeros. H acting on a sliding window is a convolution with W taps.

    B batch   T time   D width   W window   F hidden features

    paper     here
    H, d      weight_WDF, bias_F
    U, b      outward
    n - 1     window (the paper predicts from the n - 1 words before; here x_t is the newest)
"""

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.mixers.base import Complexity, Mixer, MixerConfig
from seqarena.ops.convolution import causal_convolution
from seqarena.ops.padding import take_last


class FeedForwardConfig(MixerConfig):
    """`window` positions with the newest; `hidden` features, None: as many as the width."""

    window: int = 8
    hidden: int | None = None


class FeedForwardState(NamedTuple):
    """The last W - 1 inputs: zeros before the sequence's start."""

    x_BPD: Tensor


class FeedForward(Mixer):
    """One hidden layer over the last W positions."""

    Config = FeedForwardConfig
    operation = causal_convolution
    measured_case: ClassVar[str] = "8 adjacent taps"
    equation: ClassVar[str] = "h_t = tanh(d + H [x_(t-W+1); ...; x_t])         y_t = b + U h_t"
    complexity = Complexity(work="T W D^2", serial_steps="1", path_length="T / W", state="W D")

    def __init__(self, width: int, config: FeedForwardConfig) -> None:
        super().__init__(width, config)
        hidden = width if config.hidden is None else config.hidden
        if config.window < 2 or hidden < 1:
            raise UserError(
                f"a window of {config.window} with {hidden} hidden features mixes no positions: "
                "use a window of at least 2 and at least 1 hidden feature"
            )
        self.history = config.window - 1
        self.weight_WDF = nn.Parameter(torch.empty(config.window, width, hidden))
        self.bias_F = nn.Parameter(torch.empty(hidden))
        self.outward = nn.Linear(hidden, width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the weights: Xavier uniform before the tanh, as torch.nn after it."""
        window, width, hidden = self.weight_WDF.shape
        bound = (6 / (window * width + hidden)) ** 0.5
        nn.init.uniform_(self.weight_WDF, -bound, bound)
        nn.init.zeros_(self.bias_F)
        self.outward.reset_parameters()

    def mix(
        self, x_BTD: Tensor, state: FeedForwardState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, FeedForwardState]:
        if state is None:
            state = FeedForwardState(x_BTD.new_zeros(x_BTD.shape[0], self.history, self.width))
        x_BPD = torch.cat((state.x_BPD, x_BTD), dim=1)
        h_BTF = causal_convolution(x_BPD, self.weight_WDF, self.bias_F, 1, self.algorithm).tanh()
        ends_B = None if lengths_B is None else lengths_B + self.history
        # a view would keep all positions of the call alive
        state = FeedForwardState(take_last(x_BPD, ends_B, self.history).clone())
        return self.outward(h_BTF), state

    def initial_state(self, batch_size: int, max_length: int = 0) -> FeedForwardState:
        return FeedForwardState(self.weight_WDF.new_zeros(batch_size, self.history, self.width))

    def flops(self, length: int) -> int:
        return length * 2 * (self.weight_WDF.numel() + self.outward.weight.numel())

    def state_bytes(self, length: int) -> int:
        return self.history * self.width * self.weight_WDF.element_size()

    def serial_steps(self, length: int) -> int:
        # the window's product; then tanh and project
        return self.algorithm_steps(length, taps=len(self.weight_WDF)) + 2

    def path_length(self, distance: int) -> int:
        return -(-distance // self.history)

    def reach(self) -> float:
        return self.history
