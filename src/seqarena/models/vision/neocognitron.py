"""The neocognitron of 1980 (Fukushima, "Neocognitron: a self-organizing neural network model for a
mechanism of pattern recognition unaffected by shift in position"): three layers of S-cells, which
learn without a teacher and without a gradient, each followed by C-cells, which pool.

    u_S = r phi((1 + a * u_C) / (1 + 2 r / (1 + r) b v_C) - 1)    v_C = sqrt(c * u_C^2)
    u_C = psi((1 + d * u_S) / (1 + mean over planes of d * u_S) - 1)
    a += q c u_C, b += q / 2 v_C      where a plane's cell wins its competition
    logits = W norm(u_C3) + b         the read-out, by gradient

    U0   the picture, negative numbers silent, amid N x N    N = 16, or 32 for 28 x 28
    S1   5 x 5 fields, N x N            C1   5 x 5, every second cell, N/2 x N/2
    S2   5 x 5 fields, N/2 x N/2        C2   5 x 5, every second cell, N/4 x N/4
    S3   2 x 2 cells, which together see all of C2    C3   one cell a plane

The layers learn one after the other, each in an equal part of `learning_share` of the training. The
read-out is trained by gradient all the while, on what C3 tells, brought to a mean of 0 and a
variance of 1. The paper has none: each of its five patterns has one cell of C3, which is named by
looking. What differs else:

- Planes: 24, 24 and `width` (24 each). Grids are halved: its are 16, 10, 8, 6, 2 and 1 a side.
- Selectivities r: a layer may learn by one and answer by another (Fukushima and Tanigawa 1996, "Use
  of different thresholds in learning and recognition"). The paper has 4, 1.5 and 1.5 for both, with
  patterns that repeat exactly; handwriting does not, and a plane that has learnt from many unlike
  pictures would answer to none.
- Amounts q: 1, 16 and, for S3, 320. The paper has 16 and shows each pattern twenty times.

The paper's own text was not at hand: its equations and settings are given as they are cited, and
nobody's program was compared.

Later versions (1988, 2003) learn otherwise: a fixed layer of edges, a threshold that is subtracted,
a supervised last layer. `cells.py` has the layers.

    B  pictures    T = H W  pixels, row by row    J, K  planes    H  rows    W  columns
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.batch import Batch, Problem
from seqarena.core.errors import UserError
from seqarena.mixers.base import Complexity
from seqarena.models.model import System, SystemOptions
from seqarena.models.vision.cells import CLayer, Geometry, SLayer

Three = tuple[float, float, float]  # of S1, S2, S3


class NeocognitronOptions(SystemOptions):
    """Dropout is that of C3's cells in front of the read-out; the paper has none."""

    first_planes: int = Field(default=24, ge=1)
    second_planes: int = Field(default=24, ge=1)
    learning_selectivity: Three = (2.0, 2.0, 6.0)  # r of the cells that compete
    selectivity: Three = (2.0, 1.0, 0.5)  # r of the cells that answer
    amounts: Three = (1.0, 16.0, 320.0)  # q
    saturation: float = Field(default=0.5, gt=0)  # alpha of psi
    learning_share: float = Field(default=0.5, gt=0, le=1)  # of training, in which S-layers learn


