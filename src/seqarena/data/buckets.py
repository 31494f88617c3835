"""Batches of examples of unequal length: near-equal lengths together, as many as a budget of padded
positions holds, in an order that is a pure function of (seed, epoch, position).

How many examples batch k of an epoch has follows from the sorted lengths alone and is the same in
every epoch; which examples they are, and the order of the batches, is drawn again each time.
Lengths are jittered by a tenth before sorting, so that neighbours differ from epoch to epoch.
"""

import numpy as np

from seqarena.data.streams import Stream, philox

_JITTER = 0.1
_EPOCHS_KEPT = 2


class BucketSampler:
    """Training batches over examples with these lengths (positions, at least 1 each)."""

    def __init__(self, lengths_N: np.ndarray) -> None:
        assert len(lengths_N) > 0
        self.lengths_N = np.maximum(1, np.asarray(lengths_N))
        self.mean_length = float(self.lengths_N.mean())
        self._sizes: dict[int, np.ndarray] = {}
        self._epochs: dict[tuple[int, int, int], list[np.ndarray]] = {}

    def batches_per_epoch(self, batch_size: int) -> int:
        """`batch_size` is the mean number of examples: a batch holds about that many times the
        mean length in positions."""
        return len(self._batch_sizes(batch_size))

    def batch(self, index: int, batch_size: int, *, seed: int) -> np.ndarray:
        """The examples of batch number `index`."""
        epoch, place = divmod(index, self.batches_per_epoch(batch_size))
        key = (batch_size, seed, epoch)
        if key not in self._epochs:
            while len(self._epochs) >= _EPOCHS_KEPT:
                self._epochs.pop(next(iter(self._epochs)))
            self._epochs[key] = self._epoch(batch_size, seed, epoch)
        return self._epochs[key][place]

    def _epoch(self, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
        generator = philox(seed, Stream.TRAIN, epoch)
        jitter_N = generator.uniform(1 - _JITTER, 1 + _JITTER, len(self.lengths_N))
        order_N = np.argsort(self.lengths_N * jitter_N, kind="stable")
        ends = np.cumsum(self._batch_sizes(batch_size))[:-1]
        batches = np.split(order_N, ends)
        return [batches[k] for k in generator.permutation(len(batches))]

    def _batch_sizes(self, batch_size: int) -> np.ndarray:
        if batch_size not in self._sizes:
            capacity = batch_size * self.mean_length
            sizes, size = [], 0
            for length in np.sort(self.lengths_N):  # ascending: the newest is the longest
                if size and (size + 1) * length > capacity:
                    sizes.append(size)
                    size = 0
                size += 1
            self._sizes[batch_size] = np.array([*sizes, size])
        return self._sizes[batch_size]


def pad(rows: list[np.ndarray], value: float = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of unequal length as one array [B, T, ...], and the mask [B, T] of real positions."""
    longest = max(1, max(len(row) for row in rows))
    shape = (len(rows), longest, *rows[0].shape[1:])
    padded = np.full(shape, value, dtype=rows[0].dtype)
    mask_BT = np.zeros((len(rows), longest), dtype=bool)
    for padded_T, mask_T, row in zip(padded, mask_BT, rows):
        padded_T[: len(row)] = row
        mask_T[: len(row)] = True
    return padded, mask_BT
