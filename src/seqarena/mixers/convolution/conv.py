"""Causal dilated convolution: a layer of WaveNet (van den Oord et al. 2016) or of a TCN (2018).

    c_t   = b + sum_k W_k x_(t - (K - 1 - k) dilation)          K taps, D features each
    gated:  y_t = W_o (tanh(first half of c_t) * sigmoid(second half of c_t)) + b_o
    relu:   y_t = relu(c_t)

"gated" is WaveNet's unit (equation 2) with its 1 x 1 convolution; "relu" is one of the two
convolutions of a TCN block (Bai et al. 2018), without the weight normalisation. Dilations that
grow from layer to layer make the reach of a stack grow as their sum.

    B batch   T time   D width   K taps   P = (K - 1) dilation: positions of history

    paper       here
    W_f, W_g    weight_KDF, filter features first, then gate features
    *           ops.convolution.causal_convolution
"""

from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.mixers.base import Complexity, Mixer, MixerConfig
from seqarena.ops.convolution import causal_convolution
from seqarena.ops.padding import take_last


class ConvConfig(MixerConfig):
    """`kernel` taps, `dilation` positions apart. A stack lists a configuration a layer."""

    kernel: int = 3
    dilation: int = 1
    activation: Literal["gated", "relu"] = "gated"


class ConvState(NamedTuple):
    """The last (K - 1) * dilation inputs: zeros before the sequence's start."""

    x_BPD: Tensor


class Conv(Mixer):
    """A full causal convolution along time, gated or rectified."""

    Config = ConvConfig
    operation = causal_convolution
    equation: ClassVar[str] = """\
c_t   = b + sum_k W_k x_(t - (K - 1 - k) dilation)          K taps, D features each
gated:  y_t = W_o (tanh(first half of c_t) * sigmoid(second half of c_t)) + b_o
relu:   y_t = relu(c_t)"""
    complexity = Complexity(
        work="T K D^2", serial_steps="1", path_length="T / (K dilation)", state="K dilation D"
    )

    def __init__(self, width: int, config: ConvConfig) -> None:
        super().__init__(width, config)
        if config.kernel < 2 or config.dilation < 1:
            raise UserError(
                f"a kernel of {config.kernel} taps with dilation {config.dilation} mixes no "
                "positions: use a kernel of at least 2 and a dilation of at least 1"
            )
        self.dilation = config.dilation
        self.history = (config.kernel - 1) * config.dilation
        features = 2 * width if config.activation == "gated" else width
        self.weight_KDF = nn.Parameter(torch.empty(config.kernel, width, features))
        self.bias_F = nn.Parameter(torch.empty(features))
        self.outward = nn.Linear(width, width) if config.activation == "gated" else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the weights as torch.nn does: uniform within 1 / sqrt(taps * width)."""
        taps, width, _ = self.weight_KDF.shape
        bound = (taps * width) ** -0.5
        nn.init.uniform_(self.weight_KDF, -bound, bound)
        nn.init.uniform_(self.bias_F, -bound, bound)
        if self.outward is not None:
            self.outward.reset_parameters()

    def mix(
        self, x_BTD: Tensor, state: ConvState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, ConvState]:
        if state is None:
            state = ConvState(x_BTD.new_zeros(x_BTD.shape[0], self.history, self.width))
        x_BPD = torch.cat((state.x_BPD, x_BTD), dim=1)
        c_BTF = causal_convolution(
            x_BPD, self.weight_KDF, self.bias_F, self.dilation, self.algorithm
        )
        if self.outward is None:
            y_BTD = c_BTF.relu()
        else:
            filter_BTD, gate_BTD = c_BTF.chunk(2, dim=-1)
            y_BTD = self.outward(filter_BTD.tanh() * gate_BTD.sigmoid())
        ends_B = None if lengths_B is None else lengths_B + self.history
        # a view would keep all positions of the call alive
        return y_BTD, ConvState(take_last(x_BPD, ends_B, self.history).clone())

    def initial_state(self, batch_size: int, max_length: int = 0) -> ConvState:
        return ConvState(self.weight_KDF.new_zeros(batch_size, self.history, self.width))

    def flops(self, length: int) -> int:
        outward = 0 if self.outward is None else 2 * self.width * self.width
        return length * (2 * self.weight_KDF.numel() + outward)

    def state_bytes(self, length: int) -> int:
        return self.history * self.width * self.weight_KDF.element_size()

    def serial_steps(self, length: int) -> int:
        # convolve; then relu, or tanh, gate and project
        convolving = self.algorithm_steps(length, taps=len(self.weight_KDF))
        return convolving + (1 if self.outward is None else 3)

    def path_length(self, distance: int) -> int:
        """Layers like this one; with a dilation, others of the stack must fill the gaps."""
        return -(-distance // self.history)

    def reach(self) -> float:
        return self.history
