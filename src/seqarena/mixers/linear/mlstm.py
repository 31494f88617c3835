"""mLSTM: an LSTM whose cell is a matrix, with exponential gates that see the input alone.

Beck et al. 2024, "xLSTM: Extended Long Short-Term Memory", arXiv:2405.04517, section 2.3, equations
19 to 27, stabilised as in equations 15 to 17; the layer of Figure 11 (right).

    u, z    = W_up x                                two streams of E channels
    c       = silu(short convolution of u)
    q, k, v = W_q c, W_k c / sqrt(K), W_v u         block-diagonal, blocks of 4 channels
    i, f    = W_i [q k v] + b_i, log sigmoid(W_f [q k v] + b_f)       one of each a head
    m_t     = max(f_t + m_(t-1), i_t)               the logarithm of the scale of S and n
    S_t     = exp(f_t + m_(t-1) - m_t) S_(t-1) + exp(i_t - m_t) k_t v_t^T
    n_t     = exp(f_t + m_(t-1) - m_t) n_(t-1) + exp(i_t - m_t) k_t
    h_t     = S_t^T q_t / (max(|n_t . q_t|, exp(-m_t)) + epsilon)
    y       = W_down ((layer_norm(h) + skip * c) * silu(z))

    paper            here
    C_t, n_t         the matrix of the state: n is its last column, which a value of 1 leaves
    m_t              m_BH: f summed up plus a running maximum of i less that sum
    i tilde          i
    o_t              silu(z), as the figure and the authors' code have it

No exponential is above one: decay and input are both taken relative to m_t. m_0 = 0 is an empty
memory's. The norm is a head's. The layer is as in the authors' package (xlstm), with its
initialisation, but that E is not rounded to a multiple of 64; it stands in the common block, whose
channel mixer the paper's block does not have.

Letters: B batch, T time, D width, E inner width, H heads, K = E / H features, V = K + 1.
"""

import math
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.core.shapes import at_least_float32, lengths_to_mask
from seqarena.mixers.base import Complexity
from seqarena.mixers.convolution.short import ShortConvolution
from seqarena.mixers.linear.matrix_state import (
    MatrixMixer,
    MatrixStateConfig,
    Streams,
)


class MLSTMConfig(MatrixStateConfig):
    """The inner width is `expand` times the width; `block_size` channels project together."""

    expand: int = Field(default=2, ge=1)
    kernel: int = Field(default=4, ge=1)
    block_size: int = Field(default=4, ge=1)
    epsilon: float = Field(default=1e-6, ge=0)
    norm_epsilon: float = Field(default=1e-5, gt=0)


class MLSTMState(NamedTuple):
    """Of the matrices and of the convolution as in any matrix mixer, and the logarithm of what the
    matrices are divided by, in at least float32."""

    s_BHKV: Tensor
    inputs_BIC: Tensor
    m_BH: Tensor


