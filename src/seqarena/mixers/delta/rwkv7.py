"""RWKV-7: a matrix memory that fades a key at a time and erases at a learned rate.

Peng et al. 2025, "RWKV-7 'Goose' with Expressive Dynamic State Evolution", arXiv:2503.14456,
section 4. Time mixing and initialisation as the authors' code has them (RWKV-LM, RWKV-v7).

    x^s_t  = x_t + mu_s * (x_(t-1) - x_t)                    s in r, w, k, v, a, g: the token shift
    r, v   = x^r W_r, x^v W_v;   k' = x^k W_k
    w_t    = exp(-exp(-1/2) sigmoid(w_0 + tanh(x^w W_w1) W_w2))         in (0.545, 1)
    a_t    = sigmoid(a_0 + x^a W_a1 W_a2)               how much is erased, a key feature
    e_t    = k' * xi to unit length;   k_t = k' * (1 + (a_t - 1) * alpha)
    S_t    = (diag(w_t) - (a_t * e_t) e_t^T) S_(t-1) + k_t v_t^T
    y      = W_o ((norm of each head(S_t^T r_t) + (r_t . (rho * k_t)) v_t) * g_t)
    g_t    = sigmoid(x^g W_g1) W_g2

Here e_t reads the memory before it fades, in ops/matrix_recurrence after: so e_t is divided by w_t,
which its bound keeps above 0.545. The matrix before S_(t-1) has eigenvalues in (-0.455, 1). There
is no option for more negative ones: with a_t doubled some would be below -1, and S would grow.

Left out: the value residual, which carries the first layer's values into the others (a mixer sees
one layer). W_o starts like W_v and not at zero, so that gradients flow through an untrained layer.
The channel mixing of RWKV is the block's, not the mixer's.

    paper                       here
    mu                          mix_SD, in the order r, w, k, v, a, g
    xi, alpha, rho              erased_D, blend_D, bonus_D
    receptance r, removal key   the query, e_t

Letters: B batch, T time, D width, H heads, K = D / H features of a key and of a value, S streams.
"""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.core.shapes import at_least_float32
from seqarena.mixers.base import Complexity
from seqarena.mixers.convolution.short import TokenShift
from seqarena.mixers.delta.delta_rule import linear_weights
from seqarena.mixers.linear.matrix_state import MatrixStateConfig, MatrixStateMixer, Streams

MIX_POWERS = (0.2, 0.9, 0.7, 0.7, 0.9, 0.2)  # of the initial mix of r, w, k, v, a and g


class RWKV7Config(MatrixStateConfig):
    """Ranks of the products of two matrices; None: the authors' rule, a multiple of 32 near
    2.5 sqrt(D), for the gate near 5 sqrt(D)."""

    decay_rank: int | None = Field(default=None, ge=1)
    erase_rank: int | None = Field(default=None, ge=1)
    gate_rank: int | None = Field(default=None, ge=1)
    norm_epsilon: float = Field(default=1e-5, gt=0)  # times the features of a head


