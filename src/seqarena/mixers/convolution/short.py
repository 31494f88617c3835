"""The short causal convolution that stands before many recurrences: a few taps a channel.

    y_t = f(sum over i of w_i x_(t-K+1+i) + b)        for each channel by itself

It lets a layer compare neighbours, which a recurrence over single positions cannot (H3, Fu et al.
2023, section 3.1; Mamba; Canon layers, Allen-Zhu 2025). What came before the call is its state.

The token shift of RWKV (Peng et al. 2023, arXiv:2305.13048) is its smallest form: what was read
one position before, x_(t-1).

Letters: B batch, T time, C channels, K kernel taps.
"""

import torch
from torch import Tensor, nn

from seqarena.ops.padding import take_last
from seqarena.ops.short_convolution import ACTIVATIONS, short_convolution


class ShortConvolution(nn.Module):
    """x_BTC and the last K - 1 inputs -> y_BTC and the last K - 1 inputs.

    Initialised as `nn.Conv1d`, whose names and shapes the parameters have: the weight is [C, 1, K].
    """

    def __init__(
        self, channels: int, kernel: int, *, bias: bool = False, activation: str = "silu"
    ) -> None:
        """`activation` is `silu` or `none`."""
        super().__init__()
        self.channels, self.kernel = channels, kernel
        drawn = nn.Conv1d(channels, channels, kernel, groups=channels, bias=bias)
        self.weight, self.bias = drawn.weight, drawn.bias
        assert activation in ACTIVATIONS, activation
        self.activation = activation

    def forward(
        self, x_BTC: Tensor, history_BKC: Tensor, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Right-padded rows, as `Mixer.mix` gets them; the history after the last real position."""
        x_BTC = torch.cat((history_BKC.to(x_BTC.dtype), x_BTC), dim=1)
        ends_B = None if lengths_B is None else lengths_B + self.kernel - 1
        history_BKC = take_last(x_BTC, ends_B, self.kernel - 1).to(history_BKC.dtype)
        y_BTC = short_convolution(x_BTC, self.weight.squeeze(1), self.bias, self.activation)
        return y_BTC, history_BKC.clone()

    @property
    def algorithm(self) -> str:
        """The name of what runs on the parameters' device and dtype."""
        return short_convolution.resolve("auto", self.weight.device, self.weight.dtype)

    def initial_history(self, batch_size: int) -> Tensor:
        """Zeros [B, K - 1, C], of the parameters' dtype."""
        return self.weight.new_zeros(batch_size, self.kernel - 1, self.channels)

    def flops(self, length: int) -> int:
        """A multiply-add a tap."""
        return 2 * length * self.channels * self.kernel

    def history_bytes(self) -> int:
        """Of the inputs that one sequence carries on."""
        return (self.kernel - 1) * self.channels * self.weight.element_size()


class TokenShift(nn.Module):
    """x_BTC and the input before it -> the inputs one position earlier and the last input."""

    start_1C: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.register_buffer("start_1C", torch.zeros(1, channels), persistent=False)

    def forward(
        self, x_BTC: Tensor, history_B1C: Tensor, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Right-padded rows, as `Mixer.mix` gets them; the history after the last real position."""
        x_BTC = torch.cat((history_B1C.to(x_BTC.dtype), x_BTC), dim=1)
        ends_B = None if lengths_B is None else lengths_B + 1
        history_B1C = take_last(x_BTC, ends_B, 1).to(history_B1C.dtype)
        return x_BTC[:, :-1], history_B1C.clone()

    def initial_history(self, batch_size: int) -> Tensor:
        """Zeros [B, 1, C], of the parameters' dtype."""
        return self.start_1C.new_zeros(batch_size, 1, self.channels)

    def flops(self, length: int) -> int:
        """None: nothing is computed."""
        return 0

    def history_bytes(self) -> int:
        """Of the input that one sequence carries on."""
        return self.channels * self.start_1C.element_size()
