"""H3: two state spaces and two products stand in for attention; one remembers, one compares.

Fu, Dao, Saab, Thomas, Rudra and Re 2023, "Hungry Hungry Hippos: Towards Language Modeling with
State Space Models", arXiv:2212.14052, section 3 and Algorithm 1.

    q, k, v = W_q x + b_q, W_k x + b_k, W_v x + b_v       split into heads of E channels
    k_t     = sum over s < K of shift_s k_{t-s} + skip_k k_t          the shift state space
    h_t     = exp(e) h_{t-1} + b (k_t outer v_t)                      the diagonal state space
    y_t     = q_t (2 Re(c h_t) + skip_h (k_t outer v_t))              out = W_o y + b_o

A head has one diagonal system, which every product of a key and a value channel goes through.
Glossary: the paper's shift SSM with B = e_1 (section 3.1) is the filter `shift`, its C; the
diagonal SSM is discretised by the bilinear rule as the authors' code does, Re A = -exp(log_a_real);
`shift_skip` and `skip` are the D of the two. The code also trains both B, whose products with C
are the functions already; here they stay at their start, e_1 and ones. The paper's hybrid with
two layers of attention is a pattern of mixers and not part of this one.

Letters: B batch, T time, D width, K states of the shift (positions that it sees), H heads,
E channels of a head, N complex states (half of state_size).
"""

import math
from typing import ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.core.shapes import at_least_float32
from seqarena.mixers.base import Complexity, Mixer
from seqarena.mixers.state_space.time_steps import TimeStepConfig
from seqarena.ops.history import extend
from seqarena.ops.long_convolution import long_convolution
from seqarena.ops.state_space import Diagonal, bilinear, diagonal_ssm

# how the shift's filter is computed beside each algorithm of the diagonal system
_FILTERED_BY = {"loop": "loop", "parallel": "fft", "chunked": "halves"}


class H3Config(TimeStepConfig):
    """The defaults are the authors' code's."""

    state_size: int = Field(default=64, ge=2, multiple_of=2)  # of both state spaces
    head_size: int = Field(default=1, ge=1)  # E: the state grows with it


class H3State(NamedTuple):
    """The last K - 1 keys (of the parameters' dtype), and the complex states of each product of
    channels as pairs of real numbers, at least float32. M = H E E."""

    keys_BKD: Tensor
    h_BMN2: Tensor


