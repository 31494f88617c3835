"""Lightning attention: linear attention with a fixed decay a head, slower in higher layers.

Qin et al. 2024, "Various Lengths, Constant Speed: Efficient Language Modeling with Lightning
Attention", arXiv:2405.17381, sections 3 and 4; the mixer of seven of eight layers of MiniMax-01
(arXiv:2501.08313, section 2.2).

    q, k, v  = silu(x W_Q), silu(x W_K), silu(x W_V)
    lambda_h = exp(-2^(-8 h / H) (1 - l / (L - 1)))       h = 1 .. H, in layer l = 0 .. L-1 of L
    S_t      = lambda_h S_(t-1) + k_t v_t^T
    y        = W_O (rms_norm(S_t^T q_t) * sigmoid(x W_G))   the norm over all heads together

    paper                            here
    lambda                           lambda_h: the slopes of ALiBi (ops/positions.py), each layer's
    kv_t                             S_t
    U, the gate, W_u                 gated_out.gate, sigmoid as in MiniMax-01

What the papers call lightning is the algorithm: products within blocks and a state between them,
which is the form "chunked" of ops/matrix_recurrence. The first layer's rotary positions of
TransNormerLLM are left out, as in MiniMax-01; its sums of 1e-5 in the factor of the layer are kept.
A mixer by itself is layer 0 of 1. Initialisation as torch.nn.Linear. The block is the common one.

Letters: B batch, T time, D width, H heads, K = D / H features of a key and of a value.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from seqarena.mixers.base import Complexity
from seqarena.mixers.linear.matrix_state import MatrixStateConfig, MatrixStateMixer, Streams
from seqarena.mixers.linear.read_out import GatedReadOut
from seqarena.ops.positions import alibi_slopes


class LightningAttentionConfig(MatrixStateConfig):
    """A head has D / H features."""

    norm_epsilon: float = Field(default=1e-6, gt=0)


class LightningAttention(MatrixStateMixer):
    """Linear attention with fixed decays, and one gated norm over all heads."""

    Config = LightningAttentionConfig
    equation: ClassVar[str] = """\
q, k, v  = silu(x W_Q), silu(x W_K), silu(x W_V)
lambda_h = exp(-2^(-8 h / H) (1 - l / (L - 1)))       h = 1 .. H, in layer l = 0 .. L-1 of L
S_t      = lambda_h S_(t-1) + k_t v_t^T
y        = W_O (rms_norm(S_t^T q_t) * sigmoid(x W_G))   the norm over all heads together"""
    complexity = Complexity("T D^2 / H + T D^2", "T / L", "T", "D^2 / H")

    def __init__(self, width: int, config: LightningAttentionConfig) -> None:
        super().__init__(width, config)
        self.key_features = self.value_features = width // config.num_heads
        self.inward = nn.Linear(width, 3 * width, bias=False)
        self.gated_out = GatedReadOut(
            width,
            config.num_heads,
            self.value_features,
            config.norm_epsilon,
            activation=torch.sigmoid,
            across_heads=True,
        )
        self.place(0, 1)

    def place(self, layer: int, num_layers: int) -> None:
        """Sets how fast the heads of this layer forget."""
        self.layer_factor = 1 - layer / (num_layers - 1 + 1e-5) + 1e-5

    def streams(
        self, x_BTD: Tensor, inputs_BIC: Tensor, lengths_B: Tensor | None
    ) -> tuple[Streams, Tensor]:
        qkv_BTC = F.silu(self.inward(x_BTD))
        slopes_H1 = alibi_slopes(self.num_heads).to(x_BTD.device)[:, None]
        log_decay_BTH1 = (-self.layer_factor * slopes_H1).expand(*x_BTD.shape[:2], -1, -1)
        q_BTHK, k_BTHK, v_BTHK = self.heads(qkv_BTC, *[self.width] * 3)
        return Streams(q_BTHK, k_BTHK, v_BTHK, log_decay_BTH1), inputs_BIC

    def read_out(self, y_BTHV: Tensor, x_BTD: Tensor, streams: Streams) -> Tensor:
        return self.gated_out(y_BTHV, x_BTD)

    def projection_flops(self, length: int) -> int:
        return 2 * length * self.inward.weight.numel() + self.gated_out.flops(length)
