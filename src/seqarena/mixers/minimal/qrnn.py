"""The quasi-recurrent network: a convolution makes candidates and gates, a blend carries them on.

Bradbury, Merity, Xiong and Socher 2017, "Quasi-Recurrent Neural Networks", arXiv:1611.01576,
section 2, with fo-pooling.

    z_t, f_t, o_t = tanh, sigmoid, sigmoid of (W x_t + V x_{t-1} + .. + b)     K positions
    c_t = f_t c_{t-1} + (1 - f_t) z_t
    y_t = o_t c_t

The recurrence is diagonal and linear, because the gates see inputs alone. Zoneout and the dense
connections of section 2.1 are left out.

Letters: B batch, T time, D width, E = D channels of the cell, K window.
"""

import math
from typing import ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.core.shapes import at_least_float32
from seqarena.mixers.base import Complexity, Mixer, MixerConfig
from seqarena.ops.history import extend, windows
from seqarena.ops.minimal import minimal_recurrence


class QRNNConfig(MixerConfig):
    """The window is the paper's for language modelling."""

    window: int = Field(default=2, ge=1)


class QRNNState(NamedTuple):
    """The cell, at least float32, and the last K - 1 inputs, of the parameters' dtype."""

    c_BE: Tensor
    inputs_BKD: Tensor


class QRNN(Mixer):
    """One matrix for a window of inputs, the blend, and the output gate.

    Initialised as torch.nn.Linear is, like the authors' code.
    """

    Config = QRNNConfig
    operation = minimal_recurrence
    equation: ClassVar[str] = """\
z_t, f_t, o_t = tanh, sigmoid, sigmoid of (W x_t + V x_{t-1} + .. + b)     K positions
c_t = f_t c_{t-1} + (1 - f_t) z_t
y_t = o_t c_t"""
    complexity = Complexity("T K D^2", "T, or log T by scan", "T", "D")

    def __init__(self, width: int, config: QRNNConfig) -> None:
        super().__init__(width, config)
        if width < 1:
            raise UserError(f"width {width}: it must be at least 1")
        self.past = config.window - 1
        self.in_proj = nn.Linear(config.window * width, 3 * width)  # the oldest input first

    def mix(
        self, x_BTD: Tensor, state: QRNNState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, QRNNState]:
        state = self.initial_state(x_BTD.shape[0]) if state is None else state
        x_BPD, inputs_BKD = extend(x_BTD, state.inputs_BKD.to(x_BTD.dtype), self.past, lengths_B)
        z_BTE, f_BTE, o_BTE = self.in_proj(windows(x_BPD, self.past + 1)).chunk(3, dim=-1)
        c_BTE = minimal_recurrence(
            -at_least_float32(f_BTE),  # the blend's gate takes in what the forget gate lets go
            at_least_float32(z_BTE).tanh(),
            state.c_BE,
            lengths_B,
            candidate="linear",
            algorithm=self.algorithm,
        )
        y_BTD = (at_least_float32(o_BTE).sigmoid() * c_BTE).to(x_BTD.dtype)
        # a view would keep the cells of all positions alive
        state = QRNNState(c_BTE[:, -1].clone(), inputs_BKD.to(state.inputs_BKD.dtype))
        return y_BTD, state

    def initial_state(self, batch_size: int, max_length: int = 0) -> QRNNState:
        weight = self.in_proj.weight
        dtype = torch.promote_types(weight.dtype, torch.float32)
        return QRNNState(
            weight.new_zeros(batch_size, self.width, dtype=dtype),
            weight.new_zeros(batch_size, self.past, self.width),
        )

    def flops(self, length: int) -> int:
        # a multiply-add of the blend and the output gate
        return length * (2 * self.in_proj.weight.numel() + 3 * self.width)

    def state_bytes(self, length: int) -> int:
        size = self.in_proj.weight.element_size()
        return self.width * (max(4, size) + self.past * size)

    def serial_steps(self, length: int) -> int:
        # project, gates; then the blend and the output gate
        return 3 + self.algorithm_steps(length)

    def path_length(self, distance: int) -> int:
        return distance

    def reach(self) -> float:
        return math.inf
