"""Mamba-2: a state space whose decay is one number a head, so that it is linear attention too.

Dao and Gu 2024, "Transformers are SSMs: Generalized Models and Efficient Algorithms Through
Structured State Space Duality", arXiv:2405.21060, sections 5 to 7. Layer and initialisation as the
authors' code has them (state-spaces/mamba, Mamba2Simple).

    u, z, s    = W_u x, W_z x, W_s x
    v, B, C    = silu(causal depthwise convolution of u)         B and C serve every head
    step_t     = softplus(s_t + b)                               one number a head, as A
    S_t        = exp(step_t A) S_{t-1} + step_t B_t v_t^T,       A = -exp(a_log)
    y          = W_out rms_norm((S_t^T C_t + D v_t) * silu(z_t))

Glossary: step is the paper's Delta, K (state_size) its N, V its P (headdim); B is the key of
ops/matrix_recurrence, C its query. There is one group of B and C, as in the released models.

Letters: B batch, T time, D width, E inner width (expand times D), H heads, K states of a channel,
V channels of a head (E / H).
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.core.shapes import at_least_float32
from seqarena.mixers.base import Complexity
from seqarena.mixers.convolution.short import ShortConvolution
from seqarena.mixers.linear.matrix_state import MatrixStateConfig, MatrixStateMixer, Streams
from seqarena.mixers.state_space.time_steps import TimeStepConfig, softplus_inverse

_DECAY_RATES = (1.0, 16.0)  # of -A at initialisation


class Mamba2Config(TimeStepConfig, MatrixStateConfig):
    """The defaults are the authors', but for the heads: they have E / 128, each of 128 channels."""

    expand: int = Field(default=2, ge=1)
    state_size: int = Field(default=64, ge=1)
    kernel: int = Field(default=4, ge=1)
    norm_epsilon: float = Field(default=1e-5, gt=0)


class Mamba2(MatrixStateMixer):
    """Projections, short convolution, the recurrence, a gated norm.

    Initialised as the authors' code: -A uniform between 1 and 16, D to one, the bias of the step to
    the inverse softplus of log-uniform steps, linear maps as torch.nn.Linear.
    """

    Config = Mamba2Config
    equation: ClassVar[str] = """\
u, z, s    = W_u x, W_z x, W_s x
v, B, C    = silu(causal depthwise convolution of u)         B and C serve every head
step_t     = softplus(s_t + b)                               one number a head, as A
S_t        = exp(step_t A) S_{t-1} + step_t B_t v_t^T,       A = -exp(a_log)
y          = W_out rms_norm((S_t^T C_t + D v_t) * silu(z_t))"""
    complexity = Complexity("T (D E + E K)", "T / L", "T", "E K")

    def __init__(self, width: int, config: Mamba2Config) -> None:
        super().__init__(width, config)
        self.num_heads = heads = config.num_heads
        self.inner_width = inner = config.expand * width
        if width < 1 or inner % heads:
            raise UserError(
                f"width {width}: {inner} inner channels do not divide into {heads} heads: "
                "use a multiple of the heads"
            )
        self.key_features, self.value_features = config.state_size, inner // heads
        self.sizes = (inner, config.state_size, config.state_size)  # of v, B and C
        self.inward = nn.Linear(width, sum(self.sizes), bias=False)
        self.convolution = ShortConvolution(sum(self.sizes), config.kernel, bias=True)
        self.steps = nn.Linear(width, heads, bias=False)
        self.gate = nn.Linear(width, inner, bias=False)
        self.outward = nn.Linear(inner, width, bias=False)
        self.norm = nn.RMSNorm(inner, eps=config.norm_epsilon)
        self.a_log = nn.Parameter(torch.empty(heads).uniform_(*_DECAY_RATES).log())
        self.skip = nn.Parameter(torch.ones(heads))
        self.step_bias = nn.Parameter(softplus_inverse(torch.exp(config.draw_log_steps(heads))))

    def streams(
        self, x_BTD: Tensor, inputs_BIC: Tensor, lengths_B: Tensor | None
    ) -> tuple[Streams, Tensor]:
        convolved_BTC, inputs_BIC = self.convolve(self.inward(x_BTD), inputs_BIC, lengths_B)
        v_BTE, b_BTK, c_BTK = convolved_BTC.split(self.sizes, dim=-1)
        v_BTHV = v_BTE.unflatten(-1, (self.num_heads, -1))
        step_BTH1 = F.softplus(at_least_float32(self.steps(x_BTD)) + self.step_bias)[..., None]
        log_decay_BTH1 = -step_BTH1 * at_least_float32(self.a_log).exp()[:, None]
        # a head axis of one: the heads share B and C
        streams = Streams(
            c_BTK[:, :, None],
            b_BTK[:, :, None],
            step_BTH1 * v_BTHV,
            log_decay_BTH1,
            aside=(v_BTHV,),
        )
        return streams, inputs_BIC

    def read_out(self, y_BTHV: Tensor, x_BTD: Tensor, streams: Streams) -> Tensor:
        (v_BTHV,) = streams.aside
        y_BTE = (y_BTHV + self.skip[:, None] * v_BTHV).flatten(2).to(x_BTD.dtype)
        return self.outward(self.norm(y_BTE * F.silu(self.gate(x_BTD))))

    def projection_flops(self, length: int) -> int:
        inward = sum(self.sizes) + self.num_heads
        return 2 * length * self.width * (inward + 2 * self.inner_width)
