"""Gated DeltaNet-2: what is erased and what is written have gates of their own.

Hatamizadeh, Choi and Kautz 2026, "Gated DeltaNet-2: Decoupling Erase and Write in Linear
Attention", arXiv:2605.22791. Layer and initialisation as flash-linear-attention has them.

    q, k, v   = silu(short convolution of x W_Q, x W_K, x W_V);   q, k to unit length
    b_t       = sigmoid(x W_b)                   in [0, 2] with `negative_eigenvalues`
    w_t       = sigmoid(x W_w)
    alpha_t   = exp(-exp(a_log) softplus(x W_a1 W_a2 + b_a))           a number for each key feature
    S_t       = (I - k_t (b_t * k_t)^T) diag(alpha_t) S_(t-1) + k_t (w_t * v_t)^T
    y         = W_O (rms_norm(S_t^T q_t / sqrt(K)) * sigmoid(x W_g1 W_g2 + b_g))

With b_t and w_t one number, beta_t, this is Kimi Delta Attention. The eigenvalue of erasing is
1 - k_t . (b_t * k_t).

Letters: B batch, T time, D width, H heads, K = D / H features of a key, V features of a value; the
rank of both products is V.
"""

from typing import ClassVar

from torch import Tensor, nn

from seqarena.mixers.base import Complexity
from seqarena.mixers.delta.delta_rule import Decay, DeltaRuleConfig, DeltaRuleMixer, low_rank
from seqarena.mixers.linear.matrix_state import Streams


class GatedDelta2Config(DeltaRuleConfig):
    """Nothing beyond what all mixers of the delta rule have."""


class GatedDeltaNet2(DeltaRuleMixer):
    """The delta rule with a decay a key, an erase gate a key and a write gate a value."""

    Config = GatedDelta2Config
    equation: ClassVar[str] = """\
q, k, v   = silu(short convolution of x W_Q, x W_K, x W_V);   q, k to unit length
b_t       = sigmoid(x W_b)                   in [0, 2] with `negative_eigenvalues`
w_t       = sigmoid(x W_w)
alpha_t   = exp(-exp(a_log) softplus(x W_a1 W_a2 + b_a))           a number for each key feature
S_t       = (I - k_t (b_t * k_t)^T) diag(alpha_t) S_(t-1) + k_t (w_t * v_t)^T
y         = W_O (rms_norm(S_t^T q_t / sqrt(K)) * sigmoid(x W_g1 W_g2 + b_g))"""
    complexity = Complexity("T D^2 / H + T D^2", "T / L", "T", "D^2 / H")

    def __init__(self, width: int, config: GatedDelta2Config) -> None:
        super().__init__(width, config)
        H, K, V = config.num_heads, self.key_features, self.value_features
        self.erasing = nn.Linear(width, width, bias=False)
        self.writing = nn.Linear(width, self.value_width, bias=False)
        self.steps = low_rank(width, V, width)
        self.decay = Decay(H, K, slowest=1.0)
        self.gate = nn.Sequential(*low_rank(width, V, self.value_width, bias=True), nn.Sigmoid())

    def streams(
        self, x_BTD: Tensor, inputs_BIC: Tensor, lengths_B: Tensor | None
    ) -> tuple[Streams, Tensor]:
        q_BTHK, k_BTHK, v_BTHV, inputs_BIC = self.queries_keys_values(x_BTD, inputs_BIC, lengths_B)
        erased_BTHK = self.strength(self.erasing(x_BTD)).unflatten(-1, (self.num_heads, -1))
        written_BTHV = self.writing(x_BTD).sigmoid().unflatten(-1, (self.num_heads, -1))
        log_alpha_BTHK = self.decay(self.steps(x_BTD))
        streams = Streams(
            q_BTHK, k_BTHK, written_BTHV * v_BTHV, log_alpha_BTHK, erased_BTHK * k_BTHK
        )
        return streams, inputs_BIC
