"""Mamba: a state space whose step size, input and output depend on what is read.

Gu and Dao 2023, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces",
arXiv:2312.00752, section 3.4 and Algorithm 2.

    u, z       = W_in x                            two streams of E channels
    v          = silu(causal depthwise convolution of u)
    s, B, C    = W_x v;   step = softplus(W_dt s + b_dt)
    h_t        = exp(step_t A) h_{t-1} + step_t B_t v_t,   A = -exp(a_log)
    y          = W_out ((C_t h_t + D v_t) * silu(z_t))

`negative_eigenvalues`: the decay is 2 exp(step_t A) - 1, with which a state can change its sign at
every position (Grazzi et al. 2024, arXiv:2411.12537); all decays are written out then, memory
B T N E, and the recurrence is that of ops/diagonal.

Glossary: step is the paper's Delta, N its state size, R (time_step_rank) the rank of the projection
to it; a_log and skip are the reference implementation's A_log and D.

Letters: B batch, T time, D width, E inner width (expand times D), N states of a channel, K kernel.
"""

import math
from typing import Any, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from seqarena.core.errors import UserError
from seqarena.core.shapes import at_least_float32, lengths_to_mask
from seqarena.mixers.base import Complexity, Mixer, MixerConfig
from seqarena.mixers.convolution.short import ShortConvolution
from seqarena.mixers.state_space.time_steps import TimeStepConfig, softplus_inverse
from seqarena.ops.diagonal import linear_recurrence
from seqarena.ops.registry import Operation
from seqarena.ops.selective_scan import selective_scan


class MambaConfig(TimeStepConfig):
    """The defaults are the paper's."""

    expand: int = Field(default=2, ge=1)
    state_size: int = Field(default=16, ge=1)
    kernel: int = Field(default=4, ge=1)
    time_step_rank: int | None = Field(default=None, ge=1)  # None: a sixteenth of the width, up
    bias: bool = False  # of the projections in and out
    convolution_bias: bool = True
    negative_eigenvalues: bool = False  # decays in [-1, 1] instead of [0, 1]


class MambaState(NamedTuple):
    """The convolution's last K - 1 inputs (of the parameters' dtype) and the scan's state."""

    inputs_BKE: Tensor
    h_BNE: Tensor


