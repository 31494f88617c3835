"""DeltaNet: a matrix memory that erases what a key held before it writes.

Yang, Wang, Zhang, Shen and Kim 2024, "Parallelizing Linear Transformers with the Delta Rule over
Sequence Length", arXiv:2406.06484; the rule: Schlag, Irie and
Schmidhuber 2021, arXiv:2102.11174. Layer as the authors' code has it (in flash-linear-attention).

    q, k, v   = silu(short convolution of x W_Q, x W_K, x W_V);   q, k to unit length
    beta_t    = sigmoid(x W_beta)                in [0, 2] with `negative_eigenvalues`
    S_t       = (I - beta_t k_t k_t^T) S_(t-1) + beta_t k_t v_t^T
    y         = W_O rms_norm(S_t^T q_t / sqrt(K))

Letters: B batch, T time, D width, H heads, K = D / H features of a key, V features of a value. The
paper's S is ours transposed.
"""

from typing import ClassVar

from torch import Tensor, nn

from seqarena.mixers.base import Complexity
from seqarena.mixers.delta.delta_rule import DeltaRuleConfig, DeltaRuleMixer
from seqarena.mixers.linear.matrix_state import Streams


class DeltaNetConfig(DeltaRuleConfig):
    """Nothing beyond what all mixers of the delta rule have."""


class DeltaNet(DeltaRuleMixer):
    """The delta rule with short convolutions and a norm; nothing fades."""

    Config = DeltaNetConfig
    decays = False
    equation: ClassVar[str] = """\
q, k, v   = silu(short convolution of x W_Q, x W_K, x W_V);   q, k to unit length
beta_t    = sigmoid(x W_beta)                in [0, 2] with `negative_eigenvalues`
S_t       = (I - beta_t k_t k_t^T) S_(t-1) + beta_t k_t v_t^T
y         = W_O rms_norm(S_t^T q_t / sqrt(K))"""
    complexity = Complexity("T D^2 / H + T D^2", "T / L", "T", "D^2 / H")

    def __init__(self, width: int, config: DeltaNetConfig) -> None:
        super().__init__(width, config)
        self.beta = nn.Linear(width, config.num_heads, bias=False)

    def streams(
        self, x_BTD: Tensor, inputs_BIC: Tensor, lengths_B: Tensor | None
    ) -> tuple[Streams, Tensor]:
        q_BTHK, k_BTHK, v_BTHV, inputs_BIC = self.queries_keys_values(x_BTD, inputs_BIC, lengths_B)
        beta_BTH1 = self.strength(self.beta(x_BTD))[..., None]
        return Streams(q_BTHK, beta_BTH1 * k_BTHK, v_BTHV, None, k_BTHK), inputs_BIC
