"""From a model's numbers to quantiles of values, at once or along drawn paths.

A direct model gives the quantiles of all H steps at the last position. A recursive one gives those
of the next step; a value is drawn from them, read as the next position, and so on. A draw is the
quantile function at a uniform number: linear between the levels and on with the outermost slopes.
The quantiles of the paths are the forecast. The same example has the same draws for every model.

    B  examples    P  paths    T  positions    H  steps    Q  quantiles
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from seqarena.core.batch import Batch
from seqarena.data.streams import Stream, philox
from seqarena.tasks.series.windows import ScaledWindow, SeriesWindows, WindowSettings

_ROWS = 256  # paths that are computed at once


class ForecastBatch(Batch):
    """A batch that knows its windows: what forecasts need and models are not told."""

    sources_B: tuple[SeriesWindows, ...] = ()
    origins_B: tuple[int, ...] = ()
    windows_B: tuple[ScaledWindow, ...] = ()
    numbers_B: tuple[int, ...] = ()  # of the examples in their split: what their draws follow from
    names_B: tuple[str, ...] = ()  # of the series, for people
    stamps_B: tuple[np.ndarray, ...] = ()  # of the steps ahead, each int64 [H]


def forecast_batch(
    sources: Sequence[SeriesWindows], origins: Sequence[int], numbers: Sequence[int]
) -> ForecastBatch:
    """A batch of windows with one origin each; what it asks is at the last position."""
    windows = [source.window(origin, 1) for source, origin in zip(sources, origins)]
    targets = [s.targets(o, 1, window) for s, o, window in zip(sources, origins, windows)]
    batch = ForecastBatch(*as_batch(windows, targets, sources[0].settings))
    batch.sources_B, batch.origins_B = tuple(sources), tuple(origins)
    batch.windows_B, batch.numbers_B = tuple(windows), tuple(numbers)
    return batch


def as_batch(
    windows: Sequence[ScaledWindow], targets: Sequence[np.ndarray], settings: WindowSettings
) -> Batch:
    """Inputs [B, T, F] and targets [B, T, H * Q]: each quantile of a step is asked for its value;
    nothing is asked before the first origin."""
    inputs_BTF = np.stack([window.inputs_TF for window in windows])
    asked_BEH = np.stack(targets)
    levels = len(settings.quantiles)
    targets_BTV = np.full((*inputs_BTF.shape[:2], settings.num_outputs), np.nan, np.float32)
    targets_BTV[:, -asked_BEH.shape[1] :] = np.repeat(asked_BEH, levels, axis=-1)
    return Batch(torch.from_numpy(inputs_BTF), torch.from_numpy(targets_BTV))


def forecast(
    predict: Callable[[Batch], Tensor], batch: ForecastBatch, num_paths: int
) -> np.ndarray:
    """The quantiles of the values of each example, rising, float64 [B, horizon, Q]."""
    settings = batch.sources_B[0].settings
    if settings.strategy == "direct":
        last_BV = predict(batch)[:, -1].double().cpu().numpy()
        scaled_BHQ = last_BV.reshape(len(last_BV), settings.horizon, -1)
        base_BH = np.stack([window.base_EH[-1] for window in batch.windows_B])
        scale_B = np.array([window.scale for window in batch.windows_B])
        return np.sort(base_BH[..., None] + scale_B[:, None, None] * scaled_BHQ, axis=-1)
    found = []
    num_paths = 1 if len(settings.quantiles) == 1 else num_paths
    for first in range(0, len(batch.origins_B), max(1, _ROWS // num_paths)):
        rows = slice(first, first + max(1, _ROWS // num_paths))
        paths = _Paths(batch, rows, num_paths)
        found.append(paths.quantiles(predict))
    return np.concatenate(found)


class _Paths:
    """Some examples of a batch, each followed along as many paths."""

    def __init__(self, batch: ForecastBatch, rows: slice, num_paths: int) -> None:
        self.settings = batch.sources_B[0].settings
        self.sources, self.origins = batch.sources_B[rows], batch.origins_B[rows]
        self.windows = batch.windows_B[rows]
        self.num_paths = num_paths
        self.inputs_RTF = batch.inputs_BT[rows].repeat_interleave(num_paths, 0)
        steps = (num_paths, self.settings.horizon)
        self.uniform_RH = np.concatenate(
            [philox(0, Stream.TEST, number).random(steps) for number in batch.numbers_B[rows]]
        )

    def quantiles(self, predict: Callable[[Batch], Tensor]) -> np.ndarray:
        """[B, horizon, Q] of the rows."""
        levels = np.array(self.settings.quantiles)
        for step in range(self.settings.horizon):
            batch = Batch(self.inputs_RTF, self.inputs_RTF.new_full((1,), torch.nan))
            scaled_RQ = predict(batch)[:, -1].double().cpu().numpy()
            self._append(step, drawn(scaled_RQ, levels, self.uniform_RH[:, step]))
        values_BPH = self.values_RH.reshape(len(self.sources), self.num_paths, -1)
        return np.moveaxis(np.quantile(values_BPH, levels, axis=1), 0, -1)

    values_RH: np.ndarray = np.zeros((0, 0))

    def _append(self, step: int, scaled_R: np.ndarray) -> None:
        """Makes the drawn numbers of step `step` values, and the position that is read next."""
        values, positions = [], []
        for k, (source, origin, window) in enumerate(zip(self.sources, self.origins, self.windows)):
            rows = slice(k * self.num_paths, (k + 1) * self.num_paths)
            before_PH = self.values_RH[rows] if step else np.zeros((self.num_paths, 0))
            base_P = source.base_on_path(origin, before_PH, window.location)
            values_P1 = (base_P + window.scale * scaled_R[rows])[:, None]
            path_PH = np.concatenate([before_PH, values_P1], axis=1)
            values.append(path_PH)
            if step + 1 < self.settings.horizon:
                positions.append(source.position_on_path(origin, path_PH, window))
        self.values_RH = np.concatenate(values)
        if not positions:
            return  # nothing is read behind the last step
        following_R1F = torch.from_numpy(np.concatenate(positions))[:, None]
        self.inputs_RTF = torch.cat((self.inputs_RTF, following_R1F), dim=1)


def drawn(quantiles_RQ: np.ndarray, levels: np.ndarray, uniform_R: np.ndarray) -> np.ndarray:
    """The quantile function of each row at its uniform number, [R]."""
    quantiles_RQ = np.sort(quantiles_RQ, axis=-1)
    if len(levels) == 1:
        return quantiles_RQ[:, 0]
    low_R = np.clip(np.searchsorted(levels, uniform_R) - 1, 0, len(levels) - 2)
    row_R = np.arange(len(quantiles_RQ))
    left_R, right_R = quantiles_RQ[row_R, low_R], quantiles_RQ[row_R, low_R + 1]
    share_R = (uniform_R - levels[low_R]) / (levels[low_R + 1] - levels[low_R])
    return left_R + share_R * (right_R - left_R)
