"""RetNet: attention without softmax that forgets at a fixed rate, a different one in each head.

Sun et al. 2023, "Retentive Network: A Successor to Transformer for Large Language Models",
arXiv:2307.08621, sections 2.1 and 2.2, equations 1 to 8.

    q, k, v = x W_Q, x W_K / sqrt(K), x W_V       q_t, k_t turned by the angles t theta (rotary)
    gamma_h = 1 - 2^(-5-h)                        h = 0 .. H-1
    S_t     = gamma_h S_(t-1) + k_t v_t^T
    y       = W_O (rms_norm(S_t^T q_t) * silu(x W_G))

    paper                   here
    A = gamma e^(i theta)   the decay gamma, and queries and keys turned by their positions
    S_n                     S_t of its transpose
    GroupNorm               an RMS norm a head, as in the authors' code
    W_G, swish              gated_out.gate, silu

No position is counted: within a call positions start at zero, and behind it the state itself turns
back by the call's length. The recurrent form of the paper (equation 6) turns it at every step.

Left out: the paper's normalisation of the scores by their sums, which the norm behind it undoes up
to its epsilon (section 2.2: retention is scale-invariant under GroupNorm). The block is the common
one, with its own channel mixer. Initialisation: the authors' code (torchscale).

Letters: B batch, T time, D width, H heads, K features of a key, V features of a value.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.mixers.base import Complexity
from seqarena.mixers.linear.matrix_state import (
    MatrixState,
    MatrixStateConfig,
    MatrixStateMixer,
    Streams,
)
from seqarena.mixers.linear.read_out import GatedReadOut, draw_xavier
from seqarena.ops.positions import Rotation, rotate, rotation

_GAIN = 2**-2.5  # of all projections but the last


class RetNetConfig(MatrixStateConfig):
    """A head has D / H features of a key and `value_expand` times as many of a value."""

    value_expand: int = Field(default=2, ge=1)
    rotary_base: float = Field(default=10_000.0, gt=1)
    norm_epsilon: float = Field(default=1e-6, gt=0)


class RetNet(MatrixStateMixer):
    """Retention over several scales of time, with rotary positions and a gated norm."""

    Config = RetNetConfig
    equation: ClassVar[str] = """\
q, k, v = x W_Q, x W_K / sqrt(K), x W_V       q_t, k_t turned by the angles t theta (rotary)
gamma_h = 1 - 2^(-5-h)                        h = 0 .. H-1
S_t     = gamma_h S_(t-1) + k_t v_t^T
y       = W_O (rms_norm(S_t^T q_t) * silu(x W_G))"""
    complexity = Complexity("T D^2 / H + T D^2", "T / L", "T", "D^2 / H")

    def __init__(self, width: int, config: RetNetConfig) -> None:
        super().__init__(width, config)
        self.key_features = width // config.num_heads
        if self.key_features % 2:
            raise UserError(
                f"rotary positions pair the features of a head, and {self.key_features} is odd: "
                f"use a width that is a multiple of {2 * config.num_heads}"
            )
        self.rotary_base = config.rotary_base
        self.value_features = config.value_expand * self.key_features
        self.sizes = (width, width, config.value_expand * width)  # of q, k and v
        self.inward = nn.Linear(width, sum(self.sizes), bias=False)
        self.gated_out = GatedReadOut(
            width, config.num_heads, self.value_features, config.norm_epsilon
        )
        draw_xavier(self.inward.weight, self.sizes, _GAIN)
        nn.init.xavier_uniform_(self.gated_out.gate.weight, _GAIN)
        nn.init.xavier_uniform_(self.gated_out.outward.weight, 0.5)

    def streams(
        self, x_BTD: Tensor, inputs_BIC: Tensor, lengths_B: Tensor | None
    ) -> tuple[Streams, Tensor]:
        q_BTHK, k_BTHK, v_BTHV = self.heads(self.inward(x_BTD), *self.sizes)
        turn = self._rotation(0, x_BTD.shape[1], q_BTHK)
        k_BTHK = rotate(k_BTHK, turn) * self.key_features**-0.5
        head_H = torch.arange(self.num_heads, dtype=torch.float64, device=x_BTD.device)
        log_decay_H1 = torch.log1p(-(2.0 ** (-5 - head_H)))[:, None]
        log_decay_BTH1 = log_decay_H1.expand(*x_BTD.shape[:2], -1, -1)
        return Streams(rotate(q_BTHK, turn), k_BTHK, v_BTHV, log_decay_BTH1), inputs_BIC

    def mix(
        self, x_BTD: Tensor, state: MatrixState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, MatrixState]:
        y_BTD, state = super().mix(x_BTD, state, lengths_B)
        passed = x_BTD.shape[1] if lengths_B is None else lengths_B
        s_BHVK = state.s_BHKV.transpose(2, 3)
        s_BHVK = rotate(s_BHVK, self._rotation(-passed, 1, s_BHVK))
        return y_BTD, state._replace(s_BHKV=s_BHVK.transpose(2, 3))

    def _rotation(self, start: int | Tensor, length: int, like: Tensor) -> Rotation:
        return rotation(start, length, self.key_features, self.rotary_base, like.dtype, like.device)

    def read_out(self, y_BTHV: Tensor, x_BTD: Tensor, streams: Streams) -> Tensor:
        return self.gated_out(y_BTHV, x_BTD)

    def projection_flops(self, length: int) -> int:
        return 2 * length * self.inward.weight.numel() + self.gated_out.flops(length)
