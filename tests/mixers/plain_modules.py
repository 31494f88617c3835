"""Plain torch modules, as people write them: some that can be taken, some that cannot."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CausalEncoder(nn.Module):
    def __init__(self, d_model: int, nhead: int = 4) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(
            d_model, nhead, 2 * d_model, dropout=0.1, batch_first=True
        )

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(size, x.device, x.dtype)
        return self.layer(x, src_mask=mask, is_causal=True)


def encoder(dim: int) -> nn.Module:
    """Sees the future."""
    return nn.TransformerEncoderLayer(dim, 4, 2 * dim, batch_first=True)


class WrappedGRU(nn.Module):
    """Returns a tuple."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.gru(x)


class CausalConv(nn.Module):
    def __init__(self, channels: int, taps: int = 4) -> None:
        super().__init__()
        self.taps, self.convolution = taps, nn.Conv1d(channels, channels, taps)

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(F.pad(x.mT, (self.taps - 1, 0))).mT


class CenteredConv(nn.Module):
    """Sees one position ahead."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(x.mT).mT


class RunningMean(nn.Module):
    """Has no products."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        counts = torch.arange(1, x.shape[1] + 1, device=x.device, dtype=x.dtype)
        return x.cumsum(1) / counts[:, None] * self.gain


class SharedMean(RunningMean):
    """Divides by the length, which holds what follows."""

    def forward(self, x: Tensor) -> Tensor:
        return x.cumsum(1) / x.shape[1] * self.gain


class HiddenLeak(nn.Module):
    """Sees the future by a gain that begins at zero."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gain * x.flip(1)


class InPairs(nn.Module):
    """Positions 2k and 2k + 1 see each other."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        even = F.pad(x, (0, 0, 0, x.shape[1] % 2))
        pairs = even.unflatten(1, (-1, 2)).sum(2).repeat_interleave(2, dim=1)
        return self.linear(pairs[:, : x.shape[1]])


class BatchNormed(nn.Module):
    """Statistics of the batch, in training alone."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.mT).mT


class TimeFirst(WrappedGRU):
    """Without batch_first."""

    def __init__(self, hidden_size: int) -> None:
        nn.Module.__init__(self)
        self.gru = nn.GRU(hidden_size, hidden_size)


class Wider(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width + 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


class Remembers(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear, self.last = nn.Linear(dim, dim), 0.0

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x) + self.last
        self.last = float(y.detach().mean())
        return y


class InPlace(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.mul_(2))


class WantsMask(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x


class NoWidth(nn.Module):
    def __init__(self) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x


class Float32Alone(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        assert x.dtype == torch.float32
        return self.linear(x)


class LooksAtNumbers(nn.Module):
    """Cannot run without numbers, on the meta device."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, dim)
        self.scale = float(torch.arange(4).sum().item())

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) * (self.scale if float(x.sum()) > 0 else 6.0)


def not_a_module(dim: int) -> int:
    return dim
