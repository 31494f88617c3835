"""Based: linear attention whose feature map is the second-order Taylor series of the softmax.

Arora et al. 2024, "Simple linear attention language models balance the recall-throughput tradeoff",
arXiv:2402.18668, section 4.1, equations 4 and 5.

    q, k, v = x W_Q, x W_K, x W_V                  q and k of a few features a head (F = 16)
    f(a)    = [1, a / F^(1/4), a_i a_j / sqrt(F)]  f(q) . f(k) = 1 + s + s^2 / 2
    S_t     = S_(t-1) + f(k_t) v_t^T               z_t = z_(t-1) + f(k_t)
    y_t     = S_t^T f(q_t) / (z_t . f(q_t))        out = concat(heads) W_O

where s = q . k / sqrt(F) is what attention takes the exponential of.

    paper        here
    phi          f
    d' (16)      features
    s, z         the matrix of the state: z is its last column, the sum that a value of 1 leaves

Each product of two different features is kept once, times the square root of two. The series is at
least one half, so the quotient needs no epsilon. Left out: the other two layers of the paper's
hybrid, a sliding window of 64 and a gated convolution; a cycle of layers can have the window. The
block is the common one. Initialisation as torch.nn.Linear (the authors').

Letters: B batch, T time, D width, H heads, F features before the map, K after it, V of a value.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.shapes import at_least_float32
from seqarena.mixers.base import Complexity
from seqarena.mixers.linear.matrix_state import MatrixStateConfig, MatrixStateMixer, Streams


class BasedConfig(MatrixStateConfig):
    """`features` of a query and a key in a head, F: the map makes 1 + F + F (F + 1) / 2 of them."""

    features: int = Field(default=16, ge=1)


class Based(MatrixStateMixer):
    """Linear attention by a Taylor series, with its normaliser as a further column of the state."""

    Config = BasedConfig
    decays = False
    equation: ClassVar[str] = """\
q, k, v = x W_Q, x W_K, x W_V                  q and k of a few features a head (F = 16)
f(a)    = [1, a / F^(1/4), a_i a_j / sqrt(F)]  f(q) . f(k) = 1 + s + s^2 / 2
S_t     = S_(t-1) + f(k_t) v_t^T               z_t = z_(t-1) + f(k_t)
y_t     = S_t^T f(q_t) / (z_t . f(q_t))        out = concat(heads) W_O"""
    complexity = Complexity("T D F^2 + T D^2", "T / L", "T", "D F^2")

    def __init__(self, width: int, config: BasedConfig) -> None:
        super().__init__(width, config)
        count, H = config.features, config.num_heads
        self.key_features = 1 + count + count * (count + 1) // 2
        self.value_features = width // H + 1
        self.sizes = (H * count, H * count, width)  # of q, k and v
        self.inward = nn.Linear(width, sum(self.sizes), bias=False)
        self.outward = nn.Linear(width, width, bias=False)

    def streams(
        self, x_BTD: Tensor, inputs_BIC: Tensor, lengths_B: Tensor | None
    ) -> tuple[Streams, Tensor]:
        q_BTHF, k_BTHF, v_BTHV = self.heads(self.inward(x_BTD), *self.sizes)
        with_ones_BTHV = F.pad(v_BTHV, (0, 1), value=1.0)
        return Streams(taylor_features(q_BTHF), taylor_features(k_BTHF), with_ones_BTHV), inputs_BIC

    def read_out(self, y_BTHV: Tensor, x_BTD: Tensor, streams: Streams) -> Tensor:
        read_BTHV, sum_BTH1 = y_BTHV.split((self.value_features - 1, 1), dim=-1)
        # below one half only where nothing was written: a row without real positions
        y_BTHV = read_BTHV / sum_BTH1.clamp(min=0.25)
        return self.outward(y_BTHV.to(x_BTD.dtype).flatten(2))

    def projection_flops(self, length: int) -> int:
        return 2 * length * (self.inward.weight.numel() + self.outward.weight.numel())


def taylor_features(x: Tensor) -> Tensor:
    """f of the head of this file over the last axis, in at least float32."""
    x = at_least_float32(x)
    count = x.shape[-1]
    first, second = torch.triu_indices(count, count, device=x.device)
    weight = (1 + (first == second).to(x.dtype)).mul(count).rsqrt()
    squares = x[..., first] * x[..., second] * weight
    return torch.cat((torch.ones_like(x[..., :1]), x / count**0.25, squares), dim=-1)
