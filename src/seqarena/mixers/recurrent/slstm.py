"""sLSTM, the LSTM of xLSTM that mixes memory (Beck et al. 2024, "xLSTM: extended long short-term
memory", arXiv:2405.04517, section 2.2 and the block of its appendix).

    u_t = silu(causal depthwise convolution of x_t)
    i~, f~ = W u_t + R h_{t-1} + b,   z~, o~ = W x_t + R h_{t-1} + b      each its own rows
    m_t = max(i~, log sigmoid(f~) + m_{t-1})
    i' = exp(i~ - m_t),   f' = exp(log sigmoid(f~) + m_{t-1} - m_t)
    c_t = f' c_{t-1} + i' tanh(z~),   n_t = f' n_{t-1} + i'
    h_t = sigmoid(o~) c_t / n_t,   y_t = group norm of h_t, a group a head

The input gate is an exponential, so that a later input can outweigh all that is stored; n divides
what it has grown by, and m keeps the exponentials in range without changing h. W and R are
block-diagonal, a block a head: the heads do not see each other before the network after them.

Letters: D the width, in and out; E = D the hidden state; H heads; P = D / H features of a head,
Q the same where they are inputs; G = 4 P rows of a head in the order i, f, z, o; F = 4 E.
In the paper's letters: W is w and W, R is R, phi = tanh.

As in the authors' package: the forget gate is the sigmoid, R starts at zero, W is drawn with the
variance 2 / (5 D), and the forget bias falls from 5 to -7 over a head's features by a power law,
whose exponent their first block has (0.3; a layer does not know its place in the stack, with which
theirs rises). Left out: their block's own norm and gated network of 4/3 width, for which the stack
has its own; dropout. The group norm has its weight itself, where theirs is stored less one.
"""

import math
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.mixers.base import Complexity, Mixer, MixerConfig
from seqarena.mixers.convolution.short import ShortConvolution
from seqarena.ops import recurrent
from seqarena.ops.recurrent.slstm import SLSTMState, slstm

_GATES = 4
# product, sum, log sigmoid, sum, maximum, difference, exponential, multiply, sum, divide, multiply
_SERIAL_PER_STEP = 11
_ELEMENTWISE_FLOPS = 7  # f' c + i' z, f' n + i' and o c / n, a feature
_FORGET_BIAS_FIRST, _FORGET_BIAS_RANGE, _FORGET_BIAS_POWER = 5.0, 12.0, 0.3
_NORM_EPSILON = 1e-5


class SLSTMConfig(MixerConfig):
    """`num_heads` must divide the width. `kernel` taps of the convolution before i and f; 1 scales
    each input by itself."""

    num_heads: int = Field(4, ge=1)
    kernel: int = Field(4, ge=1)


class SLSTMLayerState(NamedTuple):
    """The convolution's last K - 1 inputs (of the parameters' dtype) and the recurrent state."""

    inputs_BKD: Tensor
    recurrent: SLSTMState


