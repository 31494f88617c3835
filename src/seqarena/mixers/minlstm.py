"""minLSTM: a long short-term memory whose gates and candidate see the input only.

Feng, Tung, Ahmed, Bengio and Hajimirsadegh 2024, "Were RNNs All We Needed?", arXiv:2410.01201.

    f_t, i_t = sigmoid(W_f x_t), sigmoid(W_i x_t)     forget and input gate
    c_t = g(W_h x_t)                                  candidate (the paper's h tilde)
    h_t = f_t / (f_t + i_t) * h_{t-1} + i_t / (f_t + i_t) * c_t

The two shares sum to one, so the state's scale does not drift with the length. They are computed
as sigmoid(log i - log f) and its complement, which stays exact where both gates are nearly closed:
this is minGRU's recurrence with another gate. g and the start at zero are those of minGRU (see
mixers/mingru.py).

Letters: B batch, T time, D width, E inner width (expansion times D).
"""

import math
from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from seqarena.core.errors import UserError
from seqarena.mixers.base import Complexity, Mixer, MixerConfig
from seqarena.mixers.mingru import inner_width
from seqarena.ops import scan
from seqarena.ops.minimal import minimal_recurrence


class MinLSTMConfig(MixerConfig):
    """`candidate` positive is g of Appendix B.3, linear the plain cell of section 3."""

    algorithm: Literal["auto", "loop", "scan", "chunked", "fused"] = "auto"
    expansion: float = Field(default=1.0, gt=0)  # inner width; other than 1 needs a projection out
    candidate: Literal["positive", "linear"] = "positive"
    bias: bool = True
    forget_bias: float = 0.0  # added to the forget gate's bias at initialisation; needs bias


class MinLSTMState(NamedTuple):
    """The recurrent state, at least float32."""

    h_BE: Tensor


class MinLSTM(Mixer):
    """One projection to both gates and the candidate, the recurrence, a projection out if expanded.

    Initialised as torch.nn.Linear is, with `forget_bias` added (the paper's study of it).
    """

    Config = MinLSTMConfig
    algorithms = scan.ALGORITHMS
    complexity = Complexity("T D E", "T, or log T by scan", "T", "E")

    def __init__(self, width: int, config: MinLSTMConfig) -> None:
        super().__init__(width, config)
        if config.forget_bias and not config.bias:
            raise UserError("forget_bias needs a bias: set bias to true, or forget_bias to 0")
        self.inner_width = inner_width(width, config.expansion)
        self.candidate = config.candidate
        self.in_proj = nn.Linear(width, 3 * self.inner_width, bias=config.bias)
        self.out_proj = (
            nn.Linear(self.inner_width, width, bias=config.bias) if config.expansion != 1 else None
        )
        if config.bias:
            with torch.no_grad():
                self.in_proj.bias[: self.inner_width] += config.forget_bias

    def mix(
        self, x_BTD: Tensor, state: MinLSTMState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, MinLSTMState]:
        forget_BTE, input_BTE, value_BTE = self.in_proj(x_BTD).chunk(3, dim=-1)
        h_BTE = minimal_recurrence(
            _log_sigmoid(input_BTE) - _log_sigmoid(forget_BTE),
            value_BTE,
            None if state is None else state.h_BE,
            lengths_B,
            candidate=self.candidate,
            algorithm=self.algorithm,
        )
        y_BTE = h_BTE.to(x_BTD.dtype)
        y_BTD = y_BTE if self.out_proj is None else self.out_proj(y_BTE)
        # a copy: a view would keep the states of all positions alive
        return y_BTD, MinLSTMState(h_BTE[:, -1].clone())

    def initial_state(self, batch_size: int, max_length: int = 0) -> MinLSTMState:
        weight = self.in_proj.weight
        dtype = torch.promote_types(weight.dtype, torch.float32)
        return MinLSTMState(weight.new_zeros(batch_size, self.inner_width, dtype=dtype))

    def flops(self, length: int) -> int:
        projections = 3 + (self.out_proj is not None)
        per_position = 2 * projections * self.width * self.inner_width + 2 * self.inner_width
        return length * per_position

    def state_bytes(self, length: int) -> int:
        return self.inner_width * max(4, self.in_proj.weight.element_size())

    def serial_steps(self, length: int) -> int:
        return 2 + (self.out_proj is not None) + scan.serial_steps(length, self.algorithm)

    def path_length(self, distance: int) -> int:
        return distance

    def reach(self) -> float:
        return math.inf


def _log_sigmoid(x: Tensor) -> Tensor:
    return F.logsigmoid(x.to(torch.promote_types(x.dtype, torch.float32)))
