"""Hyena: gates between convolutions, one of them as long as the sequence.

Poli, Massaroli, Nguyen, Fu, Dao, Baccus, Bengio, Ermon and Re 2023, "Hyena Hierarchy: Towards
Larger Convolutional Language Models", arXiv:2302.10866, section 3 at order 2.

    g, x, v = short convolution of (W x_t + b)             three streams of D channels, K taps
    w_t     = x_t * v_t
    y_t     = g_t * (sum over s <= t of k_s w_{t-s} + skip * w_t),   out = W_o y + b_o
    k_s     = window_s * network(s)        a small network of sines gives the filter at lag s
    window_s = exp(-delta s / (M - 1))     a decay a channel, from slow to fast; M is max_length

The network reads the lag, as a share of M and as cosines and sines of B bands of frequencies:
Linear, sin(f .), twice more with the same f, and a last Linear without a bias. The filter is
defined at every lag, so that sequences may be longer than M. There is no recurrence: what decoding
carries is the history of w, so that a new position costs as much as there are before it.

Differences from the authors' standalone code: its table of the lag's features is trained at a rate
of 1e-5, and here it is fixed; it cuts sequences at M, and here they go on.

Glossary: x is the paper's x^1, g its x^2, `skip` its D_h; `deltas_D` its alpha; `network` its FFN.

Letters: B batch, T time, D width, K taps, P positions of the history, F features and E width of
the filter's network.
"""

import math
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.core.shapes import at_least_float32
from seqarena.mixers.base import Complexity, Mixer, MixerConfig
from seqarena.mixers.convolution.short import ShortConvolution
from seqarena.ops.long_convolution import convolution_flops, long_convolution
from seqarena.ops.padding import take_last

# how fast the filter's window falls: to 1 % after these shares of max_length, first to last channel
_SLOWEST, _FASTEST, _FALLEN = 1.5, 0.3, 0.01


class HyenaConfig(MixerConfig):
    """Features, frequency and length as in the authors' language models; their network's width
    is 64 there and 16 in the layer's own default, which suits small models."""

    kernel: int = Field(default=3, ge=1)  # taps of the short convolution
    max_length: int = Field(default=1024, ge=2)  # M: the scale of lags
    filter_features: int = Field(default=33, ge=3)  # odd: the lag, and pairs of cosine and sine
    filter_width: int = Field(default=16, ge=1)
    filter_layers: int = Field(default=2, ge=0)  # inner ones, between the first and the last
    frequency: float = Field(default=14.0, gt=0)  # of the sines at initialisation; it is trained


class HyenaState(NamedTuple):
    """The short convolution's last K - 1 inputs (of the parameters' dtype), and the past of w in at
    least float32. Its first `length` slots are in use, each row's last position in the last of
    them; a row that had padding has zeros ahead of its own."""

    inputs_BKC: Tensor
    history_BSD: Tensor
    length: int


class Hyena(Mixer):
    """Two gates around a long convolution whose filter is a function of the lag."""

    Config = HyenaConfig
    operation = long_convolution
    equation: ClassVar[str] = """\
g, x, v = short convolution of (W x_t + b)             three streams of D channels, K taps
w_t     = x_t * v_t
y_t     = g_t * (sum over s <= t of k_s w_{t-s} + skip * w_t),   out = W_o y + b_o
k_s     = window_s * network(s)        a small network of sines gives the filter at lag s"""
    complexity = Complexity("T log T D + T D^2", "log T", "1", "T D")

    def __init__(self, width: int, config: HyenaConfig) -> None:
        super().__init__(width, config)
        if width < 1:
            raise UserError(f"width {width}: it must be at least 1")
        self.in_proj = nn.Linear(width, 3 * width)
        self.short = ShortConvolution(3 * width, config.kernel, bias=True, activation="none")
        self.filter = ImplicitFilter(width, config)
        self.skip_D = nn.Parameter(torch.randn(width))
        self.out_proj = nn.Linear(width, width)

    def mix(
        self, x_BTD: Tensor, state: HyenaState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, HyenaState]:
        batch, length, _ = x_BTD.shape
        state = self.initial_state(batch) if state is None else state
        streams_BTC, inputs_BKC = self.short(self.in_proj(x_BTD), state.inputs_BKC, lengths_B)
        gate_BTD, key_BTD, value_BTD = streams_BTC.chunk(3, dim=-1)
        w_BTD = at_least_float32(key_BTD * value_BTD)
        past_BPD = state.history_BSD[:, : state.length]
        k_KD = self.filter(state.length + length)
        y_BTD = long_convolution(w_BTD, k_KD, past_BPD, algorithm=self.algorithm)
        y_BTD = gate_BTD * (y_BTD + self.skip_D * w_BTD).to(gate_BTD.dtype)
        history_BSD = _appended(state.history_BSD, state.length, w_BTD, lengths_B)
        state = HyenaState(inputs_BKC, history_BSD, state.length + length)
        return self.out_proj(y_BTD.to(x_BTD.dtype)), state

    def initial_state(self, batch_size: int, max_length: int = 0) -> HyenaState:
        weight = self.in_proj.weight
        dtype = torch.promote_types(weight.dtype, torch.float32)
        history_BSD = weight.new_zeros(batch_size, max_length, self.width, dtype=dtype)
        return HyenaState(self.short.initial_history(batch_size), history_BSD, 0)

    def flops(self, length: int) -> int:
        projections = 2 * length * 4 * self.width * self.width
        products = 4 * length * self.width  # into w, with the skip and its sum, with the gate
        mixed = self.short.flops(length) + products + self.width * convolution_flops(length)
        return projections + mixed + self.filter.flops(length)

    def state_bytes(self, length: int) -> int:
        number_bytes = max(4, self.in_proj.weight.element_size())
        return self.short.history_bytes() + length * self.width * number_bytes

    def serial_steps(self, length: int) -> int:
        # project, convolve, multiply, then the long convolution, skip, gate, project
        return 6 + self.algorithm_steps(length)

    def path_length(self, distance: int) -> int:
        return 1

    def reach(self) -> float:
        return math.inf