class MLSTM(MatrixMixer):
    """The layer of xLSTM that trains in parallel."""

    Config = MLSTMConfig
    config: MLSTMConfig
    equation: ClassVar[str] = """\
u, z    = W_up x                                two streams of E channels
c       = silu(short convolution of u)
q, k, v = W_q c, W_k c / sqrt(K), W_v u         block-diagonal, blocks of 4 channels
i, f    = W_i [q k v] + b_i, log sigmoid(W_f [q k v] + b_f)       one of each a head
m_t     = max(f_t + m_(t-1), i_t)               the logarithm of the scale of S and n
S_t     = exp(f_t + m_(t-1) - m_t) S_(t-1) + exp(i_t - m_t) k_t v_t^T
n_t     = exp(f_t + m_(t-1) - m_t) n_(t-1) + exp(i_t - m_t) k_t
h_t     = S_t^T q_t / (max(|n_t . q_t|, exp(-m_t)) + epsilon)
y       = W_down ((layer_norm(h) + skip * c) * silu(z))"""
    complexity = Complexity("T E^2 / H + T D E", "T / L", "T", "E^2 / H")

    def __init__(self, width: int, config: MLSTMConfig) -> None:
        super().__init__(width, config)
        self.inner_width = inner = config.expand * width
        if inner % config.block_size:
            raise UserError(
                f"{inner} inner channels do not divide into blocks of {config.block_size}: use a "
                "width or an expand that makes them a multiple of block_size"
            )
        H = config.num_heads
        self.key_features = inner // H
        self.value_features = self.key_features + 1
        self.up = nn.Linear(width, 2 * inner, bias=False)
        self.convolution = ShortConvolution(inner, config.kernel, bias=True)
        blocks = (3, inner // config.block_size, config.block_size, config.block_size)
        self.blocks = nn.Parameter(torch.empty(blocks))  # of W_q, W_k and W_v: blocks, out, in
        self.gates = nn.Linear(3 * inner, 2 * H)  # i, then f
        self.norm_weight = nn.Parameter(torch.ones(inner))
        self.skip = nn.Parameter(torch.ones(inner))
        self.down = nn.Linear(inner, width, bias=False)
        small = math.sqrt(2 / (5 * width))
        nn.init.normal_(self.up.weight, std=small)
        nn.init.normal_(self.blocks, std=small)
        nn.init.zeros_(self.gates.weight)
        with torch.no_grad():
            self.gates.bias.copy_(torch.cat((0.1 * torch.randn(H), torch.linspace(3.0, 6.0, H))))
        self.place(0, 1)

    @torch.no_grad()
    def place(self, layer: int, num_layers: int) -> None:
        """Draws the last projection, whose size at the start is divided by the layers."""
        nn.init.normal_(self.down.weight, std=2 / num_layers / math.sqrt(self.width))

    def mix(
        self, x_BTD: Tensor, state: MLSTMState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, MLSTMState]:
        state = self.initial_state(x_BTD.shape[0]) if state is None else state
        u_BTE, z_BTE = self.up(x_BTD).chunk(2, dim=-1)
        c_BTE, inputs_BIC = self.convolve(u_BTE, state.inputs_BIC, lengths_B)
        q_BTE, k_BTE, v_BTE = self._projected(c_BTE, u_BTE)
        gates_BTG = at_least_float32(self.gates(torch.cat((q_BTE, k_BTE, v_BTE), dim=-1)))
        i_BTH, f_BTH = gates_BTG.chunk(2, dim=-1)
        scale = running_scale(i_BTH, f_BTH, state.m_BH, lengths_B)
        (q_BTHK,), (k_BTHK,), (v_BTHK,) = (
            self.heads(x, self.inner_width) for x in (q_BTE, k_BTE, v_BTE)
        )
        k_BTHK = k_BTHK * (self.key_features**-0.5 * scale.write_BTH[..., None])
        with_ones_BTHV = F.pad(v_BTHK, (0, 1), value=1.0)
        streams = Streams(q_BTHK, k_BTHK, with_ones_BTHV, scale.log_decay_BTH[..., None])
        y_BTHV, s_BHKV = self.recur(streams, state.s_BHKV, lengths_B)
        read_BTHK, sum_BTH1 = y_BTHV.split((self.key_features, 1), dim=-1)
        # beyond the exponential of 80 what is read is zero, and so must its gradient be
        floor_BTH1 = torch.exp((-scale.m_BTH).clamp(max=80.0)).to(y_BTHV.dtype)[..., None]
        h_BTHK = read_BTHK / (torch.maximum(sum_BTH1.abs(), floor_BTH1) + self.config.epsilon)
        h_BTHK = F.layer_norm(h_BTHK, (self.key_features,), eps=self.config.norm_epsilon)
        h_BTE = h_BTHK.flatten(2).to(x_BTD.dtype) * self.norm_weight + self.skip * c_BTE
        y_BTD = self.down(h_BTE * F.silu(z_BTE))
        return y_BTD.to(x_BTD.dtype), MLSTMState(
            s_BHKV, inputs_BIC, scale.m_BTH[:, -1].to(state.m_BH.dtype)
        )

    def _projected(self, c_BTE: Tensor, u_BTE: Tensor) -> tuple[Tensor, ...]:
        """q, k and v: every block of channels by its own matrix."""
        blocks = self.blocks.shape[1]
        return tuple(
            torch.einsum("btni,noi->btno", x_BTE.unflatten(-1, (blocks, -1)), matrices).flatten(2)
            for x_BTE, matrices in zip((c_BTE, c_BTE, u_BTE), self.blocks)
        )

    def initial_state(self, batch_size: int, max_length: int = 0) -> MLSTMState:
        s_BHKV, inputs_BIC = super().initial_state(batch_size)
        return MLSTMState(s_BHKV, inputs_BIC, s_BHKV.new_zeros(batch_size, self.num_heads))

    def state_bytes(self, length: int) -> int:
        scales = self.num_heads * max(4, self.up.weight.element_size())
        return super().state_bytes(length) + scales

    def projection_flops(self, length: int) -> int:
        projections = (self.up.weight, self.blocks, self.gates.weight, self.down.weight)
        return 2 * length * sum(weight.numel() for weight in projections)

    def serial_steps(self, length: int) -> int:
        # the blocks, the gates, their running maximum and the quotient
        return super().serial_steps(length) + 4


class StabilisedGates(NamedTuple):
    """What the gates become, [B, T, H] each, in float64."""

    log_decay_BTH: Tensor
    write_BTH: Tensor
    m_BTH: Tensor


def running_scale(
    i_BTH: Tensor, f_BTH: Tensor, m_BH: Tensor, lengths_B: Tensor | None
) -> StabilisedGates:
    """Decay and input relative to m, from what the gates are before their exponential and sigmoid.

    m_t = F_t + max(m_0, max over s <= t of i_s - F_s), where F sums log sigmoid(f). The sums are
    long and their differences short, hence float64. Padding neither writes nor forgets.
    """
    i_BTH, log_f_BTH = i_BTH.double(), F.logsigmoid(f_BTH.double())
    if lengths_B is not None:
        padding_BT1 = ~lengths_to_mask(lengths_B, i_BTH.shape[1])[..., None]
        i_BTH = i_BTH.masked_fill(padding_BT1, -math.inf)
        log_f_BTH = log_f_BTH.masked_fill(padding_BT1, 0.0)
    start_B1H = m_BH.double()[:, None]
    sums_BTH = log_f_BTH.cumsum(dim=1)
    m_BTH = sums_BTH + torch.maximum(start_B1H, (i_BTH - sums_BTH).cummax(dim=1).values)
    before_BTH = torch.cat((start_B1H, m_BTH[:, :-1]), dim=1)
    # rounding may lift a decay of one above it
    log_decay_BTH = (log_f_BTH + before_BTH - m_BTH).clamp(max=0.0)
    return StabilisedGates(log_decay_BTH, torch.exp(i_BTH - m_BTH), m_BTH)
