"""LeNet-5 (LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document
recognition", section II.B): convolutions over pixels in rows and columns.

    h = f(W * x + b)                 C1, C3, C5: * a convolution over 5 x 5
    h = f(w (sum of 2 x 2) + b)      S2, S4
    h = f(W x + b)                   F6,  f(a) = 1.7159 tanh(2/3 a)

    C1   6 maps, 5 x 5                         28 x 28      156 parameters
    S2   sums of 2 x 2, times w, plus b        14 x 14       12
    C3   16 maps, 5 x 5, connected as TABLE    10 x 10    1,516
    S4   as S2                                  5 x 5        32
    C5   120 units, 5 x 5 over all maps         1 x 1    48,120
    F6   84 units                                        10,164

Weights are drawn uniformly within 2.4 / inputs of a unit (its appendix A). The paper's last layer
compares F6 with fixed bitmaps of the characters (radial basis functions); here it is a linear layer
with a softmax, which any classes can have.

The input is 32 x 32: a smaller picture is enlarged by the largest whole factor that fits (none for
28 x 28), each pixel becoming a square, and set into the middle, its edges continued outwards.
`width` is the number of units in C5 (120 as published) and the dial that of F6.

    B  examples    T = H W  pixels, row by row    H  rows    W  columns
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqarena.core.batch import Batch, Problem
from seqarena.core.errors import UserError
from seqarena.mixers.base import Complexity
from seqarena.models.model import System, SystemOptions

SIDE = 32  # pixels of the input
FIELD = 5  # a side of every receptive field
TABLE = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5),
)  # table I: the maps of S2 that each map of C3 sees  # fmt: skip
_PUBLISHED_C5, _PUBLISHED_F6 = 120, 84


class LeNetOptions(SystemOptions):
    """Dropout is that of F6's units; the paper has none."""

    f6_units: int | None = None  # None: in the published ratio to C5


class LeNet5(System):
    """Reads one picture of numbers whole; answers with one label."""

    Options = LeNetOptions
    forms = ("label",)
    needs = ("image",)
    takes = ("features",)
    targets = ("classes", "numbers")
    dial = "f6_units"
    causal = False
    equation = """
        h = f(W * x + b)                 C1, C3, C5: * a convolution over 5 x 5
        h = f(w (sum of 2 x 2) + b)      S2, S4
        h = f(W x + b)                   F6,  f(a) = 1.7159 tanh(2/3 a)
    """
    complexity = Complexity(work="T K^2 D^2", serial_steps="1", path_length="log T", state="none")

    def __init__(self, problem: Problem, width: int, options: LeNetOptions) -> None:
        """Raises UserError for pictures of several numbers a pixel or beyond 32 x 32."""
        super().__init__(problem, width, options)
        assert problem.image is not None
        if problem.features != 1 or max(problem.image) > SIDE:
            raise UserError(
                f"lenet5 reads pictures of one number a pixel, at most {SIDE} x {SIDE}: these have "
                f"{problem.features} and {problem.image[0]} x {problem.image[1]}"
            )
        f6_units = options.f6_units or max(1, round(width * _PUBLISHED_F6 / _PUBLISHED_C5))
        self.c1 = _Convolution(1, tuple((0,) for _ in range(6)))
        self.s2 = _Subsampling(6)
        self.c3 = _Convolution(6, TABLE)
        self.s4 = _Subsampling(16)
        self.c5 = _linear(16 * FIELD * FIELD, width)
        self.f6 = _linear(width, f6_units)
        self.output = _linear(f6_units, problem.num_outputs)
        self.dropout = nn.Dropout(options.dropout)

    def answer(self, batch: Batch) -> Tensor:
        """Padding behind the pixels is left out: [B, T, 1] -> logits [B, 1, V]."""
        assert self.problem.image is not None
        height, width = self.problem.image
        pixels = batch.inputs_BT[:, : height * width, 0]
        assert pixels.shape[1] == height * width, "a picture that lacks pixels"
        x = self._in_the_middle(pixels.unflatten(1, (1, height, width)))
        x = _squash(self.s2(_squash(self.c1(x))))
        x = _squash(self.s4(_squash(self.c3(x))))
        x = _squash(self.f6(_squash(self.c5(x.flatten(1)))))
        return self.output(self.dropout(x))[:, None]

    def _in_the_middle(self, x: Tensor) -> Tensor:
        """[B, 1, H, W] -> [B, 1, 32, 32]: an edge's pixel goes on to the border."""
        times = SIDE // max(x.shape[2:])
        place = torch.arange(SIDE, device=x.device)
        rows, columns = (
            ((place - (SIDE - times * size) // 2) // times).clamp(0, size - 1)
            for size in x.shape[2:]
        )
        return x[:, :, rows[:, None], columns]

    @property
    def algorithms(self) -> tuple[str, ...]:
        return ("convolution",)

    def flops(self, length: int) -> int:
        """Of one picture whatever its size, since all are brought to 32 x 32."""
        c1 = 28 * 28 * 2 * self.c1.weight.numel()
        c3 = 10 * 10 * 2 * self.c3.weight.numel()
        full = sum(2 * layer.weight.numel() for layer in (self.c5, self.f6, self.output))
        return c1 + c3 + full

    def state_bytes(self, length: int) -> int:
        return 0

    def serial_steps(self, length: int) -> int:
        return 8  # seven layers and the softmax


class _Convolution(nn.Module):
    """Maps that each see some of the maps before: weight [connections, 5, 5], bias [maps]."""

    places: Tensor

    def __init__(self, inputs: int, table: tuple[tuple[int, ...], ...]) -> None:
        super().__init__()
        self.shape = (len(table), inputs, FIELD, FIELD)
        places = [row * inputs + seen for row, maps in enumerate(table) for seen in maps]
        self.register_buffer("places", torch.tensor(places), persistent=False)
        self.weight = nn.Parameter(torch.empty(len(places), FIELD, FIELD))
        self.bias = nn.Parameter(torch.zeros(len(table)))
        first = 0
        for maps in table:
            own = self.weight.data[first : first + len(maps)]
            _draw(own, len(maps) * FIELD * FIELD)
            first += len(maps)

    def forward(self, x: Tensor) -> Tensor:
        maps, inputs, *field = self.shape
        none = self.weight.new_zeros(maps * inputs, *field)
        return F.conv2d(x, none.index_copy(0, self.places, self.weight).view(self.shape), self.bias)


class _Subsampling(nn.Module):
    """The sum of each square of four, times one coefficient a map, plus one bias."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.coefficient = nn.Parameter(torch.empty(maps, 1, 1))
        self.bias = nn.Parameter(torch.zeros(maps, 1, 1))
        _draw(self.coefficient.data, 4)

    def forward(self, x: Tensor) -> Tensor:
        return 4 * F.avg_pool2d(x, 2) * self.coefficient + self.bias


def _squash(a: Tensor) -> Tensor:
    """Equation 6: f(1) = 1 and f(-1) = -1."""
    return 1.7159 * torch.tanh(2 / 3 * a)


def _linear(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    _draw(layer.weight.data, inputs)
    nn.init.zeros_(layer.bias)
    return layer


def _draw(weight: Tensor, fan_in: int) -> None:
    nn.init.uniform_(weight, -2.4 / fan_in, 2.4 / fan_in)
