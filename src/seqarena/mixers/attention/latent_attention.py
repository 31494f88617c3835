"""Multi-head latent attention: DeepSeek-V2, DeepSeek-AI 2024 (section 2.1); as in DeepSeek-V3.

    c_t        = norm(x_t W_DKV)                            latent: all that is kept of keys, values
    k_t, v_t   = c_t W_UK, c_t W_UV                         split into heads
    p_t        = turn_t(x_t W_KR)                           rotary key, one for all heads
    q_t, r_t   = norm(x_t W_DQ) W_UQ, turn_t(norm(x_t W_DQ) W_QR)        split into heads
    y_t        = sum_c softmax_c((q_t . k_c + r_t . p_c) / sqrt(E + P)) v_c      over c <= t
    out        = concat(heads) W_O

The cache holds R + P numbers a position instead of 2 H E. A single query, as in decoding, meets
the latents themselves: W_UK goes to the query's side and W_UV behind the softmax, so that no past
key or value is made again (the paper's absorption). Without `query_rank`, as in DeepSeek-V2-Lite,
queries are x_t W_Q and x_t W_QR.

    B batch   T time   D width   H heads   E features of a head   C cache slots
    R latent features   P rotary features of a head   F = R + P   Q = E + P

    paper            here
    d_c, d_c'        latent_rank, query_rank
    d_h, d_h^R       E = D / H, rotary_features
    W_DKV, W_KR      down (one matrix: the latent, then the rotary key)
    W_UK, W_UV       up (of each head: the key, then the value)
    W_DQ, W_UQ W_QR  query_down, query (of each head: the plain part, then the rotary part)
    W_O              outward

Default sizes are those of V2-Lite relative to its width: R = D / 4, P = E / 2 made even. The paper
draws all weights with deviation 0.006, which is about half of 1 / sqrt(D) at its widths and too
little at small ones: here they are Xavier uniform, as in `attention`. Left out: multipliers on the
scores for contexts beyond those trained (YaRN).
"""

import math
from typing import ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.mixers.attention.attention import longer, slot_values, written
from seqarena.mixers.base import Complexity, Mixer, MixerConfig, Watched
from seqarena.ops.attention import attention
from seqarena.ops.positions import rotate, rotation

_EPSILON = 1e-6  # of the norms, the authors'


class LatentAttentionConfig(MixerConfig):
    """`latent_rank` None: a quarter of the width. `query_rank` None: queries are not compressed.
    `rotary_features` None: half of a head's, made even."""

    num_heads: int = 4
    latent_rank: int | None = Field(default=None, ge=1)
    query_rank: int | None = Field(default=None, ge=1)
    rotary_features: int | None = Field(default=None, ge=2, multiple_of=2)
    rotary_base: float = 10_000.0


class LatentCache(NamedTuple):
    """Latents and rotary keys of the past. Slot c of a row holds the row's real position c.

    Without padding every row fills the first `length` slots. Once a call had padding, `lengths_B`
    counts each row's own and `length` bounds them from above. Slots beyond are free.
    """

    latent_B1CF: Tensor
    length: int
    lengths_B: Tensor | None = None