class H3(Mixer):
    """Projections, the shift over keys, the diagonal system over products, and the queries.

    Initialised as the authors' code: Re A to -1/2, Im A to pi n (S4D-Lin), c complex normal, both
    skips normal, the shift as a convolution of torch.nn, projections as torch.nn.Linear.
    """

    Config = H3Config
    operation = diagonal_ssm
    equation: ClassVar[str] = """\
q, k, v = W_q x + b_q, W_k x + b_k, W_v x + b_v       split into heads of E channels
k_t     = sum over s < K of shift_s k_{t-s} + skip_k k_t          the shift state space
h_t     = exp(e) h_{t-1} + b (k_t outer v_t)                      the diagonal state space
y_t     = q_t (2 Re(c h_t) + skip_h (k_t outer v_t))              out = W_o y + b_o"""
    complexity = Complexity("T (D^2 + D E N)", "log T (parallel), T (loop)", "T", "D E N")

    def __init__(self, width: int, config: H3Config) -> None:
        super().__init__(width, config)
        self.head_size = size = config.head_size
        if width < 1 or width % size:
            raise UserError(f"width {width}: use a multiple of head_size, {size}")
        self.heads, self.states = width // size, config.state_size // 2
        self.past = config.state_size - 1
        self.in_proj = nn.Linear(width, 3 * width)
        bound = config.state_size**-0.5
        self.shift_KD = nn.Parameter((2 * torch.rand(config.state_size, width) - 1) * bound)
        self.shift_skip_D = nn.Parameter(torch.randn(width))
        self.log_step = nn.Parameter(config.draw_log_steps(self.heads))
        shape = (self.heads, self.states)
        self.log_a_real = nn.Parameter(torch.full(shape, math.log(0.5)))
        self.a_imaginary = nn.Parameter(math.pi * torch.arange(self.states).expand(shape).float())
        # two normal numbers of variance 1/2: a complex one of variance 1
        self.c = nn.Parameter(torch.randn(*shape, 2) * math.sqrt(0.5))
        self.skip_H = nn.Parameter(torch.randn(self.heads))
        self.out_proj = nn.Linear(width, width)
        # the published recipe spares the dynamics from weight decay; an optimizer may read this
        for parameter in (self.log_step, self.log_a_real, self.a_imaginary):
            parameter.no_weight_decay = True  # pyright: ignore[reportAttributeAccessIssue]

    def mix(
        self, x_BTD: Tensor, state: H3State | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, H3State]:
        q_BTD, k_BTD, v_BTD = self.in_proj(x_BTD).chunk(3, dim=-1)
        past_BKD = None if state is None else state.keys_BKD.to(k_BTD.dtype)
        _, keys_BKD = extend(k_BTD, past_BKD, self.past, lengths_B)
        shifted_BTD = long_convolution(
            k_BTD, self.shift_KD, past_BKD, algorithm=_FILTERED_BY[self.algorithm]
        )
        shifted_BTD = shifted_BTD + self.shift_skip_D * k_BTD
        u_BTEEH = self._split(shifted_BTD)[..., None, :] * self._split(v_BTD)[..., None, :, :]
        if lengths_B is not None:  # beyond a row's length nothing enters the states
            steps_T = torch.arange(x_BTD.shape[1], device=x_BTD.device)
            u_BTEEH = u_BTEEH * (steps_T < lengths_B[:, None])[..., None, None, None]
        y_BTEEH, h_BMN2 = self._remember(u_BTEEH, state, lengths_B)
        y_BTEEH = y_BTEEH + self.skip_H * u_BTEEH
        y_BTEH = (self._split(q_BTD)[..., None, :] * y_BTEEH).sum(2)
        y_BTD = y_BTEH.flatten(2).to(x_BTD.dtype)  # the authors' order: heads side by side
        keys_BKD = keys_BKD.to(self.in_proj.weight.dtype)
        return self.out_proj(y_BTD), H3State(keys_BKD, h_BMN2)

    def _split(self, x_BTD: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, E, H], in at least float32; a head's channels lie side by side."""
        return at_least_float32(x_BTD).unflatten(2, (self.heads, -1)).transpose(2, 3)

    def _remember(
        self, u_BTEEH: Tensor, state: H3State | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The diagonal system over each product of channels, all products of a head as rows."""
        batch, length, size, _, heads = u_BTEEH.shape
        rows = size * size
        u_RTH = u_BTEEH.flatten(2, 3).transpose(1, 2).reshape(batch * rows, length, heads)
        start_RHN = None
        if state is not None:
            start_RHN = torch.view_as_complex(state.h_BMN2).view(batch * rows, heads, -1)
        lengths_R = None if lengths_B is None else lengths_B.repeat_interleave(rows)
        y_RTH, h_RHN = diagonal_ssm(
            u_RTH, self._system(), start_RHN, lengths_R, algorithm=self.algorithm
        )
        y_BTEEH = y_RTH.view(batch, rows, length, heads).transpose(1, 2).reshape(u_BTEEH.shape)
        h_BMN2 = torch.view_as_real(h_RHN.reshape(batch, rows * heads, -1))
        return y_BTEEH, h_BMN2.contiguous()

    def _system(self) -> Diagonal:
        decay_HN = torch.exp(at_least_float32(self.log_a_real))
        a_HN = torch.complex(-decay_HN, at_least_float32(self.a_imaginary))
        c_HN = torch.view_as_complex(at_least_float32(self.c))
        return bilinear(torch.exp(at_least_float32(self.log_step)), a_HN, c_HN)

    def initial_state(self, batch_size: int, max_length: int = 0) -> H3State:
        weight = self.in_proj.weight
        dtype = torch.promote_types(weight.dtype, torch.float32)
        products = self.width * self.head_size
        return H3State(
            weight.new_zeros(batch_size, self.past, self.width),
            weight.new_zeros(batch_size, products, self.states, 2, dtype=dtype),
        )

    def flops(self, length: int) -> int:
        projections = 2 * self.width * 4 * self.width
        shift = 2 * (self.past + 1) * self.width + 2 * self.width
        # a product of channels: itself 1; of each complex state its decay 6, its input 2, their sum
        # 2, the real part of c h 4; the skip 2, times the query 1, and their sum over the head
        products = self.width * self.head_size
        per_product = 1 + 14 * self.states + 2 + 1
        summed = products - self.width
        return length * (projections + shift + products * per_product + summed)

    def state_bytes(self, length: int) -> int:
        size = self.in_proj.weight.element_size()
        products = self.width * self.head_size
        return self.past * self.width * size + products * self.states * 2 * max(4, size)

    def serial_steps(self, length: int) -> int:
        # project, skip, times values, skip, times queries, project; the shift and the system
        lags = min(length, self.past + 1)
        shifting = long_convolution.serial_steps(_FILTERED_BY[self.algorithm], lags)
        return 6 + shifting + self.algorithm_steps(length)

    def path_length(self, distance: int) -> int:
        return distance

    def reach(self) -> float:
        return math.inf
