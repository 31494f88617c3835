"""Gated DeltaNet: erases what a key held before, and lets everything fade.

Yang, Kautz and Hatamizadeh 2024, "Gated Delta Networks: Improving Mamba2 with Delta Rule",
arXiv:2412.06464, equation 10 and section 3.4. Layer and initialisation as the authors' code has
them (in flash-linear-attention).

    q, k, v   = silu(short convolution of x W_Q, x W_K, x W_V);   q, k to unit length
    beta_t    = sigmoid(x W_beta)                in [0, 2] with `negative_eigenvalues`
    alpha_t   = exp(-exp(a_log) softplus(x W_a + b_a))
    S_t       = alpha_t (I - beta_t k_t k_t^T) S_(t-1) + beta_t k_t v_t^T
    y         = W_O (rms_norm(S_t^T q_t / sqrt(K)) * silu(x W_g))

Letters: B batch, T time, D width, H heads, K features of a key, V features of a value.
`negative_eigenvalues`: Grazzi et al. 2024, arXiv:2411.12537.
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
from seqarena.mixers.convolution.short import ShortConvolution
from seqarena.mixers.linear.matrix_state import MatrixStateConfig, MatrixStateMixer, Streams


class GatedDeltaConfig(MatrixStateConfig):
    """A head has D / H features of a key and `value_expand` times as many of a value."""

    value_expand: int = Field(default=2, ge=1)
    kernel: int = Field(default=4, ge=1)
    negative_eigenvalues: bool = False
    norm_epsilon: float = Field(default=1e-5, gt=0)


class GatedDeltaNet(MatrixStateMixer):
    """The delta rule with a decay a head, short convolutions and a gated norm."""

    Config = GatedDeltaConfig
    config: GatedDeltaConfig
    erases = True
    equation: ClassVar[str] = """\
q, k, v   = silu(short convolution of x W_Q, x W_K, x W_V);   q, k to unit length
beta_t    = sigmoid(x W_beta)
alpha_t   = exp(-exp(a_log) softplus(x W_a + b_a))
S_t       = alpha_t (I - beta_t k_t k_t^T) S_(t-1) + beta_t k_t v_t^T
y         = W_O (rms_norm(S_t^T q_t / sqrt(K)) * silu(x W_g))"""
    complexity = Complexity("T D^2 / H + T D^2", "T / L", "T", "D^2 / H")

    def __init__(self, width: int, config: GatedDeltaConfig) -> None:
        super().__init__(width, config)
        self.num_heads = H = config.num_heads
        if width % H:
            raise UserError(
                f"width {width} does not divide into {H} heads: use a multiple of the heads"
            )
        self.key_features = width // H
        self.value_features = config.value_expand * self.key_features
        self.sizes = (width, width, config.value_expand * width)  # of q, k and v
        self.inward = nn.Linear(width, sum(self.sizes), bias=False)
        self.convolution = ShortConvolution(sum(self.sizes), config.kernel)
        self.steps = nn.Linear(width, 2 * H, bias=False)  # beta and the input of alpha
        self.gate = nn.Linear(width, self.sizes[2], bias=False)
        self.outward = nn.Linear(self.sizes[2], width, bias=False)
        self.norm = nn.RMSNorm(self.value_features, eps=config.norm_epsilon)
        self.a_log = nn.Parameter(torch.empty(H).uniform_(0, 16).log())
        step_H = torch.exp(torch.empty(H).uniform_(math.log(1e-3), math.log(0.1)))
        self.step_bias = nn.Parameter(step_H + torch.log(-torch.expm1(-step_H)))

    def streams(
        self, x_BTD: Tensor, inputs_BIC: Tensor, lengths_B: Tensor | None
    ) -> tuple[Streams, Tensor]:
        convolved_BTC, inputs_BIC = self.convolve(self.inward(x_BTD), inputs_BIC, lengths_B)
        q_BTHK, k_BTHK, v_BTHV = (
            x.unflatten(-1, (self.num_heads, -1)) for x in convolved_BTC.split(self.sizes, dim=-1)
        )
        k_BTHK = F.normalize(k_BTHK, dim=-1)
        q_BTHK = F.normalize(q_BTHK, dim=-1) * self.key_features**-0.5
        beta_BTH, step_BTH = at_least_float32(self.steps(x_BTD)).chunk(2, dim=-1)
        beta_BTH1 = beta_BTH.sigmoid()[..., None] * (1 + self.config.negative_eigenvalues)
        log_alpha_BTH = -self.a_log.exp() * F.softplus(step_BTH + self.step_bias)
        streams = Streams(q_BTHK, beta_BTH1 * k_BTHK, v_BTHV, log_alpha_BTH[..., None], k_BTHK)
        return streams, inputs_BIC

    def read_out(self, y_BTHV: Tensor, x_BTD: Tensor) -> Tensor:
        y_BTC = self.norm(y_BTHV.to(x_BTD.dtype)).flatten(2)
        return self.outward(y_BTC * F.silu(self.gate(x_BTD)))

    def projection_flops(self, length: int) -> int:
        value_width = self.sizes[2]
        return 2 * length * self.width * (sum(self.sizes) + 2 * self.num_heads + 2 * value_width)
