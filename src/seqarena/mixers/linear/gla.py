"""GLA, gated linear attention: each feature of a key forgets at a rate that the input sets.

Yang, Wang, Shen, Panda and Kim 2023, "Gated Linear Attention Transformers with Hardware-Efficient
Training", arXiv:2312.06635, section 4.4.

    q, k, v = x W_Q, x W_K, x W_V                 q / sqrt(K)
    alpha_t = sigmoid(x W_1 W_2 + b)^(1/16)       W_1 W_2 of a low rank
    S_t     = diag(alpha_t) S_(t-1) + k_t v_t^T
    y       = W_O (rms_norm(S_t^T q_t) * silu(x W_r))

    paper               here
    d_k = D / 2, d_v    key_features, value_features of all heads together
    W_alpha^1, ^2, b    low_rank
    tau                 decay_root
    W_r, Swish          gated_out.gate, silu

The norm is an RMS norm and the gate has no bias, as in the authors' later code
(flash-linear-attention). Initialisation of W_Q, W_K, W_1 and W_2: the authors' first code; the
others as torch.nn.Linear. The block is the common one, with its own channel mixer.

Letters: B batch, T time, D width, H heads, K features of a key, V features of a value.
"""

from typing import ClassVar

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.core.shapes import at_least_float32
from seqarena.mixers.base import Complexity
from seqarena.mixers.linear.matrix_state import MatrixStateConfig, MatrixStateMixer, Streams
from seqarena.mixers.linear.read_out import GatedReadOut, draw_xavier

_GAIN = 2**-2.5


class GLAConfig(MatrixStateConfig):
    """The keys of all heads have `key_expand` times the width, and the values the width. The
    `decay_root`-th root of a gate is a decay: the higher, the longer the memory at the start."""

    key_expand: float = Field(default=0.5, gt=0)
    decay_rank: int = Field(default=16, ge=1)
    decay_root: float = Field(default=16.0, gt=0)
    norm_epsilon: float = Field(default=1e-6, gt=0)


class GatedLinearAttention(MatrixStateMixer):
    """Linear attention with a decay a feature of the key, and a gated norm."""

    Config = GLAConfig
    config: GLAConfig
    equation: ClassVar[str] = """\
q, k, v = x W_Q, x W_K, x W_V                 q / sqrt(K)
alpha_t = sigmoid(x W_1 W_2 + b)^(1/16)       W_1 W_2 of a low rank
S_t     = diag(alpha_t) S_(t-1) + k_t v_t^T
y       = W_O (rms_norm(S_t^T q_t) * silu(x W_r))"""
    complexity = Complexity("T D^2 / H + T D^2", "T / L", "T", "D^2 / H")

    def __init__(self, width: int, config: GLAConfig) -> None:
        super().__init__(width, config)
        keys, H = round(config.key_expand * width), config.num_heads
        if keys % H or keys != config.key_expand * width:
            raise UserError(
                f"{config.key_expand:g} times the width {width} does not divide into {H} heads: "
                f"use a width that is a multiple of {H / config.key_expand:g}"
            )
        self.key_features, self.value_features = keys // H, width // H
        self.decay_root = config.decay_root
        self.sizes = (keys, keys, width)  # of q, k and v
        self.inward = nn.Linear(width, sum(self.sizes), bias=False)
        low_rank = (
            nn.Linear(width, config.decay_rank, bias=False),
            nn.Linear(config.decay_rank, keys),
        )
        self.low_rank = nn.Sequential(*low_rank)
        self.gated_out = GatedReadOut(width, H, self.value_features, config.norm_epsilon)
        draw_xavier(self.inward.weight[: 2 * keys], (keys, keys), _GAIN)
        for linear in low_rank:
            nn.init.xavier_uniform_(linear.weight, _GAIN)

    def streams(
        self, x_BTD: Tensor, inputs_BIC: Tensor, lengths_B: Tensor | None
    ) -> tuple[Streams, Tensor]:
        q_BTHK, k_BTHK, v_BTHV = self.heads(self.inward(x_BTD), *self.sizes)
        gate_BTC = at_least_float32(self.low_rank(x_BTD))
        (log_alpha_BTHK,) = self.heads(F.logsigmoid(gate_BTC) / self.decay_root, self.sizes[0])
        return Streams(q_BTHK * self.key_features**-0.5, k_BTHK, v_BTHV, log_alpha_BTHK), inputs_BIC

    def read_out(self, y_BTHV: Tensor, x_BTD: Tensor, streams: Streams) -> Tensor:
        return self.gated_out(y_BTHV, x_BTD)

    def projection_flops(self, length: int) -> int:
        low_rank = self.config.decay_rank * (self.width + self.sizes[0])
        inward = 2 * length * (self.inward.weight.numel() + low_rank)
        return inward + self.gated_out.flops(length)
