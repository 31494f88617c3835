"""Mamba-3: a state space by the trapezoidal rule, whose states turn by angles that are read.

Lahoti, Li, Chen et al. 2026, "Mamba-3: Improved Sequence Modeling using State Space Principles",
arXiv:2603.15569; its form of one input and one output (SISO). Layer and initialisation as the
authors' code has them (state-spaces/mamba, modules/mamba3.py, June 2026).

    z, v, B, C = W_z x, W_v x, W_B x, W_C x
    step_t     = softplus(W_s x + b_s);   r = sigmoid(W_r x);   log a_t = -f(W_a x) step_t
    angle_t    = angle_{t-1} + pi tanh(W_o x) step_t
    k, q       = turn(rms_norm(B) + b_k, angle_t), turn(rms_norm(C) + b_q, angle_t)
    S_t        = a_t S_{t-1} + (1 - r_t) step_t a_t k_{t-1} v_{t-1}^T + r_t step_t k_t v_t^T
    y          = W_out ((S_t^T q_t + D v_t) * silu(z_t))

f(x) = 1 + x above zero, 1 / (1 - x) below; the paper and the code before June 2026 have softplus,
which trains less stably at large rates. log a_t is at most -1e-4 step_t. There is no short
convolution: each position writes its neighbour too.

Glossary: step is the paper's Delta, r its lambda, a its alpha; K (state_size) its N, V its P; k and
q are its B and C. B, C and the angles' rates serve every head, biases and steps belong to one. One
write a position suffices: that of k_{t-1} v_{t-1}^T at position t has both its shares,
r_{t-1} step_{t-1} and (1 - r_t) step_t. Position t's own is added to what is read there, and to S
where the call ends.

Letters: B batch, T time, D width, E inner width (expand times D), H heads, K states of a channel,
V channels of a head (E / H), A angles of a head.
"""

import math
from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.core.shapes import at_least_float32, lengths_to_mask
from seqarena.mixers.base import Complexity, Mixer
from seqarena.mixers.linear.matrix_state import MatrixStateConfig
from seqarena.mixers.state_space.time_steps import TimeStepConfig, softplus_inverse
from seqarena.ops.matrix_recurrence import matrix_recurrence
from seqarena.ops.padding import take_last

_SLOWEST = 1e-4  # of the rates of decay f


class Mamba3Config(TimeStepConfig, MatrixStateConfig):
    """The defaults are the authors', but for the heads and for half as many states, as in Mamba-2
    here."""

    expand: int = Field(default=2, ge=1)
    state_size: int = Field(default=64, ge=4, multiple_of=4)
    turned: Literal["half", "all"] = "half"  # of the states, in pairs
    norm_epsilon: float = Field(default=1e-5, gt=0)


class Mamba3State(NamedTuple):
    """The matrices, the last position's key and value, which the next one writes, and the angles;
    all of at least float32."""

    s_BHKV: Tensor
    k_BHK: Tensor
    v_BHV: Tensor
    angle_BHA: Tensor


