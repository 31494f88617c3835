"""What the mixers of the delta rule share: queries, keys and values in, decay, gated norm out.

    q, k, v = silu(short convolution of x W_Q, x W_K, x W_V);   q, k to unit length
    S_t     = (I - beta_t k_t k_t^T) S_(t-1) + beta_t k_t v_t^T         and what a subclass adds
    y       = W_O (rms_norm(S_t^T q_t / sqrt(K)) * g(x))

Erasing along a key of unit length has the eigenvalue 1 - beta_t: in [0, 1] for beta_t in [0, 1].
With `negative_eigenvalues` beta_t is doubled and the eigenvalue lies in [-1, 1]: what a key holds
can be turned over, which parity needs (Grazzi et al. 2024, arXiv:2411.12537).

Letters: B batch, T time, D width, H heads, K features of a key, V features of a value, C channels
and I past inputs of the short convolution.
"""

import math

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.shapes import at_least_float32
from seqarena.mixers.convolution.short import ShortConvolution
from seqarena.mixers.linear.matrix_state import MatrixStateConfig, MatrixStateMixer, Streams
from seqarena.mixers.state_space.time_steps import softplus_inverse


class DeltaRuleConfig(MatrixStateConfig):
    """A head has D / H features of a key and `value_expand` times as many of a value."""

    value_expand: int = Field(default=1, ge=1)
    kernel: int = Field(default=4, ge=1)
    negative_eigenvalues: bool = False
    norm_epsilon: float = Field(default=1e-5, gt=0)


class DeltaRuleMixer(MatrixStateMixer):
    """Abstract: subclasses set `gate`, where they have one, and fill in `streams` from
    `queries_keys_values` and `strength`."""

    erases = "key"
    config: DeltaRuleConfig

    def __init__(self, width: int, config: DeltaRuleConfig, writes: int = 1) -> None:
        super().__init__(width, config)
        self.writes = writes
        self.key_features = width // config.num_heads
        self.value_features = config.value_expand * self.key_features
        self.value_width = config.value_expand * width
        self.sizes = (width, writes * width, writes * self.value_width)  # of q, k and v
        self.inward = nn.Linear(width, sum(self.sizes), bias=False)
        self.convolution = ShortConvolution(sum(self.sizes), config.kernel)
        self.outward = nn.Linear(self.value_width, width, bias=False)
        self.norm = nn.RMSNorm(self.value_features, eps=config.norm_epsilon)
        self.gate: nn.Module | None = None

    def queries_keys_values(
        self, x_BTD: Tensor, inputs_BIC: Tensor, lengths_B: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """q_BTHK, k_BTHK and v_BTHV, keys and values of all writes one after another, and the
        convolution's past inputs after the call."""
        convolved_BTC, inputs_BIC = self.convolve(self.inward(x_BTD), inputs_BIC, lengths_B)
        q_BTC, *keys_values = convolved_BTC.split(self.sizes, dim=-1)
        k_BTHK, v_BTHV = (
            x.unflatten(-1, (self.writes, self.num_heads, -1)).flatten(1, 2) for x in keys_values
        )
        q_BTHK = unit_length(q_BTC.unflatten(-1, (self.num_heads, -1)))
        return q_BTHK * self.key_features**-0.5, unit_length(k_BTHK), v_BTHV, inputs_BIC

    def strength(self, raw: Tensor) -> Tensor:
        """beta: how much is erased, within [0, 1], or [0, 2] with `negative_eigenvalues`."""
        return raw.sigmoid() * (1 + self.config.negative_eigenvalues)

    def read_out(self, y_BTHV: Tensor, x_BTD: Tensor, streams: Streams) -> Tensor:
        y_BTC = self.norm(y_BTHV.to(x_BTD.dtype)).flatten(2)
        if self.gate is not None:
            y_BTC = y_BTC * self.gate(x_BTD)
        return self.outward(y_BTC)

    def projection_flops(self, length: int) -> int:
        return 2 * length * linear_weights(self)


class Decay(nn.Module):
    """The logarithm of a decay a head (F = 1) or a key (F = K), from its input z:

        -exp(a_log) softplus(z + bias)         or, with a lowest value m < 0,
        m sigmoid(exp(a_log) (z + bias))

    The rates exp(a_log) start uniform between `slowest` and 16, or at 1 with a lowest value; the
    steps softplus(bias) start log-uniform between 0.001 and 0.1, as in Mamba.
    """

    def __init__(
        self, num_heads: int, features: int, *, slowest: float = 0.0, lowest: float | None = None
    ) -> None:
        super().__init__()
        self.num_heads, self.lowest = num_heads, lowest
        rate_H = torch.empty(num_heads).uniform_(slowest, 16)
        self.a_log = nn.Parameter(rate_H.log() if lowest is None else torch.zeros(num_heads))
        step_C = torch.empty(num_heads * features).uniform_(math.log(1e-3), math.log(0.1)).exp()
        self.bias = nn.Parameter(softplus_inverse(step_C))

    def forward(self, z_BTC: Tensor) -> Tensor:
        """[B, T, H F] -> [B, T, H, F], in at least float32."""
        z_BTHF = (at_least_float32(z_BTC) + self.bias).unflatten(-1, (self.num_heads, -1))
        rate_H1 = self.a_log.exp()[:, None]
        if self.lowest is None:
            return -rate_H1 * F.softplus(z_BTHF)
        return self.lowest * torch.sigmoid(rate_H1 * z_BTHF)


def low_rank(width: int, rank: int, features: int, *, bias: bool = False) -> nn.Sequential:
    """Two linear maps through `rank` features."""
    return nn.Sequential(nn.Linear(width, rank, bias=False), nn.Linear(rank, features, bias=bias))


def unit_length(x: Tensor, epsilon: float = 1e-6) -> Tensor:
    """x / sqrt(x . x + epsilon) along its last axis, in at least float32."""
    x = at_least_float32(x)
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + epsilon)


def linear_weights(module: nn.Module) -> int:
    """The weights of all linear maps in a module: a multiply-add each, a position."""
    return sum(m.weight.numel() for m in module.modules() if isinstance(m, nn.Linear))
