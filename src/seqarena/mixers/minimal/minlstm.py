"""minLSTM: a long short-term memory whose gates and candidate see the input only.

Feng, Tung, Ahmed, Bengio and Hajimirsadegh 2024, "Were RNNs All We Needed?", arXiv:2410.01201.

    f_t, i_t = sigmoid(W_f x_t), sigmoid(W_i x_t)     forget and input gate
    c_t = g(W_h x_t)                                  candidate (the paper's h tilde)
    h_t = f_t / (f_t + i_t) * h_{t-1} + i_t / (f_t + i_t) * c_t

The two shares sum to one, so the state's scale does not drift with the length. They are computed
as sigmoid(log i - log f) and its complement, which stays exact where both gates are nearly closed:
this is minGRU's recurrence with another gate. What g is: mixers/minimal/cell.py.
"""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from seqarena.core.errors import UserError
from seqarena.core.shapes import at_least_float32
from seqarena.mixers.minimal.cell import MinimalConfig, MinimalMixer


class MinLSTMConfig(MinimalConfig):
    """`forget_bias` is what the paper studies in addition to the cell."""

    forget_bias: float = 0.0  # added to the forget gate's bias at initialisation; needs bias


class MinLSTM(MinimalMixer):
    """One projection to both gates and the candidate, the recurrence, one out if expanded."""

    Config = MinLSTMConfig
    equation: ClassVar[str] = """\
f_t, i_t = sigmoid(W_f x_t), sigmoid(W_i x_t)     forget and input gate
c_t = g(W_h x_t)                                  candidate (the paper's h tilde)
h_t = f_t / (f_t + i_t) * h_{t-1} + i_t / (f_t + i_t) * c_t"""
    parts: ClassVar[int] = 3

    def __init__(self, width: int, config: MinLSTMConfig) -> None:
        if config.forget_bias and not config.bias:
            raise UserError("forget_bias needs a bias: set bias to true, or forget_bias to 0")
        super().__init__(width, config)
        if config.bias:
            with torch.no_grad():
                self.in_proj.bias[: self.inner_width] += config.forget_bias

    def gate_and_value(self, parts_BTF: Tensor) -> tuple[Tensor, Tensor]:
        forget_BTE, input_BTE, value_BTE = parts_BTF.chunk(3, dim=-1)
        return _log_sigmoid(input_BTE) - _log_sigmoid(forget_BTE), value_BTE


def _log_sigmoid(x: Tensor) -> Tensor:
    return F.logsigmoid(at_least_float32(x))