class SLSTM(Mixer):
    """Short convolution, recurrence and group norm; its hidden size is the width, and there is no
    output projection."""

    Config = SLSTMConfig
    operation = slstm
    equation: ClassVar[str] = """\
m_t = max(i~, log sigmoid(f~) + m_{t-1})
i' = exp(i~ - m_t),   f' = exp(log sigmoid(f~) + m_{t-1} - m_t)
c_t = f' c_{t-1} + i' tanh(z~),   n_t = f' n_{t-1} + i'
h_t = sigmoid(o~) c_t / n_t,   y_t = group norm of h_t, a group a head"""
    complexity: ClassVar[Complexity] = Complexity("T D^2 / H", "T", "T", "D")

    def __init__(self, width: int, config: SLSTMConfig) -> None:
        super().__init__(width, config)
        if width % config.num_heads:
            raise UserError(
                f"slstm: a width of {width} does not divide into {config.num_heads} heads"
            )
        self.heads, features = config.num_heads, width // config.num_heads
        self.convolution = ShortConvolution(width, config.kernel, bias=True)
        self.input_4HPQ = nn.Parameter(torch.empty(_GATES, self.heads, features, features))
        self.recurrent_HGP = nn.Parameter(torch.empty(self.heads, _GATES * features, features))
        self.bias_F = nn.Parameter(torch.empty(_GATES * width))
        self.norm_D = nn.Parameter(torch.empty(width))
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        nn.init.normal_(self.input_4HPQ, std=math.sqrt(2 / (5 * self.width)))
        nn.init.zeros_(self.recurrent_HGP)
        nn.init.ones_(self.norm_D)
        nn.init.zeros_(self.bias_F)
        features = self.width // self.heads
        place_P = torch.arange(features) / max(features - 1, 1)
        forget_P = _FORGET_BIAS_FIRST - _FORGET_BIAS_RANGE * place_P**_FORGET_BIAS_POWER
        self.bias_F.chunk(_GATES)[1].copy_(forget_P.repeat(self.heads))

    def mix(
        self, x_BTD: Tensor, state: SLSTMLayerState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, SLSTMLayerState]:
        start = state if state is not None else self.initial_state(x_BTD.shape[0])
        u_BTD, inputs_BKD = self.convolution(x_BTD, start.inputs_BKD, lengths_B)
        for_i_and_f, for_z_and_o = self.input_4HPQ.chunk(2)
        parts = (self._project(u_BTD, for_i_and_f), self._project(x_BTD, for_z_and_o))
        gates_BTF = torch.cat(parts, dim=2) + self.bias_F
        h_BTE, final = slstm(
            gates_BTF, start.recurrent, self.recurrent_HGP, lengths_B, algorithm=self.algorithm
        )
        normed_ND = F.group_norm(h_BTE.flatten(0, 1), self.heads, self.norm_D, eps=_NORM_EPSILON)
        y_BTD = normed_ND.view_as(x_BTD).to(x_BTD.dtype)
        return y_BTD, SLSTMLayerState(inputs_BKD, final)

    def _project(self, x_BTD: Tensor, weight_2HPQ: Tensor) -> Tensor:
        """Two gates' part of the input, each head from its own features: [B, T, 2 D]."""
        x_BTHQ = x_BTD.unflatten(2, (self.heads, -1))
        return torch.einsum("bthq,khpq->btkhp", x_BTHQ, weight_2HPQ).flatten(2)

    def initial_state(self, batch_size: int, max_length: int = 0) -> SLSTMLayerState:
        """Zeros: a normaliser of zero says that nothing has been taken in."""
        dtype = recurrent.state_dtype(self.bias_F.dtype)
        zeros = (
            self.bias_F.new_zeros(batch_size, self.width, dtype=dtype) for _ in SLSTMState._fields
        )
        return SLSTMLayerState(self.convolution.initial_history(batch_size), SLSTMState(*zeros))

    def flops(self, length: int) -> int:
        """The convolution, W x and R h for four gates within heads, and the recurrence itself."""
        products = 4 * _GATES * self.width**2 // self.heads
        per_position = products + _ELEMENTWISE_FLOPS * self.width
        return length * per_position + self.convolution.flops(length)

    def state_bytes(self, length: int) -> int:
        """The convolution's inputs and 4 D numbers, whatever the length."""
        size = recurrent.state_dtype(self.bias_F.dtype).itemsize
        return self.convolution.history_bytes() + len(SLSTMState._fields) * self.width * size

    def serial_steps(self, length: int) -> int:
        """Convolution, activation and input product; each position after the one before; norm."""
        return 4 + _SERIAL_PER_STEP * self.algorithm_steps(length)

    def path_length(self, distance: int) -> int:
        """One step a position."""
        return distance

    def reach(self) -> float:
        """All of the past, through the state."""
        return math.inf
