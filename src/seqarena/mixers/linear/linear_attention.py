"""Linear attention: "Transformers are RNNs", Katharopoulos et al. 2020.

    q, k, v = x W_Q, x W_K, x W_V           split into heads;  f(x) = elu(x) + 1
    S_t = S_(t-1) + f(k_t) v_t^T            z_t = z_(t-1) + f(k_t)
    y_t = S_t^T f(q_t) / (z_t . f(q_t))     out = concat(heads) W_O

S and z are one matrix to ops/matrix_recurrence, z the column of a value that is always 1.

Letters: B batch, T time, D width, H heads, E = D / H features of a key, F = E features of a value,
G = F + 1.

    paper          here
    phi            f, positive_features
    s_i, z_i       s_BHEF, z_BHE of the state
    W_Q, W_K, W_V  projections.inward (one matrix)
"""

import math
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from seqarena.core.errors import UserError
from seqarena.core.shapes import lengths_to_mask
from seqarena.mixers.attention.attention import HeadProjections
from seqarena.mixers.base import Complexity, Mixer, MixerConfig
from seqarena.ops.matrix_recurrence import matrix_recurrence

EPSILON = 1e-6  # keeps the quotient finite where no key is felt, as in the authors' code


class LinearAttentionConfig(MixerConfig):
    """`chunk_size` matters only to the algorithm "chunked", and only to its speed."""

    num_heads: int = 4
    chunk_size: int = 32
    bias: bool = False


class LinearAttentionState(NamedTuple):
    """The sums over the past, in at least float32."""

    s_BHEF: Tensor
    z_BHE: Tensor


class LinearAttention(Mixer):
    """Attention as a recurrence over a matrix a head."""

    Config = LinearAttentionConfig
    operation = matrix_recurrence
    equation: ClassVar[str] = """\
q, k, v = x W_Q, x W_K, x W_V           split into heads;  f(x) = elu(x) + 1
S_t = S_(t-1) + f(k_t) v_t^T            z_t = z_(t-1) + f(k_t)
y_t = S_t^T f(q_t) / (z_t . f(q_t))     out = concat(heads) W_O"""
    complexity = Complexity(
        work="T D^2 / H + T D^2", serial_steps="T / L", path_length="T", state="D^2 / H"
    )

    def __init__(self, width: int, config: LinearAttentionConfig) -> None:
        super().__init__(width, config)
        if config.chunk_size < 1:
            raise UserError(f"chunk_size is {config.chunk_size}: use at least 1")
        self.chunk_size = config.chunk_size
        self.projections = HeadProjections(width, config.num_heads, config.num_heads, config.bias)

    def mix(
        self, x_BTD: Tensor, state: LinearAttentionState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, LinearAttentionState]:
        B, T, _ = x_BTD.shape
        if state is None:
            state = self.initial_state(B)
        q_BHTE, k_BHTE, v_BHTF = (x.transpose(1, 2) for x in self.projections.split(x_BTD))
        q_BHTE, k_BHTE = positive_features(q_BHTE), positive_features(k_BHTE)
        if lengths_B is not None:
            real_BT = lengths_to_mask(lengths_B, T)
            k_BHTE = k_BHTE * real_BT[:, None, :, None]  # a key of zeros adds nothing
        read_BHTG, sums_BHEG = matrix_recurrence(
            q_BHTE,
            k_BHTE,
            F.pad(v_BHTF, (0, 1), value=1.0),
            torch.cat((state.s_BHEF, state.z_BHE[..., None]), dim=-1),
            algorithm=self.algorithm,
            chunk_size=self.chunk_size,
        )
        y_BHTF = read_BHTG[..., :-1] / (read_BHTG[..., -1:] + EPSILON)
        y_BTD = self.projections.merge(y_BHTF.transpose(1, 2).to(v_BHTF.dtype))
        return y_BTD, LinearAttentionState(sums_BHEG[..., :-1], sums_BHEG[..., -1])

    def initial_state(self, batch_size: int, max_length: int = 0) -> LinearAttentionState:
        weight, H = self.projections.inward.weight, self.projections.num_heads
        E, dtype = self.projections.features, torch.promote_types(weight.dtype, torch.float32)
        return LinearAttentionState(
            weight.new_zeros(batch_size, H, E, E, dtype=dtype),
            weight.new_zeros(batch_size, H, E, dtype=dtype),
        )

    def flops(self, length: int) -> int:
        H, E = self.projections.num_heads, self.projections.features
        # into S and z: 2 E^2 and E; out of them: 2 E^2 and 2 E; the quotient: E
        return self.projections.flops(length) + length * H * (4 * E * E + 4 * E)

    def state_bytes(self, length: int) -> int:
        weight, E = self.projections.inward.weight, self.projections.features
        number_bytes = torch.promote_types(weight.dtype, torch.float32).itemsize
        return self.projections.num_heads * (E * E + E) * number_bytes

    def serial_steps(self, length: int) -> int:
        # project, features, read, divide, project; between them what the algorithm does in turn
        return 5 + self.algorithm_steps(length, chunk_size=self.chunk_size)

    def path_length(self, distance: int) -> int:
        return distance

    def reach(self) -> float:
        return math.inf


def positive_features(x: Tensor) -> Tensor:
    """elu(x) + 1: the feature map of the paper (equation 7)."""
    return F.elu(x) + 1