class Mamba3(Mixer):
    """Projections, norms of B and C, rotation, the recurrence, a gate.

    Initialised as the authors' code: biases of B and C and D to one, the bias of the step to the
    inverse softplus of log-uniform steps, linear maps as torch.nn.Linear.
    """

    Config = Mamba3Config
    config: Mamba3Config
    operation = matrix_recurrence
    equation: ClassVar[str] = """\
z, v, B, C = W_z x, W_v x, W_B x, W_C x
step_t     = softplus(W_s x + b_s);   r = sigmoid(W_r x);   log a_t = -f(W_a x) step_t
angle_t    = angle_{t-1} + pi tanh(W_o x) step_t
k, q       = turn(rms_norm(B) + b_k, angle_t), turn(rms_norm(C) + b_q, angle_t)
S_t        = a_t S_{t-1} + (1 - r_t) step_t a_t k_{t-1} v_{t-1}^T + r_t step_t k_t v_t^T
y          = W_out ((S_t^T q_t + D v_t) * silu(z_t))"""
    complexity = Complexity("T (D E + E K)", "T / L", "T", "E K")

    def __init__(self, width: int, config: Mamba3Config) -> None:
        super().__init__(width, config)
        self.num_heads = heads = config.num_heads
        self.inner_width = inner = config.expand * width
        if width < 1 or inner % heads:
            raise UserError(
                f"width {width}: {inner} inner channels do not divide into {heads} heads: "
                "use a multiple of the heads"
            )
        self.states, self.value_features = config.state_size, inner // heads
        self.angles = self.states // (2 if config.turned == "all" else 4)
        # z, v, B, C, step, f's input, r, angles
        self.sizes = (inner, inner, self.states, self.states, heads, heads, heads, self.angles)
        self.inward = nn.Linear(width, sum(self.sizes), bias=False)
        self.key_norm = nn.RMSNorm(self.states, eps=config.norm_epsilon)
        self.query_norm = nn.RMSNorm(self.states, eps=config.norm_epsilon)
        self.key_bias = nn.Parameter(torch.ones(heads, self.states))
        self.query_bias = nn.Parameter(torch.ones(heads, self.states))
        for bias in (self.key_bias, self.query_bias):
            # matrices by their shape alone; an optimizer may read this mark
            bias.no_weight_decay = True  # pyright: ignore[reportAttributeAccessIssue]
        self.step_bias = nn.Parameter(softplus_inverse(torch.exp(config.draw_log_steps(heads))))
        self.skip = nn.Parameter(torch.ones(heads))
        self.outward = nn.Linear(inner, width, bias=False)

    def mix(
        self, x_BTD: Tensor, state: Mamba3State | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, Mamba3State]:
        state = self.initial_state(x_BTD.shape[0]) if state is None else state
        gate_BTE, v_BTE, b_BTK, c_BTK, *small = self.inward(x_BTD).split(self.sizes, dim=-1)
        step_BTH, rate_BTH, share_BTH, turn_BTA = (at_least_float32(x) for x in small)
        step_BTH = F.softplus(step_BTH + self.step_bias)
        if lengths_B is not None:  # without a step nothing turns, fades or is written
            real_BT = lengths_to_mask(lengths_B, x_BTD.shape[1])
            step_BTH = step_BTH.masked_fill(~real_BT[..., None], 0.0)
        angle_BTHA = (math.pi * turn_BTA.tanh())[:, :, None] * step_BTH[..., None]
        angle_BTHA = _wrapped(state.angle_BHA[:, None] + angle_BTHA.cumsum(dim=1))
        k_BTHK, q_BTHK = (
            _turned(norm(at_least_float32(x))[:, :, None] + bias, angle_BTHA)
            for norm, bias, x in (
                (self.key_norm, self.key_bias, b_BTK),
                (self.query_norm, self.query_bias, c_BTK),
            )
        )
        v_BTHV = at_least_float32(v_BTE).unflatten(-1, (self.num_heads, -1))
        # each position after the one before it; the state holds the first of them
        keys, values = (
            torch.cat((before[:, None], x), dim=1)
            for before, x in ((state.k_BHK, k_BTHK), (state.v_BHV, v_BTHV))
        )
        read_BTHV, s_BHKV = self._recurrence(
            q_BTHK, keys, values, _decay_rate(rate_BTH), step_BTH, share_BTH.sigmoid(), state
        )
        y_BTE = (read_BTHV + self.skip[:, None] * v_BTHV).flatten(2) * F.silu(gate_BTE)
        ends_B = None if lengths_B is None else lengths_B + 1
        k_BHK, v_BHV = (take_last(x, ends_B, 1)[:, 0].clone() for x in (keys, values))
        state = Mamba3State(s_BHKV, k_BHK, v_BHV, angle_BTHA[:, -1].clone())
        return self.outward(y_BTE.to(x_BTD.dtype)), state

    def _recurrence(
        self,
        q_BTHK: Tensor,
        keys: Tensor,
        values: Tensor,
        rate_BTH: Tensor,
        step_BTH: Tensor,
        share_BTH: Tensor,
        state: Mamba3State,
    ) -> tuple[Tensor, Tensor]:
        """S_t^T q_t at every position, and S after the last one. `keys` and `values` have the
        position before the call in front."""
        k_BTHK, v_BTHV = keys[:, 1:], values[:, 1:]
        log_decay_BTH1 = (-rate_BTH * step_BTH)[..., None]
        own_BTH = share_BTH * step_BTH
        # of what came before the call, its own share is in S already
        late_BTH = F.pad(own_BTH[:, :-1], (0, 0, 1, 0)) + (1 - share_BTH) * step_BTH
        late_BTHV = late_BTH[..., None] * log_decay_BTH1.exp() * values[:, :-1]
        y_BHTV, s_BHKV = matrix_recurrence(
            q_BTHK.transpose(1, 2),
            keys[:, :-1].transpose(1, 2),
            late_BTHV.transpose(1, 2),
            state.s_BHKV,
            log_decay=log_decay_BTH1.transpose(1, 2),
            algorithm=self.algorithm,
            chunk_size=self.config.chunk_size,
        )
        found_BTH = own_BTH * (q_BTHK * k_BTHK).sum(dim=-1)
        last_BHV = own_BTH[:, -1, :, None] * v_BTHV[:, -1]  # zero where the last one is padding
        s_BHKV = s_BHKV + k_BTHK[:, -1, :, :, None] * last_BHV[:, :, None]
        return y_BHTV.transpose(1, 2) + found_BTH[..., None] * v_BTHV, s_BHKV

    def initial_state(self, batch_size: int, max_length: int = 0) -> Mamba3State:
        dtype = torch.promote_types(self.skip.dtype, torch.float32)
        states, channels = self.states, self.value_features

        def zeros(*shape: int) -> Tensor:
            return self.skip.new_zeros(batch_size, self.num_heads, *shape, dtype=dtype)

        return Mamba3State(
            zeros(states, channels), zeros(states), zeros(channels), zeros(self.angles)
        )

    def flops(self, length: int) -> int:
        projected = self.width * (sum(self.sizes) + self.inner_width)
        # a multiply-add each for writing into S and reading out of it; the position's own key and
        # value, read beside S
        matrix = 2 * self.inner_width * self.states
        own = self.num_heads * self.states + self.inner_width
        return length * (2 * (projected + matrix + own) + self.inner_width * self.states)

    def state_bytes(self, length: int) -> int:
        numbers = self.states * self.value_features + self.states + self.value_features
        size = max(4, self.skip.element_size())
        return self.num_heads * (numbers + self.angles) * size

    def serial_steps(self, length: int) -> int:
        # projection in, steps, angles, rotation, read, gate, projection out
        return 7 + self.algorithm_steps(length, chunk_size=self.config.chunk_size)

    def path_length(self, distance: int) -> int:
        return distance

    def reach(self) -> float:
        return math.inf


