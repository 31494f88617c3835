"""Baselines of windows of numbers: the mean, the nearest training window, random convolutions.

Windows are compared by the features that a model reads, after linear interpolation to one length,
the median of training's or LONGEST.

N  training windows    B  windows    L  steps    F  features    V  outputs
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from seqarena.core.batch import Batch
from seqarena.data.batches import spread
from seqarena.data.streams import Stream, philox
from seqarena.tasks.baselines.baseline import BaselineResult
from seqarena.tasks.baselines.labels import label_result
from seqarena.tasks.windows.task import WindowsTask

LONGEST = 128  # steps that are compared
_MOST_NEIGHBOURS = 10_000
_LONGEST_WARPED = 64
_MOST_CELLS = 1e9  # of all tables of warped distances: some 10 seconds
_BAND = 0.1  # of the length, that a path may leave the diagonal
_ROWS = 256
_KERNELS = 1000
_MOST_RIDGE = 2000  # training windows of the ridge regression: its time grows with their cube
_RIDGES = 10.0 ** np.arange(-3, 4)


class _Training(NamedTuple):
    """Training windows of one length, and what is known of them."""

    windows_NLF: Tensor
    answers_NV: Tensor  # one-hot classes, or numbers
    detail: str


def mean(task: WindowsTask) -> BaselineResult:
    """Always the mean of the training numbers."""
    value = torch.tensor(task.labels("train").mean())
    return label_result(task, lambda batch: value.expand(len(batch.targets_BT), 1))


def nearest(task: WindowsTask) -> BaselineResult:
    """By Euclidean distance."""
    train = _training(task, _MOST_NEIGHBOURS, _common_length(task))
    points_NP = train.windows_NLF.flatten(1)
    length = train.windows_NLF.shape[1]

    def answers(batch: Batch) -> Tensor:
        points_BP = interpolated(batch, length).flatten(1)
        return train.answers_NV[torch.cdist(points_BP, points_NP).argmin(1)]

    return label_result(task, answers, train.detail)


def warped(task: WindowsTask) -> BaselineResult:
    """By dynamic time warping."""
    length = min(_LONGEST_WARPED, _common_length(task))
    asked = task.sizes["validation"] + task.sizes["test"]
    cells = asked * length * (2 * _band(length) + 1)
    train = _training(task, max(1, int(_MOST_CELLS / cells)), length)

    def answers(batch: Batch) -> Tensor:
        distances_BN = warped_distances(interpolated(batch, length), train.windows_NLF)
        return train.answers_NV[distances_BN.argmin(1)]

    return label_result(task, answers, train.detail)


def warped_distances(x_BLF: Tensor, y_NLF: Tensor) -> Tensor:
    """The least sum of squared distances along a path from the first steps to the last that moves
    by one step in either or both, within the band: [B, N]. Along anti-diagonals i + j, all pairs
    of windows together."""
    L = x_BLF.shape[1]
    band = _band(L)
    nothing = x_BLF.new_full((len(x_BLF), len(y_NLF), 0), torch.inf)
    before, earlier = _Diagonal(0, nothing), _Diagonal(0, nothing)
    for d in range(2 * L - 1):
        low = max(0, d - L + 1, -(-(d - band) // 2))
        high = min(L - 1, d, (d + band) // 2)
        x_BKF = x_BLF[:, low : high + 1]
        y_NKF = y_NLF[:, d - high : d - low + 1].flip(1)
        squares = x_BKF.square().sum(-1)[:, None] + y_NKF.square().sum(-1)[None]
        cost_BNK = (squares - 2 * torch.einsum("bkf,nkf->bnk", x_BKF, y_NKF)).clamp(min=0)
        if d:
            best = torch.minimum(before.rows(low, high), before.rows(low - 1, high - 1))
            cost_BNK = cost_BNK + torch.minimum(best, earlier.rows(low - 1, high - 1))
        earlier, before = before, _Diagonal(low, cost_BNK)
    return before.cost_BNK[..., -1]


class _Diagonal(NamedTuple):
    """Costs of the rows from `low` on along one anti-diagonal."""

    low: int
    cost_BNK: Tensor

    def rows(self, first: int, last: int) -> Tensor:
        """Those of the rows first .. last; infinite where the band has none."""
        end = self.low + self.cost_BNK.shape[-1]
        missing = (max(0, self.low - first), max(0, last + 1 - end))
        inside = self.cost_BNK[..., max(first, self.low) - self.low : max(0, last + 1 - self.low)]
        return F.pad(inside, missing, value=torch.inf)


def rocket(task: WindowsTask) -> BaselineResult:
    """Each kernel gives its largest value and the share of values above zero; the penalty of the
    ridge regression is the one with the least squared error when each training window is left out
    in turn."""
    train = _training(task, _MOST_RIDGE, _common_length(task))
    length = train.windows_NLF.shape[1]
    kernels = _random_kernels(length, train.windows_NLF.shape[2])
    found_NK = _convolved(train.windows_NLF, kernels).double()
    mean_K, std_K = found_NK.mean(0), found_NK.std(0).clamp(min=1e-8)
    found_NK = (found_NK - mean_K) / std_K
    middle_V = train.answers_NV.double().mean(0)
    weights_KV = ridge_weights(found_NK, train.answers_NV.double() - middle_V)

    def answers(batch: Batch) -> Tensor:
        found_BK = _convolved(interpolated(batch, length), kernels).double()
        return ((found_BK - mean_K) / std_K @ weights_KV + middle_V).float()

    return label_result(task, answers, train.detail)


def ridge_weights(x_NK: Tensor, y_NV: Tensor) -> Tensor:
    """Weights [K, V] of ridge regression; both are centred, for the intercept."""
    values_N, vectors_NN = torch.linalg.eigh(x_NK @ x_NK.T)
    turned_NV = vectors_NN.T @ y_NV
    # the intercept is not penalised: the direction of equal numbers is none of the kernel's
    penalised_N = torch.ones_like(values_N)
    penalised_N[vectors_NN.sum(0).abs().argmax()] = 0
    best: tuple[float, Tensor] | None = None
    for ridge in _RIDGES * x_NK.shape[1]:
        shrunk_N = penalised_N / (values_N.clamp(min=0) + ridge)
        dual_NV = vectors_NN @ (shrunk_N[:, None] * turned_NV)
        left_out_NV = dual_NV / (vectors_NN.square() @ shrunk_N)[:, None]  # residuals
        error = float(left_out_NV.square().sum())
        if best is None or error < best[0]:
            best = error, dual_NV
    assert best is not None
    return x_NK.T @ best[1]


def interpolated(batch: Batch, length: int) -> Tensor:
    """The windows of a batch at `length` steps, float32 [B, L, F]."""
    rows = []
    for number, row_TF in enumerate(batch.inputs_BT):
        if batch.mask_BT is not None:
            row_TF = row_TF[batch.mask_BT[number]]
        if len(row_TF) != length:
            row_1FT = row_TF.T[None]
            row_TF = F.interpolate(row_1FT, length, mode="linear", align_corners=True)[0].T
        rows.append(row_TF)
    return torch.stack(rows)


def _training(task: WindowsTask, most: int, length: int) -> _Training:
    size = task.sizes["train"]
    chosen = spread(size, most)
    windows, targets = [], []
    for part in np.array_split(chosen, -(-len(chosen) // _ROWS)):
        batch = task.batch("train", part)
        windows.append(interpolated(batch, length))
        targets.append(batch.targets_BT[:, 0])
    answers = torch.cat(targets)
    answers_NV = answers[:, None] if task.numbers else F.one_hot(answers, len(task.classes)).float()
    detail = ""
    if len(chosen) < size:
        detail = f"among {len(chosen):,} of {size:,} training windows"
    return _Training(torch.cat(windows), answers_NV, detail)


def _common_length(task: WindowsTask) -> int:
    return min(LONGEST, max(2, int(np.median(task.sampler.lengths_N))))


def _band(length: int) -> int:
    return max(1, round(_BAND * length))


class _Kernel(NamedTuple):
    weight_1CK: Tensor
    channels_C: Tensor
    bias: float
    dilation: int
    padding: int


def _random_kernels(length: int, features: int) -> list[_Kernel]:
    """Section 3.1 of the paper; several channels as in its reference code: a random few of them."""
    draw = philox(0, Stream.TRAIN, 0)
    found = []
    sizes = [size for size in (7, 9, 11) if size <= length] or [min(3, length)]
    for _ in range(_KERNELS):
        size = int(draw.choice(sizes))
        count = int(2 ** draw.uniform(0, np.log2(features + 1)))
        channels = draw.choice(features, min(count, features), replace=False)
        weight = draw.standard_normal((1, len(channels), size))
        weight -= weight.mean(axis=2, keepdims=True)
        largest = np.log2(max(1.0, (length - 1) / max(1, size - 1)))
        dilation = int(2 ** draw.uniform(0, largest))
        padding = (size - 1) * dilation // 2 if draw.integers(2) else 0
        found.append(
            _Kernel(
                torch.from_numpy(weight).float(),
                torch.from_numpy(channels),
                float(draw.uniform(-1, 1)),
                dilation,
                padding,
            )
        )
    return found


def _convolved(windows_BLF: Tensor, kernels: list[_Kernel]) -> Tensor:
    """Largest value and share above zero of each kernel: [B, 2 kernels]."""
    columns = []
    windows_BFL = windows_BLF.transpose(1, 2)
    for kernel in kernels:
        y_BT = F.conv1d(
            windows_BFL[:, kernel.channels_C],
            kernel.weight_1CK,
            padding=kernel.padding,
            dilation=kernel.dilation,
        )[:, 0]
        y_BT = y_BT + kernel.bias
        columns += [y_BT.amax(1), (y_BT > 0).float().mean(1)]
    return torch.stack(columns, 1)
