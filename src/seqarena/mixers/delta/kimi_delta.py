"""Kimi Delta Attention: the delta rule, and each key feature fades at a rate of its own.

Kimi Team 2025, "Kimi Linear: An Expressive, Efficient Attention Architecture", arXiv:2510.26692.
Layer and initialisation as the authors' code has them (in
flash-linear-attention; the released model's in transformers).

    q, k, v   = silu(short convolution of x W_Q, x W_K, x W_V);   q, k to unit length
    beta_t    = sigmoid(x W_beta)                in [0, 2] with `negative_eigenvalues`
    alpha_t   = exp(-exp(a_log) softplus(x W_a1 W_a2 + b_a))           a number for each key feature
    S_t       = (I - beta_t k_t k_t^T) diag(alpha_t) S_(t-1) + beta_t k_t v_t^T
    y         = W_O (rms_norm(S_t^T q_t / sqrt(K)) * sigmoid(x W_g1 W_g2 + b_g))

In the released model b_g is zero and the decay has no bound. The authors' code offers one for its
kernels, which is `lowest_log_decay` m here (there -5):

    alpha_t   = exp(m sigmoid(exp(a_log) (x W_a1 W_a2 + b_a)))

Letters: B batch, T time, D width, H heads, K = D / H features of a key, V features of a value; the
rank of both products is V. The paper's S is ours.
"""

from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from seqarena.mixers.base import Complexity
from seqarena.mixers.delta.delta_rule import Decay, DeltaRuleConfig, DeltaRuleMixer, low_rank
from seqarena.mixers.linear.matrix_state import Streams


class KimiDeltaConfig(DeltaRuleConfig):
    """`lowest_log_decay` bounds the logarithm of the decay from below; None: it has no bound."""

    lowest_log_decay: float | None = Field(default=None, lt=0)


class KimiDelta(DeltaRuleMixer):
    """The delta rule with a decay a key, short convolutions and a norm with a gate of low rank."""

    Config = KimiDeltaConfig
    config: KimiDeltaConfig
    equation: ClassVar[str] = """\
q, k, v   = silu(short convolution of x W_Q, x W_K, x W_V);   q, k to unit length
beta_t    = sigmoid(x W_beta)                in [0, 2] with `negative_eigenvalues`
alpha_t   = exp(-exp(a_log) softplus(x W_a1 W_a2 + b_a))           a number for each key feature
S_t       = (I - beta_t k_t k_t^T) diag(alpha_t) S_(t-1) + beta_t k_t v_t^T
y         = W_O (rms_norm(S_t^T q_t / sqrt(K)) * sigmoid(x W_g1 W_g2 + b_g))"""
    complexity = Complexity("T D^2 / H + T D^2", "T / L", "T", "D^2 / H")

    def __init__(self, width: int, config: KimiDeltaConfig) -> None:
        super().__init__(width, config)
        H, K, V = config.num_heads, self.key_features, self.value_features
        self.beta = nn.Linear(width, H, bias=False)
        self.steps = low_rank(width, V, width)
        self.decay = Decay(H, K, slowest=1.0, lowest=config.lowest_log_decay)
        self.gate = nn.Sequential(*low_rank(width, V, self.value_width, bias=True), nn.Sigmoid())

    def streams(
        self, x_BTD: Tensor, inputs_BIC: Tensor, lengths_B: Tensor | None
    ) -> tuple[Streams, Tensor]:
        q_BTHK, k_BTHK, v_BTHV, inputs_BIC = self.queries_keys_values(x_BTD, inputs_BIC, lengths_B)
        written_BTHK = self.strength(self.beta(x_BTD))[..., None] * k_BTHK
        log_alpha_BTHK = self.decay(self.steps(x_BTD))
        return Streams(q_BTHK, written_BTHK, v_BTHV, log_alpha_BTHK, k_BTHK), inputs_BIC
