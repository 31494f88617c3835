"""Gated DeltaNet: erases what a key held before, and lets everything fade.

Yang, Kautz and Hatamizadeh 2024, "Gated Delta Networks: Improving Mamba2 with Delta Rule",
arXiv:2412.06464, equation 10 and section 3.4. Layer and initialisation as the authors' code has
them (in flash-linear-attention).

    q, k, v   = silu(short convolution of x W_Q, x W_K, x W_V);   q, k to unit length
    beta_t    = sigmoid(x W_beta)                in [0, 2] with `negative_eigenvalues`
    alpha_t   = exp(-exp(a_log) softplus(x W_a + b_a))
    S_t       = alpha_t (I - beta_t k_t k_t^T) S_(t-1) + beta_t k_t v_t^T
    y         = W_O (rms_norm(S_t^T q_t / sqrt(K)) * silu(x W_g))

Letters: B batch, T time, D width, H heads, K = D / H features of a key, V features of a value. The
paper's S is ours transposed.
"""

from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from seqarena.mixers.base import Complexity
from seqarena.mixers.delta.delta_rule import Decay, DeltaRuleConfig, DeltaRuleMixer
from seqarena.mixers.linear.matrix_state import Streams


class GatedDeltaConfig(DeltaRuleConfig):
    """Values are twice as wide as keys, as in the paper."""

    value_expand: int = Field(default=2, ge=1)


class GatedDeltaNet(DeltaRuleMixer):
    """The delta rule with a decay a head, short convolutions and a gated norm."""

    Config = GatedDeltaConfig
    equation: ClassVar[str] = """\
q, k, v   = silu(short convolution of x W_Q, x W_K, x W_V);   q, k to unit length
beta_t    = sigmoid(x W_beta)                in [0, 2] with `negative_eigenvalues`
alpha_t   = exp(-exp(a_log) softplus(x W_a + b_a))
S_t       = alpha_t (I - beta_t k_t k_t^T) S_(t-1) + beta_t k_t v_t^T
y         = W_O (rms_norm(S_t^T q_t / sqrt(K)) * silu(x W_g))"""
    complexity = Complexity("T D^2 / H + T D^2", "T / L", "T", "D^2 / H")

    def __init__(self, width: int, config: GatedDeltaConfig) -> None:
        super().__init__(width, config)
        self.steps = nn.Linear(width, 2 * config.num_heads, bias=False)  # to beta and alpha
        self.decay = Decay(config.num_heads, 1)
        self.gate = nn.Sequential(nn.Linear(width, self.value_width, bias=False), nn.SiLU())

    def streams(
        self, x_BTD: Tensor, inputs_BIC: Tensor, lengths_B: Tensor | None
    ) -> tuple[Streams, Tensor]:
        q_BTHK, k_BTHK, v_BTHV, inputs_BIC = self.queries_keys_values(x_BTD, inputs_BIC, lengths_B)
        beta_BTH, step_BTH = self.steps(x_BTD).chunk(2, dim=-1)
        written_BTHK = self.strength(beta_BTH)[..., None] * k_BTHK
        return Streams(q_BTHK, written_BTHK, v_BTHV, self.decay(step_BTH), k_BTHK), inputs_BIC
