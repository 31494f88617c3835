"""RWKV-6 (Finch): a decay that the input sets, a bonus for the present, a learned token shift.

Peng et al. 2024, "Eagle and Finch: RWKV with Matrix-Valued States and Dynamic Recurrence",
arXiv:2404.05892, section 4.1 to 4.2; the time-mixing block.

    d_t           = x_(t-1) - x_t                                  the token shift
    mix_n         = mu_n + tanh((x_t + d_t mu_x) A_n) B_n          n = w, k, v, r, g
    x_n           = x_t + d_t mix_n
    r, k, v, g    = x_r W_r, x_k W_k, x_v W_v, silu(x_g W_g)
    w_t           = exp(-exp(lambda + tanh(x_w A) B))
    y_t           = (S_(t-1) + diag(u) k_t v_t^T)^T r_t            read before the write
    S_t           = diag(w_t) S_(t-1) + k_t v_t^T
    out           = W_o (group_norm(y) * g)

    paper                       here
    lerp, ddlerp                x + d mix
    A_n, B_n, mu_n              mix_in, mix_out, mixes
    lambda_omega, A, B          decay, decay_in, decay_out
    u                           bonus
    wkv_t                       S_t

What is read before position t is what a query at t - 1 reads behind its write: the queries move
back by one, and the first reads the state that came in. The low ranks are the authors' 32 and 64
from width 512 on, and a sixteenth and an eighth of the width below it, where those would hold most
of the parameters. Initialisation, which depends on the layer: the authors' code (RWKV-LM, x060),
but W_o starts like W_v where theirs is zero: no gradient would pass an untrained layer. The block
is the common one; its channel mixer is not RWKV's.

Letters: B batch, T time, D width, H heads, K = D / H features of a key and of a value, R a rank.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.shapes import at_least_float32
from seqarena.mixers.base import Complexity
from seqarena.mixers.convolution.short import TokenShift
from seqarena.mixers.linear.matrix_state import MatrixStateConfig, MatrixStateMixer, Streams

_MIXES = 5  # of decay, key, value, query and gate, in this order


class RWKV6Config(MatrixStateConfig):
    """Ranks of None: 32 of the token shift and 64 of the decay, less below width 512."""

    mix_rank: int | None = Field(default=None, ge=1)
    decay_rank: int | None = Field(default=None, ge=1)
    norm_epsilon: float = Field(default=64e-5, gt=0)


class RWKV6(MatrixStateMixer):
    """Time mixing of Finch."""

    Config = RWKV6Config
    equation: ClassVar[str] = """\
