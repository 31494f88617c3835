"""RG-LRU: the recurrent block of Hawk and Griffin, a diagonal recurrence with two gates.

De et al. 2024, "Griffin: Mixing Gated Linear Recurrences with Local Attention for Efficient
Language Models", arXiv:2402.19427, sections 2.3 and 2.4. Initialisation as the authors' code has it
(google-deepmind/recurrentgemma).

    u          = causal depthwise convolution of W_x x;   z = gelu(W_z x)     E channels each
    r, i       = sigmoid(W_r u + b_r), sigmoid(W_i u + b_i)       blocks on the diagonal of W_r, W_i
    log a_t    = -8 softplus(lambda) r_t
    h_t        = a_t h_{t-1} + sqrt(1 - a_t^2) i_t u_t
    y          = W_out (h_t * z_t)

Glossary: r is the paper's recurrence gate, i its input gate; its a = sigmoid(Lambda) is
exp(-softplus(lambda)) here, as in the authors' code, and 8 its c; `num_blocks` is the code's
num_heads, E the paper's D_RNN. Differences: the authors' code leaves out the factor
sqrt(1 - a_t^2) where a text begins, the paper and this file do not. The code computes 1 - a^2 from
a and clips the root's gradient at 1,000; here expm1 is exact near a = 1, and nothing is clipped.
The channel mixer is that of every stack, where Hawk's is gated by GELU.

Letters: B batch, T time, D width, E inner width, H blocks of the gates, F features of a block,
K kernel.
"""

import math
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.core.shapes import at_least_float32, lengths_to_mask
from seqarena.mixers.base import Complexity, Mixer, MixerConfig
from seqarena.mixers.convolution.short import ShortConvolution
from seqarena.ops.diagonal import linear_recurrence

_SHARPNESS = 8.0  # the paper's c
_RADII = (0.9, 0.999)  # of a, when a gate is open, at initialisation
_CONVOLUTION_VARIANCE = 0.01  # of all taps together, at initialisation


class RGLRUConfig(MixerConfig):
    """`num_blocks` is as many as other mixers have heads; the released models have 10 to 32."""

    # channels of the recurrence; None: four thirds of the width, up to a multiple of the blocks
    inner_width: int | None = Field(default=None, ge=1)
    num_blocks: int = Field(default=4, ge=1)
    kernel: int = Field(default=4, ge=1)


class RGLRUState(NamedTuple):
    """The convolution's last K - 1 inputs (of the parameters' dtype) and the recurrent state (at
    least float32)."""

    inputs_BKE: Tensor
    h_BE: Tensor