class Mamba(Mixer):
    """Projections, short convolution, selective scan and gate.

    Initialised as the reference: A to -1 ... -N in every channel (S4D-Real), D to one, the bias of
    the step to the inverse softplus of log-uniform steps, its weight uniform within R ** -0.5.
    """

    Config = MambaConfig
    config: MambaConfig
    operation = selective_scan
    equation: ClassVar[str] = """\
u, z       = W_in x                            two streams of E channels
v          = silu(causal depthwise convolution of u)
s, B, C    = W_x v;   step = softplus(W_dt s + b_dt)
h_t        = exp(step_t A) h_{t-1} + step_t B_t v_t,   A = -exp(a_log)
y          = W_out ((C_t h_t + D v_t) * silu(z_t))"""
    complexity = Complexity("T (D E + E N)", "T, or log T by scan", "T", "E N")

    @classmethod
    def operation_of(cls, config: MixerConfig) -> Operation[..., Any]:
        assert isinstance(config, MambaConfig)
        return linear_recurrence if config.negative_eigenvalues else selective_scan

    def __init__(self, width: int, config: MambaConfig) -> None:
        super().__init__(width, config)
        if width < 1:
            raise UserError(f"width {width}: it must be at least 1")
        self.inner_width = inner = config.expand * width
        self.state_size = config.state_size
        self.rank = (
            math.ceil(width / 16) if config.time_step_rank is None else config.time_step_rank
        )
        self.in_proj = nn.Linear(width, 2 * inner, bias=config.bias)
        self.convolution = ShortConvolution(inner, config.kernel, bias=config.convolution_bias)
        self.x_proj = nn.Linear(inner, self.rank + 2 * self.state_size, bias=False)
        self.step_proj = nn.Linear(self.rank, inner)
        self.a_log = nn.Parameter(torch.empty(inner, self.state_size))
        self.skip = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, width, bias=config.bias)
        self._initialise(config)

    @torch.no_grad()
    def _initialise(self, config: MambaConfig) -> None:
        # the published recipe spares both from weight decay; an optimizer may read this mark
        for parameter in (self.a_log, self.skip):
            parameter.no_weight_decay = True  # pyright: ignore[reportAttributeAccessIssue]
        self.a_log.copy_(torch.arange(1, self.state_size + 1).log().expand_as(self.a_log))
        nn.init.uniform_(self.step_proj.weight, -(self.rank**-0.5), self.rank**-0.5)
        self.step_proj.bias.copy_(
            softplus_inverse(torch.exp(config.draw_log_steps(self.inner_width)))
        )

    def mix(
        self, x_BTD: Tensor, state: MambaState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, MambaState]:
        state = self.initial_state(x_BTD.shape[0]) if state is None else state
        u_BTE, gate_BTE = self.in_proj(x_BTD).chunk(2, dim=-1)
        v_BTE, inputs_BKE = self.convolution(u_BTE, state.inputs_BKE, lengths_B)
        step_BTR, b_BTN, c_BTN = self.x_proj(v_BTE).split(
            (self.rank, self.state_size, self.state_size), dim=-1
        )
        # steps in float32 under autocast: the decay is their exponential
        step_BTE = F.softplus(at_least_float32(self.step_proj(step_BTR)))
        if lengths_B is not None:
            real_BT = lengths_to_mask(lengths_B, x_BTD.shape[1])
            step_BTE = step_BTE.masked_fill(~real_BT[..., None], 0.0)
        a_NE = -torch.exp(at_least_float32(self.a_log)).t().contiguous()
        scan = self._signed_scan if self.config.negative_eigenvalues else selective_scan
        y_BTE, h_BNE = scan(
            v_BTE, step_BTE, a_NE, b_BTN, c_BTN, state.h_BNE, algorithm=self.algorithm
        )
        y_BTE = (y_BTE + v_BTE * self.skip) * F.silu(gate_BTE)
        return self.out_proj(y_BTE.to(x_BTD.dtype)), MambaState(inputs_BKE, h_BNE)

    def _signed_scan(
        self,
        v_BTE: Tensor,
        step_BTE: Tensor,
        a_NE: Tensor,
        b_BTN: Tensor,
        c_BTN: Tensor,
        start_BNE: Tensor,
        *,
        algorithm: str,
    ) -> tuple[Tensor, Tensor]:
        """The selective scan whose decays may be negative."""
        decay_BTNE = 2 * torch.exp(step_BTE[:, :, None] * a_NE) - 1
        input_BTNE = at_least_float32(b_BTN)[..., None] * (step_BTE * v_BTE)[:, :, None]
        h_BTNE = linear_recurrence(decay_BTNE, input_BTNE, start_BNE, algorithm=algorithm)
        y_BTE = (at_least_float32(c_BTN)[..., None] * h_BTNE).sum(2)
        return y_BTE, h_BTNE[:, -1].clone()

    def initial_state(self, batch_size: int, max_length: int = 0) -> MambaState:
        weight, inner = self.in_proj.weight, self.inner_width
        dtype = torch.promote_types(weight.dtype, torch.float32)
        return MambaState(
            self.convolution.initial_history(batch_size),
            weight.new_zeros(batch_size, self.state_size, inner, dtype=dtype),
        )

    def flops(self, length: int) -> int:
        inner, states = self.inner_width, self.state_size
        projections = 3 * self.width * inner + inner * (2 * self.rank + 2 * states)
        # a multiply-add each for step_t A, the decay of h, its input, and C h; step_t v_t
        scanned = 4 * inner * states + inner
        return 2 * length * (projections + scanned) + self.convolution.flops(length)

    def state_bytes(self, length: int) -> int:
        size = self.in_proj.weight.element_size()
        return self.convolution.history_bytes() + self.inner_width * self.state_size * max(4, size)

    def serial_steps(self, length: int) -> int:
        # projection in, convolution, two projections to the step, gate, projection out
        return 6 + self.algorithm_steps(length)

    def path_length(self, distance: int) -> int:
        return distance

    def reach(self) -> float:
        return math.inf