class RWKV7(MatrixStateMixer):
    """Token shift, decay a key, erasing along one direction at rates along another, bonus, gate."""

    Config = RWKV7Config
    erases = "another"
    config: RWKV7Config
    equation: ClassVar[str] = """\
x^s_t  = x_t + mu_s * (x_(t-1) - x_t)                    s in r, w, k, v, a, g: the token shift
r, v   = x^r W_r, x^v W_v;   k' = x^k W_k
w_t    = exp(-exp(-1/2) sigmoid(w_0 + tanh(x^w W_w1) W_w2))         in (0.545, 1)
a_t    = sigmoid(a_0 + x^a W_a1 W_a2)               how much is erased, a key feature
e_t    = k' * xi to unit length;   k_t = k' * (1 + (a_t - 1) * alpha)
S_t    = (diag(w_t) - (a_t * e_t) e_t^T) S_(t-1) + k_t v_t^T
y      = W_o ((norm of each head(S_t^T r_t) + (r_t . (rho * k_t)) v_t) * g_t)
g_t    = sigmoid(x^g W_g1) W_g2"""
    complexity = Complexity("T D^2 / H + T D^2", "T / L", "T", "D^2 / H")

    def __init__(self, width: int, config: RWKV7Config) -> None:
        super().__init__(width, config)
        self.key_features = self.value_features = K = width // config.num_heads
        if K < 2:
            raise UserError(
                f"width {width} has 1 feature a head: use at least {2 * self.num_heads}"
            )
        self.convolution = TokenShift(width)
        small, large = _rank(2.5, width), _rank(5, width)
        self.decay = _low_rank(width, config.decay_rank or small, nn.Tanh())
        self.rate = _low_rank(width, config.erase_rank or small, nn.Identity())
        self.gate = _low_rank(width, config.gate_rank or large, nn.Sigmoid(), bias=False)
        self.receptance, self.key, self.value, self.outward = (
            nn.Linear(width, width, bias=False) for _ in range(4)
        )
        self.mix_SD = nn.Parameter(torch.empty(len(MIX_POWERS), width))
        self.erased_D = nn.Parameter(torch.empty(width))
        self.blend_D = nn.Parameter(torch.full((width,), 1.02))
        self.bonus_D = nn.Parameter(torch.full((width,), -0.04))
        self.norm_weight_D = nn.Parameter(torch.empty(width))
        self.norm_bias_D = nn.Parameter(torch.zeros(width))
        low_ranks = nn.ModuleList((self.decay, self.rate, self.gate))
        # the authors decay the four square matrices alone; an optimizer may read this mark
        for parameter in (self.mix_SD, *low_ranks.parameters()):
            parameter.no_weight_decay = True  # pyright: ignore[reportAttributeAccessIssue]
        for linear in (self.receptance, self.key, self.value, self.outward):
            nn.init.orthogonal_(linear.weight, 0.1 if linear is self.key else 1.0)
        self.place(0, 1)

    @torch.no_grad()
    def place(self, layer: int, num_layers: int) -> None:
        """Sets shift, decay, erasing and norm to their start in this layer."""
        D, K, device = self.width, self.key_features, self.mix_SD.device
        up, down = layer / max(1, num_layers - 1), 1 - layer / num_layers
        place_D, powers_S = torch.arange(D, device=device), torch.tensor(MIX_POWERS, device=device)
        self.mix_SD.copy_(1 - (place_D / D) ** (down * powers_S[:, None]))
        ramp_D = place_D / (D - 1)
        zigzag_D = 2 * (place_D % K) / (K - 1) - 1
        zigzag_D = zigzag_D * zigzag_D.abs()
        _bias(self.decay).copy_(-5.5 + 6 * ramp_D ** (1 + up**0.3) + 2.5 * zigzag_D)
        _bias(self.rate).copy_(-0.19 + 0.3 * zigzag_D + 0.4 * (ramp_D - 0.5))
        self.erased_D.copy_(0.71 - 0.1 * (ramp_D - 0.5))
        self.norm_weight_D.fill_(((1 + layer) / num_layers) ** 0.7)

    def streams(
        self, x_BTD: Tensor, inputs_BIC: Tensor, lengths_B: Tensor | None
    ) -> tuple[Streams, Tensor]:
        before_BTD, inputs_BIC = self.convolve(x_BTD, inputs_BIC, lengths_B)
        change_BTD = before_BTD - x_BTD
        r_BTD, w_BTD, k_BTD, v_BTD, a_BTD, g_BTD = (
            torch.addcmul(x_BTD, change_BTD, mix_D) for mix_D in self.mix_SD
        )
        k_BTD = at_least_float32(self.key(k_BTD))
        decay_BTD = -math.exp(-0.5) * at_least_float32(self.decay(w_BTD)).sigmoid()
        a_BTD = at_least_float32(self.rate(a_BTD)).sigmoid()
        e_BTHK = F.normalize((k_BTD * self.erased_D).unflatten(-1, (self.num_heads, -1)), dim=-1)
        k_BTD = k_BTD * (1 + (a_BTD - 1) * self.blend_D)
        r_BTHK, v_BTHK, k_BTHK, decay_BTHK, a_BTHK = (
            x.unflatten(-1, (self.num_heads, -1))
            for x in (self.receptance(r_BTD), self.value(v_BTD), k_BTD, decay_BTD, a_BTD)
        )
        streams = Streams(
            r_BTHK,
            k_BTHK,
            v_BTHK,
            decay_BTHK,
            e_BTHK * torch.exp(-decay_BTHK),
            -a_BTHK * e_BTHK,
            aside=(self.gate(g_BTD),),
        )
        return streams, inputs_BIC

    def read_out(self, y_BTHV: Tensor, x_BTD: Tensor, streams: Streams) -> Tensor:
        K = self.key_features
        y_BTD = F.layer_norm(y_BTHV, (K,), eps=K * self.config.norm_epsilon).flatten(2)
        y_BTD = y_BTD * self.norm_weight_D + self.norm_bias_D
        r_BTHK, k_BTHK, v_BTHV = streams[:3]
        bonus_HK = self.bonus_D.view(-1, K)
        bonus_BTH1 = (r_BTHK * k_BTHK * bonus_HK).sum(-1, keepdim=True)
        y_BTD = y_BTD + (bonus_BTH1 * v_BTHV).flatten(2)
        return self.outward(y_BTD.to(x_BTD.dtype) * streams.aside[0])

    def projection_flops(self, length: int) -> int:
        return 2 * length * linear_weights(self)


def _low_rank(width: int, rank: int, activation: nn.Module, *, bias: bool = True) -> nn.Sequential:
    """Two linear maps, the first of zeros, the second orthogonal, with `activation` between."""
    maps = nn.Linear(width, rank, bias=False), nn.Linear(rank, width, bias=bias)
    nn.init.zeros_(maps[0].weight)
    nn.init.orthogonal_(maps[1].weight, gain=0.1 * max(1.0, math.sqrt(rank / width)))
    return nn.Sequential(maps[0], activation, maps[1])


def _bias(maps: nn.Sequential) -> Tensor:
    bias = maps[-1].bias
    assert isinstance(bias, Tensor)
    return bias


def _rank(factor: float, width: int) -> int:
    return max(32, round(factor * math.sqrt(width) / 32) * 32)