class RGLRU(Mixer):
    """Two branches: a short convolution and the gated recurrence, and a GELU that gates it.

    Initialised as the authors' code: linear maps and gates normal with variance one over the
    inputs, biases zero, a on a ring between the radii 0.9 and 0.999 (uniform in its area).
    """

    Config = RGLRUConfig
    operation = linear_recurrence
    equation: ClassVar[str] = """\
u          = causal depthwise convolution of W_x x;   z = gelu(W_z x)     E channels each
r, i       = sigmoid(W_r u + b_r), sigmoid(W_i u + b_i)       blocks on the diagonal of W_r, W_i
log a_t    = -8 softplus(lambda) r_t
h_t        = a_t h_{t-1} + sqrt(1 - a_t^2) i_t u_t
y          = W_out (h_t * z_t)"""
    complexity = Complexity("T (D E + E^2 / H)", "T, or log T by scan", "T", "E")

    def __init__(self, width: int, config: RGLRUConfig) -> None:
        super().__init__(width, config)
        self.num_blocks = blocks = config.num_blocks
        self.inner_width = inner = _inner_width(width, config)
        features = inner // blocks
        self.in_proj = nn.Linear(width, 2 * inner)  # the recurrence's branch, then the gate's
        self.convolution = ShortConvolution(inner, config.kernel, bias=True, activation="none")
        # r and i of one block side by side
        self.gate_weight = nn.Parameter(torch.randn(blocks, features, 2 * features))
        self.gate_bias = nn.Parameter(torch.zeros(2 * inner))
        self.decay = nn.Parameter(torch.empty(inner))  # lambda
        self.out_proj = nn.Linear(inner, width)
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        for linear in (self.in_proj, self.out_proj):
            nn.init.normal_(linear.weight, std=linear.in_features**-0.5)
            nn.init.zeros_(linear.bias)
        nn.init.normal_(
            self.convolution.weight, std=math.sqrt(_CONVOLUTION_VARIANCE / self.convolution.kernel)
        )
        if self.convolution.bias is not None:
            nn.init.zeros_(self.convolution.bias)
        self.gate_weight.mul_(self.gate_weight.shape[1] ** -0.5)
        squares_E = self.decay.uniform_(*(radius**2 for radius in _RADII))
        # -log a = softplus(lambda)
        self.decay.copy_(torch.expm1(-0.5 * squares_E.log()).log())

    def mix(
        self, x_BTD: Tensor, state: RGLRUState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, RGLRUState]:
        state = self.initial_state(x_BTD.shape[0]) if state is None else state
        u_BTE, gate_BTE = self.in_proj(x_BTD).chunk(2, dim=-1)
        u_BTE, inputs_BKE = self.convolution(u_BTE, state.inputs_BKE, lengths_B)
        log_a_BTE, input_BTE = self._gated(u_BTE)
        if lengths_B is not None:
            padding_BT1 = ~lengths_to_mask(lengths_B, x_BTD.shape[1])[..., None]
            log_a_BTE = log_a_BTE.masked_fill(padding_BT1, 0.0)
            input_BTE = input_BTE.masked_fill(padding_BT1, 0.0)
        # the smallest number instead of zero: its root has a slope
        kept_BTE = -torch.expm1(2 * log_a_BTE)
        kept_BTE = kept_BTE.clamp(min=torch.finfo(kept_BTE.dtype).tiny).sqrt()
        h_BTE = linear_recurrence(
            log_a_BTE.exp(), kept_BTE * input_BTE, state.h_BE, algorithm=self.algorithm
        )
        y_BTE = h_BTE.to(x_BTD.dtype) * F.gelu(gate_BTE, approximate="tanh")
        return self.out_proj(y_BTE), RGLRUState(inputs_BKE, h_BTE[:, -1].clone())

    def _gated(self, u_BTE: Tensor) -> tuple[Tensor, Tensor]:
        """log a and i u, both [B, T, E] and at least float32."""
        u_BTHF = u_BTE.unflatten(-1, (self.num_blocks, -1))
        gates_BTHG = torch.einsum("bthf,hfg->bthg", u_BTHF, self.gate_weight)
        gates_BTHG = gates_BTHG + self.gate_bias.unflatten(0, (self.num_blocks, -1))
        recurrence_BTE, input_BTE = (
            x.flatten(2).sigmoid() for x in at_least_float32(gates_BTHG).chunk(2, dim=-1)
        )
        rate_E = _SHARPNESS * F.softplus(at_least_float32(self.decay))
        return -rate_E * recurrence_BTE, input_BTE * u_BTE

    def initial_state(self, batch_size: int, max_length: int = 0) -> RGLRUState:
        dtype = torch.promote_types(self.decay.dtype, torch.float32)
        return RGLRUState(
            self.convolution.initial_history(batch_size),
            self.decay.new_zeros(batch_size, self.inner_width, dtype=dtype),
        )

    def flops(self, length: int) -> int:
        inner = self.inner_width
        # a multiply-add for the decay of h and its input
        per_position = 3 * self.width * inner + 2 * inner**2 // self.num_blocks + inner
        return 2 * length * per_position + self.convolution.flops(length)

    def state_bytes(self, length: int) -> int:
        size = max(4, self.decay.element_size())
        return self.convolution.history_bytes() + self.inner_width * size

    def serial_steps(self, length: int) -> int:
        # projection in, convolution, gates, the product with the other branch, projection out
        return 5 + self.algorithm_steps(length)

    def path_length(self, distance: int) -> int:
        return distance

    def reach(self) -> float:
        return math.inf


def _inner_width(width: int, config: RGLRUConfig) -> int:
    """E. Raises UserError where the blocks do not divide it."""
    if width < 1:
        raise UserError(f"width {width}: it must be at least 1")
    blocks = config.num_blocks
    if config.inner_width is None:
        return blocks * math.ceil(4 * width / (3 * blocks))
    if config.inner_width % blocks:
        raise UserError(
            f"inner_width {config.inner_width} does not divide into {blocks} blocks: "
            "use a multiple of num_blocks"
        )
    return config.inner_width