def _decay_rate(x: Tensor) -> Tensor:
    """f of the module's head, at least `_SLOWEST`."""
    rate = x.clamp(min=0) + 1 / (1 - x.clamp(max=0))
    return rate.clamp(min=_SLOWEST)


def _wrapped(angle: Tensor) -> Tensor:
    """The same angle between -pi and pi, so that long texts do not lose its fraction."""
    return angle - 2 * math.pi * torch.round(angle.detach() / (2 * math.pi))


def _turned(x_BTHK: Tensor, angle_BTHA: Tensor) -> Tensor:
    """The first A pairs of neighbours (x_2i, x_2i+1), each turned by its angle."""
    first_BTHA, second_BTHA = (
        x_BTHK[..., : 2 * angle_BTHA.shape[-1]].unflatten(-1, (-1, 2)).unbind(-1)
    )
    cosine_BTHA, sine_BTHA = angle_BTHA.cos(), angle_BTHA.sin()
    pairs = (
        first_BTHA * cosine_BTHA - second_BTHA * sine_BTHA,
        first_BTHA * sine_BTHA + second_BTHA * cosine_BTHA,
    )
    turned = torch.stack(pairs, dim=-1).flatten(-2)
    return torch.cat((turned, x_BTHK[..., turned.shape[-1] :]), dim=-1)