class LatentAttention(Watched, Mixer):
    """Softmax attention whose keys and values are made of a small latent of each position."""

    Config = LatentAttentionConfig
    rewinds = True
    operation = attention
    equation: ClassVar[str] = """\
c_t        = norm(x_t W_DKV)                            latent: all that is kept of keys, values
k_t, v_t   = c_t W_UK, c_t W_UV                         split into heads
p_t        = turn_t(x_t W_KR)                           rotary key, one for all heads
q_t, r_t   = norm(x_t W_DQ) W_UQ, turn_t(norm(x_t W_DQ) W_QR)        split into heads
y_t        = sum_c softmax_c((q_t . k_c + r_t . p_c) / sqrt(E + P)) v_c      over c <= t
out        = concat(heads) W_O"""
    complexity = Complexity(work="T^2 D + T D^2", serial_steps="1", path_length="1", state="T R")

    def __init__(self, width: int, config: LatentAttentionConfig) -> None:
        super().__init__(width, config)
        H = config.num_heads
        if H < 1 or width % H:
            raise UserError(
                f"width {width} does not divide into {H} heads: use a multiple of the heads"
            )
        self.num_heads, self.features = H, width // H
        self.rotary_base = config.rotary_base
        self.rank = config.latent_rank or max(1, width // 4)
        self.rotary_features = config.rotary_features or 2 * -(-self.features // 4)
        per_query = self.features + self.rotary_features
        self.down = nn.Linear(width, self.rank + self.rotary_features, bias=False)
        self.norm = _Norm(self.rank, eps=_EPSILON)
        self.up = nn.Linear(self.rank, H * 2 * self.features, bias=False)
        self.query_down: nn.Sequential | None = None
        if config.query_rank is not None:
            self.query_down = nn.Sequential(
                nn.Linear(width, config.query_rank, bias=False),
                _Norm(config.query_rank, eps=_EPSILON),
            )
        self.query = nn.Linear(config.query_rank or width, H * per_query, bias=False)
        self.outward = nn.Linear(width, width, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws each of the paper's matrices by itself."""
        for linear in self._matrices():
            nn.init.xavier_uniform_(linear.weight)
        E, P = self.features, self.rotary_features
        _draw(self.down.weight, 1, (self.rank, P))
        _draw(self.up.weight, self.num_heads, (E, E))
        _draw(self.query.weight, self.num_heads, (E, P))

    def mix(
        self, x_BTD: Tensor, state: LatentCache | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, LatentCache]:
        T = x_BTD.shape[1]
        used, starts_B = (0, None) if state is None else (state.length, state.lengths_B)
        q_BHTE, r_BHTP, latent_B1CF = self._split(x_BTD, used if starts_B is None else starts_B)
        if state is not None:
            latent_B1CF = written(state.latent_B1CF, latent_B1CF, used, starts_B)
        cache = LatentCache(latent_B1CF, used + T, longer(used, starts_B, T, lengths_B))
        latent_B1CF = latent_B1CF[:, :, : cache.length]
        if self.watcher is not None:
            self._show(q_BHTE, r_BHTP, latent_B1CF, starts_B)
        if T == 1:
            y_BHTE = self._absorbed(q_BHTE, r_BHTP, latent_B1CF, starts_B)
        else:
            k_BHCQ, v_BHCE = self._expanded(latent_B1CF)
            q_BHTQ = torch.cat((q_BHTE, r_BHTP), dim=-1)
            y_BHTE = attention(q_BHTQ, k_BHCQ, v_BHCE, self.algorithm, starts_B=starts_B)
        return self.outward(y_BHTE.transpose(1, 2).flatten(2)), cache

    def _split(self, x_BTD: Tensor, start: int | Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, their rotary parts, and what the cache keeps of the call's positions."""
        P = self.rotary_features
        low = x_BTD if self.query_down is None else self.query_down(x_BTD)
        heads = self.query(low).unflatten(-1, (self.num_heads, -1))
        q_BTHE, r_BTHP = heads.split((self.features, P), dim=-1)
        latent_BTR, p_BTP = self.down(x_BTD).split((self.rank, P), dim=-1)
        turn = rotation(start, x_BTD.shape[1], P, self.rotary_base, p_BTP.dtype, p_BTP.device)
        turned = rotate(torch.cat((r_BTHP, p_BTP[:, :, None]), dim=2), turn)
        r_BTHP, p_BT1P = turned.split((self.num_heads, 1), dim=2)
        latent_BT1F = torch.cat((self.norm(latent_BTR)[:, :, None], p_BT1P), dim=-1)
        return q_BTHE.transpose(1, 2), r_BTHP.transpose(1, 2), latent_BT1F.transpose(1, 2)

    def _expanded(self, latent_B1CF: Tensor) -> tuple[Tensor, Tensor]:
        """Keys with the rotary part, and values, of every slot. Q = E + P."""
        latent_B1CR, p_B1CP = latent_B1CF.split((self.rank, self.rotary_features), dim=-1)
        heads = self.up(latent_B1CR[:, 0]).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        k_BHCE, v_BHCE = heads.chunk(2, dim=-1)
        p_BHCP = p_B1CP.to(heads.dtype).expand(-1, self.num_heads, -1, -1)
        return torch.cat((k_BHCE, p_BHCP), dim=-1), v_BHCE

    def _absorbed(
        self, q_BHTE: Tensor, r_BHTP: Tensor, latent_B1CF: Tensor, starts_B: Tensor | None
    ) -> Tensor:
        """The same over the latents themselves, which are keys and values of one group."""
        key_HER, value_HER = self.up.weight.unflatten(0, (self.num_heads, -1)).chunk(2, dim=1)
        q_BHTF = torch.cat((q_BHTE @ key_HER, r_BHTP), dim=-1)
        # attention divides by sqrt(F)
        q_BHTF = q_BHTF * math.sqrt(q_BHTF.shape[-1] / (self.features + self.rotary_features))
        y_BHTF = attention(q_BHTF, latent_B1CF, latent_B1CF, self.algorithm, starts_B=starts_B)
        return y_BHTF[..., : self.rank] @ value_HER.transpose(1, 2)

    def _show(
        self, q_BHTE: Tensor, r_BHTP: Tensor, latent_B1CF: Tensor, starts_B: Tensor | None
    ) -> None:
        assert self.watcher is not None
        k_BHCQ, _ = self._expanded(latent_B1CF)
        q_BHTQ = torch.cat((q_BHTE, r_BHTP), dim=-1)
        ones_BHCC = slot_values(k_BHCQ)
        self.watcher(attention(q_BHTQ, k_BHCQ, ones_BHCC, "explicit", starts_B=starts_B))

    def _matrices(self) -> list[nn.Linear]:
        return [module for module in self.modules() if isinstance(module, nn.Linear)]

    def initial_state(self, batch_size: int, max_length: int = 0) -> LatentCache:
        features = self.rank + self.rotary_features
        return LatentCache(self.down.weight.new_zeros(batch_size, 1, max_length, features), 0)

    def rewound(self, state: LatentCache, count: int) -> LatentCache:
        lengths_B = None if state.lengths_B is None else state.lengths_B - count
        return state._replace(length=state.length - count, lengths_B=lengths_B)

    def flops(self, length: int) -> int:
        pairs = length * (length + 1) // 2
        a_pair = 2 * self.num_heads * (2 * self.features + self.rotary_features)
        return 2 * length * sum(m.weight.numel() for m in self._matrices()) + pairs * a_pair

    def state_bytes(self, length: int) -> int:
        return length * (self.rank + self.rotary_features) * self.down.weight.element_size()

    def serial_steps(self, length: int) -> int:
        # down, norm, up, attend, project; on the other side query down, norm, query, rotate
        return self.algorithm_steps(length) + (4 if self.query_down is None else 5)

    def path_length(self, distance: int) -> int:
        return 1

    def reach(self) -> float:
        return math.inf


def _draw(weight: Tensor, heads: int, sizes: tuple[int, int]) -> None:
    """Xavier uniform for the two matrices whose rows a weight has in turn for each head."""
    with torch.no_grad():
        for part_HRI in weight.unflatten(0, (heads, -1)).split(sizes, dim=1):
            bound = math.sqrt(6 / (weight.shape[1] + heads * part_HRI.shape[1]))
            part_HRI.uniform_(-bound, bound)


class _Norm(nn.RMSNorm):
    """In the dtype of its weights, under autocast too."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.to(self.weight.dtype)).to(x.dtype)