class Neocognitron(System):
    """Reads one picture of numbers whole; answers with one label."""

    Options = NeocognitronOptions
    forms = ("label",)
    needs = ("image",)
    takes = ("features",)
    dial = "first_planes"
    causal = False
    equation = """
        u_S = r phi((1 + a * u_C) / (1 + 2 r / (1 + r) b v_C) - 1)    v_C = sqrt(c * u_C^2)
        u_C = psi((1 + d * u_S) / (1 + mean over planes of d * u_S) - 1)
        a += q c u_C, b += q / 2 v_C      where a plane's cell wins its competition
        logits = W norm(u_C3) + b         the read-out, by gradient
    """
    complexity = Complexity(work="T K^2 D^2", serial_steps="1", path_length="log T", state="none")

    def __init__(self, problem: Problem, width: int, options: NeocognitronOptions) -> None:
        """Raises UserError for pictures of several numbers a pixel."""
        super().__init__(problem, width, options)
        assert problem.image is not None
        if problem.features != 1:
            raise UserError(
                f"neocognitron reads pictures of one number a pixel: these have {problem.features}"
            )
        self.side = 4 * max(2, math.ceil((max(problem.image) + 2) / 4))
        seen = self.side // 4 - 1
        geometry = (Geometry(5, 2, 5, 2), Geometry(5, 2, 5, 2), Geometry(seen, 0, 2, 1))
        planes = (1, options.first_planes, options.second_planes, width)
        self.s_layers = nn.ModuleList(map(SLayer, planes, planes[1:], geometry))
        self.c_layers = nn.ModuleList(CLayer(each, options.saturation) for each in geometry)
        self.output = nn.Linear(width, problem.num_outputs)
        self.dropout = nn.Dropout(options.dropout)
        self._share = 1.0

    @property
    def num_parameters(self) -> int:
        """Those of the read-out, and what competition learns."""
        return super().num_parameters + sum(layer.num_learnt for layer, _, _ in self._layers())

    def answer(self, batch: Batch) -> Tensor:
        """Padding behind the pixels is left out: [B, T, 1] -> logits [B, 1, V]."""
        cells_BK = self.cells(batch, len(self.s_layers)).flatten(1)
        contrast_BK = F.layer_norm(cells_BK, cells_BK.shape[1:])
        return self.output(self.dropout(contrast_BK))[:, None]

    def at_progress(self, share: float) -> None:
        self._share = share

    @property
    def learning_layer(self) -> int | None:
        """The S-layer that learns now, from 0; None: none does."""
        if self._share >= self.options.learning_share:
            return None
        return int(len(self.s_layers) * self._share / self.options.learning_share)

    def learn(self, batch: Batch) -> None:
        """The present layer's competition, on each picture of the batch in its order."""
        layer, options = self.learning_layer, self.options
        if layer is None:
            return
        with torch.no_grad():
            seen_BJHW = self.cells(batch, layer)
            s_layer = list(self._layers())[layer][0]
            s_layer.learn(seen_BJHW, options.learning_selectivity[layer], options.amounts[layer])

    def cells(self, batch: Batch, count: int) -> Tensor:
        """The outputs of the C-cells of layer `count`, [B, K, H, W]; of 0 the picture."""
        assert self.problem.image is not None
        height, width = self.problem.image
        pixels = batch.inputs_BT[:, : height * width, 0].to(self.output.weight.dtype)
        assert pixels.shape[1] == height * width, "a picture that lacks pixels"
        rows, columns = self.side - height, self.side - width
        place = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
        x_BJHW = F.pad(pixels.unflatten(1, (1, height, width)).clamp(min=0), place)
        with torch.autocast(x_BJHW.device.type, enabled=False):  # thresholds need the digits
            for s_layer, c_layer, selectivity in list(self._layers())[:count]:
                x_BJHW = c_layer(s_layer(x_BJHW, selectivity))
        return x_BJHW

    def _layers(self) -> Iterator[tuple[SLayer, CLayer, float]]:
        for s_layer, c_layer, r in zip(self.s_layers, self.c_layers, self.options.selectivity):
            assert isinstance(s_layer, SLayer)
            assert isinstance(c_layer, CLayer)
            yield s_layer, c_layer, r

    @property
    def algorithms(self) -> tuple[str, ...]:
        return ("competition without gradient",) * len(self.s_layers) + ("gradient",)

    def flops(self, length: int) -> int:
        """Of one picture on its canvas, whatever its own size."""
        return sum(self._s_flops()) + sum(self._c_flops()) + 2 * self.output.weight.numel()

    def training_flops(self, length: int) -> int:
        """The layers once, the read-out and its two gradients, and the answers of the S-layers that
        learn, averaged over the training."""
        competing = sum(self._s_flops()) * self.options.learning_share / len(self.s_layers)
        return self.flops(length) + 2 * 2 * self.output.weight.numel() + round(competing)

    def _s_flops(self) -> list[int]:
        """Of the cells that excite and of those that inhibit."""
        cells = (self.side**2, (self.side // 2) ** 2, 4)
        return [
            2 * count * (layer.a_KJFF.numel() + layer.c_FF.numel())
            for count, (layer, _, _) in zip(cells, self._layers())
        ]

    def _c_flops(self) -> list[int]:
        cells = ((self.side // 2) ** 2, (self.side // 4) ** 2, 1)
        return [
            2 * count * len(s_layer.b_K) * c_layer.d_FF.numel()
            for count, (s_layer, c_layer, _) in zip(cells, self._layers())
        ]

    def state_bytes(self, length: int) -> int:
        return 0

    def serial_steps(self, length: int) -> int:
        return 8  # three layers of S-cells and of C-cells, the read-out and the softmax
