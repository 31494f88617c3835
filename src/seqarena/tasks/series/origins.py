"""From which steps a series is forecast: training lies before validation, which lies before test.

    |--------- training ---------|--- validation ---|------ test ------|
                                 ^ origins, a stride apart, each with its whole horizon

The origins of a split roll through it; what a forecast sees is all that lies before its origin, of
earlier splits too. No target of training lies at or behind the first origin of validation, and no
target of validation at or behind the first of test.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seqarena.core.errors import UserError
from seqarena.data.streams import Stream, philox

_SHARE, _MOST = 10, 50  # one step in ten is tested, by at most so many windows a series
_EPOCHS_KEPT = 2


class Origins(NamedTuple):
    """Of one series: the end of its training, and the origins of each evaluation, rising."""

    train_end: int  # the first step that no training target may have
    validation: tuple[int, ...]
    test: tuple[int, ...]


def rolling_origins(
    length: int, *, horizon: int, stride: int, windows: int | None, least: int
) -> Origins | None:
    """Origins in a series of `length` steps; None where fewer than `least` steps would train.
    `windows` None: a tenth of the series for each split."""
    count = windows or max(1, min(_MOST, length // (_SHARE * stride)))
    last = length - horizon
    test = tuple(last - stride * k for k in reversed(range(count)))
    last = test[0] - horizon
    validation = tuple(last - stride * k for k in reversed(range(count)))
    return None if validation[0] < least else Origins(validation[0], validation, test)


class OriginSampler:
    """Training windows over all series, in an order that is a function of (seed, epoch, position).

    A window asks from `origins` origins in a row. Windows of one epoch ask from each origin of
    training once, but for the first few; where the cuts fall differs from epoch to epoch.
    """

    def __init__(self, ends: Sequence[int], origins: int, least: int) -> None:
        """`ends` are the ends of the series' training; a window's first origin has `least` steps
        before it where the series is long enough. Raises UserError where none is."""
        self.origins = origins
        self._last_S = np.array(ends) - 1  # the last origin that has a target
        room_S = np.maximum(self._last_S - (least + origins - 1), 0)
        self._counts_S = np.maximum(1, (room_S + 1) // origins)
        self._free_S = room_S - (self._counts_S - 1) * origins  # by how much all may move
        if not len(self._last_S):
            raise UserError("no series is long enough to train on")
        self.series_W = np.repeat(np.arange(len(self._last_S)), self._counts_S)
        starts_S = np.cumsum(self._counts_S) - self._counts_S
        self.number_W = np.arange(len(self.series_W)) - starts_S[self.series_W]
        self._epochs: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}

    @property
    def windows_per_epoch(self) -> int:
        return len(self.series_W)

    def epoch(self, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Series and last origin of each window, in the order of the visit."""
        known = self._epochs.get((seed, epoch))
        if known is not None:
            return known
        drawn = philox(seed, Stream.TRAIN, epoch)
        phase_S = drawn.integers(np.minimum(self._free_S, self.origins - 1) + 1)
        order = drawn.permutation(len(self.series_W))
        last_W = self._last_S[self.series_W] - phase_S[self.series_W]
        origin_W = last_W - self.number_W * self.origins
        while len(self._epochs) >= _EPOCHS_KEPT:
            self._epochs.pop(next(iter(self._epochs)))
        found = self.series_W[order], origin_W[order]
        self._epochs[seed, epoch] = found
        return found

    def batch(self, index: int, batch_size: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Series and last origin of batch number `index`, each [B]."""
        place_B = np.arange(index * batch_size, (index + 1) * batch_size)
        epoch_B, visit_B = np.divmod(place_B, self.windows_per_epoch)
        series_B, origin_B = np.empty(batch_size, np.int64), np.empty(batch_size, np.int64)
        for epoch in np.unique(epoch_B):
            here = epoch_B == epoch
            series_W, origin_W = self.epoch(seed, int(epoch))
            series_B[here], origin_B[here] = series_W[visit_B[here]], origin_W[visit_B[here]]
        return series_B, origin_B