d_t           = x_(t-1) - x_t                                  the token shift
mix_n         = mu_n + tanh((x_t + d_t mu_x) A_n) B_n          n = w, k, v, r, g
x_n           = x_t + d_t mix_n
r, k, v, g    = x_r W_r, x_k W_k, x_v W_v, silu(x_g W_g)
w_t           = exp(-exp(lambda + tanh(x_w A) B))
y_t           = (S_(t-1) + diag(u) k_t v_t^T)^T r_t            read before the write
S_t           = diag(w_t) S_(t-1) + k_t v_t^T
out           = W_o (group_norm(y) * g)"""
    complexity = Complexity("T D^2 / H + T D^2", "T / L", "T", "D^2 / H")

    def __init__(self, width: int, config: RWKV6Config) -> None:
        super().__init__(width, config)
        self.key_features = self.value_features = width // config.num_heads
        self.convolution = TokenShift(width)
        self.mix_rank = config.mix_rank or min(32, -(-width // 16))
        decay_rank = config.decay_rank or min(64, -(-width // 8))
        self.mix_base = nn.Parameter(torch.empty(width))
        self.mixes = nn.Parameter(torch.empty(_MIXES, width))
        self.mix_in = nn.Linear(width, _MIXES * self.mix_rank, bias=False)
        self.mix_out = nn.Parameter(torch.empty(_MIXES, self.mix_rank, width))
        self.decay = nn.Parameter(torch.empty(width))
        self.decay_in = nn.Linear(width, decay_rank, bias=False)
        self.decay_out = nn.Linear(decay_rank, width, bias=False)
        self.bonus = nn.Parameter(torch.empty(config.num_heads, self.key_features))
        self.key, self.value, self.query, self.gate, self.outward = (
            nn.Linear(width, width, bias=False) for _ in range(5)
        )
        self.norm = nn.GroupNorm(config.num_heads, width, eps=config.norm_epsilon)
        for linear in (self.value, self.query, self.outward):
            nn.init.orthogonal_(linear.weight)
        for linear in (self.key, self.gate):
            nn.init.orthogonal_(linear.weight, 0.1)
        for weight in (self.mix_in.weight, self.decay_in.weight):
            nn.init.zeros_(weight)
        for weight in (self.mix_out, self.decay_out.weight):
            nn.init.uniform_(weight, -0.01, 0.01)
        self.place(0, 1)

    @torch.no_grad()
    def place(self, layer: int, num_layers: int) -> None:
        """Sets shift, decay, bonus and norm to their start in this layer."""
        up, down = layer / max(1, num_layers - 1), 1 - layer / num_layers
        place_D = torch.arange(self.width, device=self.mixes.device)
        share_D, ramp_D = place_D / self.width, place_D / max(1, self.width - 1)
        slow_D, fast_D = 1 - share_D**down, 1 - share_D ** (0.5 * down)
        self.mix_base.copy_(slow_D)
        self.mixes.copy_(torch.stack((slow_D, slow_D, slow_D - 0.3 * up, fast_D, fast_D)))
        self.decay.copy_(-6 + 5 * ramp_D ** (0.7 + 1.3 * up))
        zigzag_D = 0.1 * ((place_D + 1) % 3 - 1)
        self.bonus.copy_((up * (1 - ramp_D) + zigzag_D).view_as(self.bonus))
        self.norm.weight.fill_(((1 + layer) / num_layers) ** 0.7)

    def streams(
        self, x_BTD: Tensor, inputs_BIC: Tensor, lengths_B: Tensor | None
    ) -> tuple[Streams, Tensor]:
        before_BTD, inputs_BIC = self.convolve(x_BTD, inputs_BIC, lengths_B)
        decay_BTD, key_BTD, value_BTD, query_BTD, gate_BTD = self._mixed(x_BTD, before_BTD)
        decay_BTD = self.decay_out(torch.tanh(self.decay_in(decay_BTD)))
        q_BTHK, k_BTHK, v_BTHV, log_decay_BTHK = (
            at_least_float32(x_BTD).unflatten(-1, (self.num_heads, -1))
            for x_BTD in (
                self.query(query_BTD),
                self.key(key_BTD),
                self.value(value_BTD),
                -torch.exp(self.decay + at_least_float32(decay_BTD)),
            )
        )
        aside = (F.silu(self.gate(gate_BTD)),)
        return Streams(q_BTHK, k_BTHK, v_BTHV, log_decay_BTHK, aside=aside), inputs_BIC

    def _mixed(self, x_BTD: Tensor, before_BTD: Tensor) -> tuple[Tensor, ...]:
        """Between each position and the one before, five times, by weights that it sets."""
        change_BTD = before_BTD - x_BTD
        low_BTC = torch.tanh(self.mix_in(x_BTD + change_BTD * self.mix_base))
        low_NXR = low_BTC.view(-1, _MIXES, self.mix_rank).transpose(0, 1)
        mix_NBTD = (low_NXR @ self.mix_out).unflatten(1, x_BTD.shape[:2])
        mix_NBTD = mix_NBTD + self.mixes[:, None, None]
        return tuple(x_BTD + change_BTD * mix_BTD for mix_BTD in mix_NBTD)

    def recur(
        self, streams: Streams, s_BHKV: Tensor, lengths_B: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Reads before it writes, and adds what the bonus lets through of the present."""
        q_BTHK, k_BTHK, v_BTHV = streams[:3]
        ahead_BTHK = F.pad(q_BTHK[:, 1:], (0, 0, 0, 0, 0, 1))
        y_BTHV, after_BHKV = super().recur(streams._replace(q_BTHK=ahead_BTHK), s_BHKV, lengths_B)
        first_BHV = (q_BTHK[:, 0, :, None].to(s_BHKV.dtype) @ s_BHKV)[:, :, 0]
        y_BTHV = torch.cat((first_BHV[:, None], y_BTHV[:, :-1]), dim=1)
        present_BTH1 = (q_BTHK * self.bonus * k_BTHK).sum(dim=-1, keepdim=True)
        return y_BTHV + present_BTH1 * v_BTHV, after_BHKV

    def read_out(self, y_BTHV: Tensor, x_BTD: Tensor, streams: Streams) -> Tensor:
        y_BTD = self.norm(y_BTHV.flatten(2).flatten(0, 1)).view_as(x_BTD).to(x_BTD.dtype)
        return self.outward(y_BTD * streams.aside[0])

    def projection_flops(self, length: int) -> int:
        matrices = (self.mix_in, self.decay_in, self.decay_out)
        low = sum(linear.weight.numel() for linear in matrices) + self.mix_out.numel()
        return 2 * length * (low + 5 * self.width**2)

    def flops(self, length: int) -> int:
        # the bonus: r u k, a multiply-add, and its share of v
        return super().flops(length) + 5 * length * self.width

    def serial_steps(self, length: int) -> int:
        # the shift, two products to its weights, and two to the decay
        return super().serial_steps(length) + 5