class ImplicitFilter(nn.Module):
    """The filter as a function of the lag: a network of sines under a falling window."""

    def __init__(self, channels: int, config: HyenaConfig) -> None:
        """Raises UserError for an even number of features: cosines and sines come in pairs."""
        super().__init__()
        if config.filter_features % 2 == 0:
            raise UserError(
                f"filter_features is {config.filter_features}: use an odd number, one for the lag "
                "and a pair for each frequency"
            )
        self.max_length, width = config.max_length, config.filter_width
        self.bands = (config.filter_features - 1) // 2
        self.first = nn.Linear(config.filter_features, width)
        self.inner = nn.ModuleList(nn.Linear(width, width) for _ in range(config.filter_layers))
        self.last = nn.Linear(width, channels, bias=False)
        self.frequency_E = nn.Parameter(torch.full((width,), config.frequency))
        # the published recipe spares the filter from weight decay; an optimizer may read this
        for parameter in self.parameters():
            parameter.no_weight_decay = True  # pyright: ignore[reportAttributeAccessIssue]

    def forward(self, lags: int) -> Tensor:
        """k_KD at lags 0 to `lags` - 1, in at least float32.

        Each sine multiplies rounding by its frequency, so that all but the last product is computed
        in float64; beside the channels the network is narrow.
        """
        weight = self.last.weight
        lag_K1 = torch.arange(lags, device=weight.device, dtype=torch.float64)[:, None]
        # autocast would round the filter to bfloat16
        with torch.autocast(weight.device.type, enabled=False):
            hidden_KE = self._features(lag_K1)
            for layer in self._hidden():
                sum_KE = F.linear(hidden_KE, layer.weight.double(), layer.bias.double())
                hidden_KE = torch.sin(self.frequency_E.double() * sum_KE)
            dtype = torch.promote_types(weight.dtype, torch.float32)
            return self.last(hidden_KE.to(dtype)) * self._window(lag_K1).to(dtype)

    def _hidden(self) -> list[nn.Linear]:
        """The layers that a sine follows."""
        return [self.first, *(layer for layer in self.inner if isinstance(layer, nn.Linear))]

    def _features(self, lag_K1: Tensor) -> Tensor:
        """The lag as a share of the longest, and cosines and sines of slow to fast turns."""
        like = {"dtype": lag_K1.dtype, "device": lag_K1.device}
        turns = torch.linspace(1e-4, self.bands - 1, self.bands, **like)
        angle_KB = 2 * math.pi * lag_K1 / self.max_length * turns
        share_K1 = lag_K1 / (self.max_length - 1)
        return torch.cat((share_K1, torch.cos(angle_KB), -torch.sin(angle_KB)), dim=1)

    def _window(self, lag_K1: Tensor) -> Tensor:
        slow, fast = (-math.log(_FALLEN) / share for share in (_SLOWEST, _FASTEST))
        like = {"dtype": lag_K1.dtype, "device": lag_K1.device}
        deltas_D = torch.linspace(slow, fast, self.last.out_features, **like)
        return torch.exp(-lag_K1 / (self.max_length - 1) * deltas_D)

    def flops(self, lags: int) -> int:
        """Of the filter at that many lags, its window included."""
        layers = (*self._hidden(), self.last)
        products = sum(2 * layer.in_features * layer.out_features for layer in layers)
        return lags * (products + self.last.out_features)


def _appended(history_BSD: Tensor, used: int, w_BTD: Tensor, lengths_B: Tensor | None) -> Tensor:
    """The history with the positions of a call behind its `used` ones.

    With gradients off and no padding, `history_BSD` itself is written (and doubled when full);
    otherwise a new one as long as needed is made.
    """
    length = w_BTD.shape[1]
    if lengths_B is not None:
        known_BSD = torch.cat((history_BSD[:, :used], w_BTD), dim=1)
        known_BSD = F.pad(known_BSD, (0, 0, length, 0))  # zeros ahead, where rows have padding
        return take_last(known_BSD, lengths_B + used + length, used + length)
    if torch.is_grad_enabled() or history_BSD.shape[1] == 0:
        return torch.cat((history_BSD[:, :used], w_BTD), dim=1)
    if used + length > history_BSD.shape[1]:
        room = max(2 * history_BSD.shape[1], used + length) - used
        history_BSD = F.pad(history_BSD[:, :used], (0, 0, 0, room))
    history_BSD[:, used : used + length] = w_BTD
    return history_BSD
