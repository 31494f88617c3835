"""The stack-augmented recurrent network: a simple recurrent network that pushes and pops.

Joulin and Mikolov 2015, "Inferring Algorithmic Patterns with Stack-Augmented Recurrent Nets",
arXiv:1503.01007, section 3, with the no-op of its section 3.1.

    h_t     = f(W x_t + U h_{t-1} + P top_{t-1} + b),   y_t = h_t       top: slot 0 of every stack
    push, pop, no-op = softmax(A h_t + b_a);  value = g(V h_t + b_v)               for each stack
    s_t[0]  = push value + pop s_{t-1}[1] + no-op s_{t-1}[0]
    s_t[i]  = push s_{t-1}[i-1] + pop s_{t-1}[i+1] + no-op s_{t-1}[i]

The actions are shares, so that gradients flow through them. A stack has a fixed number of slots:
what sinks below the last is lost. Deletang et al. 2023 ("Neural Networks and the Chomsky
Hierarchy", arXiv:2207.02098) take ReLU for f and push a linear value; the first paper has sigmoids
for both. The default is a linear value and tanh, which learns as fast as ReLU and stays bounded;
`nonlinearity` and `value` give the published ones. The softmax of Deletang et al. goes over the
actions of all stacks together, which is the same for one stack; here each stack has its own.

Glossary: D the width, in and out; E = D the hidden state; G stacks of C slots of K numbers. W is
`input_ED`, U `recurrent_EE` (the paper's R), P `top_EK`; A and the paper's D are the rows of
`action_FE`.
"""

import math
from typing import ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from seqarena.mixers.base import Complexity, Mixer, MixerConfig
from seqarena.ops import recurrent
from seqarena.ops.recurrent.stack_rnn import (
    Nonlinearity,
    StackRNNState,
    StackRNNWeights,
    Value,
    stack_rnn,
)

# product with the tops, its sum, f, actions, softmax, and a product and two sums for the move
_SERIAL_PER_STEP = 8


class StackRNNConfig(MixerConfig):
    """One stack of slots of 8, as Deletang et al. 2023 have it, and deep enough for the lengths
    that their tasks are trained on."""

    num_stacks: int = Field(default=1, ge=1)
    depth: int = Field(default=64, ge=2)  # slots of a stack
    cell_size: int = Field(default=8, ge=1)  # numbers of a slot
    nonlinearity: Nonlinearity = "tanh"
    value: Value = "linear"


class StackRNNMixerState(NamedTuple):
    """The hidden state and the stacks with their tops first, at least float32."""

    h_BE: Tensor
    stack_BGCK: Tensor


class StackRNN(Mixer):
    """One layer; its hidden size is the width, and there is no output projection.

    Every matrix and bias is uniform within one over the square root of its inputs, as torch.nn.
    """

    Config = StackRNNConfig
    operation = stack_rnn
    equation: ClassVar[str] = """\
h_t     = f(W x_t + U h_{t-1} + P top_{t-1} + b),   y_t = h_t       top: slot 0 of every stack
push, pop, no-op = softmax(A h_t + b_a);  value = g(V h_t + b_v)               for each stack
s_t[0]  = push value + pop s_{t-1}[1] + no-op s_{t-1}[0]
s_t[i]  = push s_{t-1}[i-1] + pop s_{t-1}[i+1] + no-op s_{t-1}[i]"""
    complexity: ClassVar[Complexity] = Complexity("T (D^2 + C K)", "T", "T", "D + C K")

    def __init__(self, width: int, config: StackRNNConfig) -> None:
        super().__init__(width, config)
        self.shape = config.num_stacks, config.depth, config.cell_size
        self.settings = config
        tops = config.num_stacks * config.cell_size
        actions = 3 * config.num_stacks + tops
        self.input_ED = nn.Parameter(torch.empty(width, width))
        self.recurrent_EE = nn.Parameter(torch.empty(width, width))
        self.top_EK = nn.Parameter(torch.empty(width, tops))
        self.bias_E = nn.Parameter(torch.empty(width))
        self.action_FE = nn.Parameter(torch.empty(actions, width))
        self.action_bias_F = nn.Parameter(torch.empty(actions))
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        for name, parameter in self.named_parameters():
            inputs = self.top_EK.shape[1] if name == "top_EK" else self.width
            nn.init.uniform_(parameter, -(inputs**-0.5), inputs**-0.5)

    def mix(
        self, x_BTD: Tensor, state: StackRNNMixerState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, StackRNNMixerState]:
        start = state if state is not None else self.initial_state(x_BTD.shape[0])
        weights = StackRNNWeights(
            self.input_ED,
            self.recurrent_EE,
            self.top_EK,
            self.bias_E,
            self.action_FE,
            self.action_bias_F,
        )
        y_BTE, end = stack_rnn(
            x_BTD,
            StackRNNState(*start),
            weights,
            lengths_B,
            nonlinearity=self.settings.nonlinearity,
            value=self.settings.value,
            algorithm=self.algorithm,
        )
        return y_BTE.to(x_BTD.dtype), StackRNNMixerState(*end)

    def initial_state(self, batch_size: int, max_length: int = 0) -> StackRNNMixerState:
        weight = self.recurrent_EE
        dtype = recurrent.state_dtype(weight.dtype)
        return StackRNNMixerState(
            weight.new_zeros(batch_size, self.width, dtype=dtype),
            weight.new_zeros(batch_size, *self.shape, dtype=dtype),
        )

    def flops(self, length: int) -> int:
        numbers = sum(w.numel() for w in (self.input_ED, self.recurrent_EE, self.top_EK))
        # every number of the stacks: three products and two sums
        return length * (2 * (numbers + self.action_FE.numel()) + 5 * math.prod(self.shape))

    def state_bytes(self, length: int) -> int:
        size = recurrent.state_dtype(self.recurrent_EE.dtype).itemsize
        return (self.width + math.prod(self.shape)) * size

    def serial_steps(self, length: int) -> int:
        """The input product, then each position after the one before."""
        return 1 + _SERIAL_PER_STEP * self.algorithm_steps(length)

    def path_length(self, distance: int) -> int:
        return distance

    def reach(self) -> float:
        return math.inf
