"""The layers of a neocognitron: S-cells that learn by competition, C-cells that pool.

Equations are numbered as in Fukushima 1980. phi(x) = max(x, 0), psi(x) = phi(x) / (alpha + phi(x)).

    u_S(k, n) = r phi(E / I - 1)                                             (1)
        E = 1 + sum over j, v of a(j, v, k) u_C(j, n + v),  I = 1 + 2 r / (1 + r) b(k) v_C(n)
    v_C(n) = sqrt(sum over j, v of c(v) u_C(j, n + v)^2)                     (3)
    u_C(k, n) = psi((1 + sum over v of d(v) u_S(k, n + v)) / (1 + v_S(n)) - 1)    (5)
    v_S(n) = mean over k of the sum over v of d(v) u_S(k, n + v)             (7)
    a(j, v, k) += q c(v) u_C(j, n + v),  b(k) += q / 2 v_C(n)                (8, 9)
        where n is the place of the cell that represents plane k

`a`, `b` excite and inhibit and are learnt; `c`, `d` fall with the distance from the middle of a
field, and c sums to 1 over all of a cell's inputs. A cell that has learnt one pattern strongly
answers r phi((r + 1) cos - r): its threshold on the cosine of pattern and input is r / (r + 1), so
that r is its selectivity. Beyond a plane's border there is silence.

    B  pictures    J  planes before    K  planes    H  rows    W  columns    F  a side of a field
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

COLUMN = 5  # a side of an S-column: one candidate in each
_INITIAL = 1e-4  # of the excitatory weights, over c: small and unlike each other
_SILENT = 1e-30  # a mean square below which nothing is: the square root has no slope at 0
_FALL_C, _FALL_D = 0.9, 0.8  # of c and d, a cell further from the middle


class Geometry(NamedTuple):
    """Of one S-layer and its C-layer, in cells."""

    field: int  # a side of what an S-cell sees
    border: int  # silent cells around the planes before
    pool: int  # a side of what a C-cell sees
    stride: int  # from C-cell to C-cell


class SLayer(nn.Module):
    """K planes of S-cells over J planes: [B, J, H, W] -> [B, K, H', W']. None is a parameter."""

    a_KJFF: Tensor
    b_K: Tensor
    c_FF: Tensor

    def __init__(self, inputs: int, planes: int, geometry: Geometry) -> None:
        super().__init__()
        self.field, self.border = geometry.field, geometry.border
        self.register_buffer("c_FF", _falling(self.field, _FALL_C) / inputs, persistent=False)
        drawn = torch.rand(planes, inputs, self.field, self.field)
        self.register_buffer("a_KJFF", _INITIAL * drawn * self.c_FF)
        self.register_buffer("b_K", torch.zeros(planes))

    @property
    def num_learnt(self) -> int:
        """Numbers that competition changes."""
        return self.a_KJFF.numel() + self.b_K.numel()

    def forward(self, x_BJHW: Tensor, selectivity: float) -> Tensor:
        """Equation 1."""
        return self._answer(x_BJHW, self.inhibition(x_BJHW), selectivity)

    def inhibition(self, x_BJHW: Tensor) -> Tensor:
        """Equation 3, one V-cell a place: [B, 1, H', W']."""
        squares_B1HW = x_BJHW.square().sum(1, keepdim=True)
        mean_B1HW = F.conv2d(squares_B1HW, self.c_FF[None, None], padding=self.border)
        return mean_B1HW.clamp(min=_SILENT).sqrt()

    def _answer(self, x_BJHW: Tensor, v_B1HW: Tensor, r: float) -> Tensor:
        excited = 1 + F.conv2d(x_BJHW, self.a_KJFF, padding=self.border)
        inhibited = 1 + 2 * r / (1 + r) * self.b_K[:, None, None] * v_B1HW
        return r * (excited / inhibited - 1).clamp(min=0)

    def learn(self, x_BJHW: Tensor, selectivity: float, amount: float) -> None:
        """Equations 8 and 9, picture after picture: each sees what the one before has taught."""
        v_B1HW = self.inhibition(x_BJHW)
        for x_JHW, v_1HW in zip(x_BJHW, v_B1HW):
            u_KHW = self._answer(x_JHW[None], v_1HW[None], selectivity)[0]
            planes_N, places_N = representatives(u_KHW)
            fields_PN = F.unfold(x_JHW[None], self.field, padding=self.border)[0][:, places_N]
            seen_NJFF = fields_PN.T.unflatten(1, self.a_KJFF.shape[1:])
            self.a_KJFF[planes_N] += amount * self.c_FF * seen_NJFF
            self.b_K[planes_N] += amount / 2 * v_1HW.flatten()[places_N]


class CLayer(nn.Module):
    """C-cells over planes of S-cells, each pooling one: [B, K, H, W] -> [B, K, H', W']."""

    d_FF: Tensor

    def __init__(self, geometry: Geometry, saturation: float) -> None:
        super().__init__()
        self.pool, self.stride, self.saturation = geometry.pool, geometry.stride, saturation
        self.register_buffer("d_FF", _falling(self.pool, _FALL_D), persistent=False)

    def forward(self, u_BKHW: Tensor) -> Tensor:
        """Equation 5."""
        planes, border = u_BKHW.shape[1], (self.pool - 1) // 2
        weights = self.d_FF.expand(planes, 1, self.pool, self.pool)
        pooled = F.conv2d(u_BKHW, weights, stride=self.stride, padding=border, groups=planes)
        x = ((1 + pooled) / (1 + pooled.mean(1, keepdim=True)) - 1).clamp(min=0)
        return x / (self.saturation + x)


def representatives(u_KHW: Tensor) -> tuple[Tensor, Tensor]:
    """The planes that learn from this picture, and the place (row by row) of each one's cell.

    In every S-column, a square of COLUMN cells a side through all planes, the cell with the
    greatest output is a candidate; a plane with several is represented by the greatest. Silent
    cells are none. Of equal ones the first place counts.
    """
    planes, height, width = u_KHW.shape
    best_HW, plane_HW = u_KHW.max(0)
    _, winner_11HW = F.max_pool2d(
        best_HW[None, None], COLUMN, stride=1, padding=COLUMN // 2, return_indices=True
    )
    candidate_P = torch.zeros(height * width, dtype=torch.bool, device=u_KHW.device)
    candidate_P[winner_11HW.flatten()] = True
    places_N = (candidate_P & (best_HW.flatten() > 0)).nonzero()[:, 0]
    outputs_N, planes_N = best_HW.flatten()[places_N], plane_HW.flatten()[places_N]
    greatest_K = outputs_N.new_zeros(planes).scatter_reduce(0, planes_N, outputs_N, "amax")
    leading_N = outputs_N == greatest_K[planes_N]
    planes_N, places_N = planes_N[leading_N], places_N[leading_N]
    first_K = places_N.new_full((planes,), height * width)
    first_K = first_K.scatter_reduce(0, planes_N, places_N, "amin")
    chosen_K = (first_K < height * width).nonzero()[:, 0]
    return chosen_K, first_K[chosen_K]


def _falling(side: int, ratio: float) -> Tensor:
    """Falls by `ratio` a cell from the middle of a square, and sums to 1."""
    away_F = torch.arange(side) - (side - 1) / 2
    weights_FF = ratio ** (away_F[:, None].square() + away_F.square()).sqrt()
    return weights_FF / weights_FF.sum()
