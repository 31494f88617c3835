"""DeltaProduct: several steps of the delta rule a position, hence products of reflections.

Siems, Carstensen, Zela, Hutter, Pontil and Grazzi 2025, "DeltaProduct: Improving State-Tracking in
Linear RNNs via Householder Products", arXiv:2502.10297; the gated form. Layer as the
authors' code has it (GatedDeltaProduct in flash-linear-attention).

    q, k_j, v_j = silu(short convolution of x W_Q, x W_Kj, x W_Vj);  q, k_j to unit length; j = 1..n
    beta_tj     = 2 sigmoid(x W_betaj)           in [0, 1] without `negative_eigenvalues`
    alpha_t     = exp(-exp(a_log) softplus(x W_a + b_a))
    S_t0        = alpha_t S_(t-1)
    S_tj        = (I - beta_tj k_tj k_tj^T) S_t(j-1) + beta_tj k_tj v_tj^T;       S_t = S_tn
    y           = W_O (rms_norm(S_t^T q_t / sqrt(K)) * silu(x W_g))

A position is n positions of the recurrence: it fades at the first and is read at the last. One
reflection swaps two directions; a product of two rotates a plane.

Letters: B batch, T time, D width, H heads, K = D / H features of a key, V features of a value,
n num_householder. The paper's S is ours transposed.
"""

from typing import ClassVar

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from seqarena.mixers.base import Complexity
from seqarena.mixers.delta.delta_rule import Decay, DeltaRuleConfig, DeltaRuleMixer
from seqarena.mixers.linear.matrix_state import Streams


class DeltaProductConfig(DeltaRuleConfig):
    """`num_householder` is n, the steps of the delta rule a position."""

    value_expand: int = Field(default=2, ge=1)
    negative_eigenvalues: bool = True
    num_householder: int = Field(default=2, ge=1)


class DeltaProduct(DeltaRuleMixer):
    """Gated DeltaNet with n keys, values and steps a position."""

    Config = DeltaProductConfig
    equation: ClassVar[str] = """\
q, k_j, v_j = silu(short convolution of x W_Q, x W_Kj, x W_Vj);  q, k_j to unit length; j = 1..n
beta_tj     = 2 sigmoid(x W_betaj)           in [0, 1] without `negative_eigenvalues`
alpha_t     = exp(-exp(a_log) softplus(x W_a + b_a))
S_t0        = alpha_t S_(t-1)
S_tj        = (I - beta_tj k_tj k_tj^T) S_t(j-1) + beta_tj k_tj v_tj^T;       S_t = S_tn
y           = W_O (rms_norm(S_t^T q_t / sqrt(K)) * silu(x W_g))"""
    complexity = Complexity("n T D^2 / H + n T D^2", "n T / L", "T", "D^2 / H")

    def __init__(self, width: int, config: DeltaProductConfig) -> None:
        super().__init__(width, config, writes=config.num_householder)
        self.steps = nn.Linear(width, (self.writes + 1) * config.num_heads, bias=False)
        self.decay = Decay(config.num_heads, 1)
        self.gate = nn.Sequential(nn.Linear(width, self.value_width, bias=False), nn.SiLU())

    def streams(
        self, x_BTD: Tensor, inputs_BIC: Tensor, lengths_B: Tensor | None
    ) -> tuple[Streams, Tensor]:
        q_BTHK, k_BTHK, v_BTHV, inputs_BIC = self.queries_keys_values(x_BTD, inputs_BIC, lengths_B)
        H, others = self.num_heads, self.writes - 1
        beta_BTC, step_BTH = self.steps(x_BTD).split((self.writes * H, H), dim=-1)
        beta_BTH = self.strength(beta_BTC).unflatten(-1, (self.writes, H)).flatten(1, 2)
        log_alpha_BTH1 = self.decay(step_BTH)
        streams = Streams(
            _between(q_BTHK, others, 0),
            beta_BTH[..., None] * k_BTHK,
            v_BTHV,
            _between(log_alpha_BTH1, 0, others),
            k_BTHK,
        )
        return streams, inputs_BIC


def _between(x_BTHK: Tensor, before: int, after: int) -> Tensor:
    """Each position with so many zeros before and after it."""
    return F.pad(x_BTHK[:, :, None], (0, 0, 0, 0, before, after)).flatten(1, 2)
