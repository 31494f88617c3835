"""HGRN2: a gated recurrence whose state is an outer product, so that it grows without parameters.

Qin et al. 2024, "HGRN2: Gated Linear RNNs with State Expansion", arXiv:2404.07904, section 3.2.

    q, i    = silu(x W_q) / sqrt(K), x W_i
    f_t     = gamma + (1 - gamma) sigmoid(x W_f)        gamma: the layer's lower bound, a channel
    S_t     = diag(f_t) S_(t-1) + (1 - f_t) i_t^T       the input gate is what is forgotten
    y       = W_O rms_norm(S_t^T q_t)

    paper             here
    o_t               q, the output gate, here the query
    gamma^l           sigmoid of `bound`
    h_t               S_t
    expand ratio n    K = D / H

Lower bounds grow with the depth, so that high layers remember long (HGRN, arXiv:2311.04823,
section 3.1): 0 in the first layer, l / L in layer l of L at the start. Different from the authors,
who take them all from one matrix by a softmax and a cumulative sum over layers: here each layer
learns its own, from the same start. Initialisation otherwise as torch.nn.Linear. The root of K, and
one norm over all heads, are those of the authors' code (flash-linear-attention). The block is the
common one.

Letters: B batch, T time, D width, H heads, K features of a key, V = K features of a value.
"""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.shapes import at_least_float32
from seqarena.mixers.base import Complexity
from seqarena.mixers.linear.matrix_state import MatrixStateConfig, MatrixStateMixer, Streams


class HGRN2Config(MatrixStateConfig):
    """A head expands its D / H channels to as many rows of state."""

    norm_epsilon: float = Field(default=1e-5, gt=0)


class HGRN2(MatrixStateMixer):
    """Forget gates that are bounded below, and write what they forget."""

    Config = HGRN2Config
    equation: ClassVar[str] = """\
q, i    = silu(x W_q) / sqrt(K), x W_i
f_t     = gamma + (1 - gamma) sigmoid(x W_f)        gamma: the layer's lower bound, a channel
S_t     = diag(f_t) S_(t-1) + (1 - f_t) i_t^T       the input gate is what is forgotten
y       = W_O rms_norm(S_t^T q_t)"""
    complexity = Complexity("T D^2 / H + T D^2", "T / L", "T", "D^2 / H")

    def __init__(self, width: int, config: HGRN2Config) -> None:
        super().__init__(width, config)
        self.key_features = self.value_features = width // config.num_heads
        self.inward = nn.Linear(width, 3 * width, bias=False)  # q, f and i
        self.norm = nn.RMSNorm(width, eps=config.norm_epsilon)
        self.outward = nn.Linear(width, width, bias=False)
        self.register_parameter("bound", None)  # the first layer has none

    def place(self, layer: int, num_layers: int) -> None:
        """Sets the lower bound to that of this layer at the start."""
        if layer == 0:
            return
        share = layer / num_layers
        logit = math.log(share) - math.log1p(-share)
        self.bound = nn.Parameter(torch.full_like(self.norm.weight, logit))

    def streams(
        self, x_BTD: Tensor, inputs_BIC: Tensor, lengths_B: Tensor | None
    ) -> tuple[Streams, Tensor]:
        q_BTD, f_BTD, i_BTD = self.inward(x_BTD).chunk(3, dim=-1)
        log_f_BTD = F.logsigmoid(at_least_float32(f_BTD))
        if self.bound is not None:
            bound_D = at_least_float32(self.bound)
            log_f_BTD = torch.logaddexp(F.logsigmoid(bound_D), F.logsigmoid(-bound_D) + log_f_BTD)
        log_f_BTHK, q_BTHK, i_BTHV = (
            x.unflatten(-1, (self.num_heads, -1)) for x in (log_f_BTD, F.silu(q_BTD), i_BTD)
        )
        q_BTHK = q_BTHK * self.key_features**-0.5
        return Streams(q_BTHK, -torch.expm1(log_f_BTHK), i_BTHV, log_f_BTHK), inputs_BIC

    def read_out(self, y_BTHV: Tensor, x_BTD: Tensor, streams: Streams) -> Tensor:
        return self.outward(self.norm(y_BTHV.to(x_BTD.dtype).flatten(2)))

    def projection_flops(self, length: int) -> int:
        return 2 * length * 4 * self.width**2
