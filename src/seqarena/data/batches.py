"""Windows of tokens in an order that is a pure function of (seed, epoch, position).

A window holds T + 1 tokens: T inputs and, one further, T targets. Windows step by T, so that an
epoch asks for every target once. Each epoch shifts all windows by a fresh phase in [0, T), so that
the cuts fall elsewhere, and visits them in a fresh permutation. Batch number `index` needs nothing
but the index, and a resumed training is exact by construction.

    B  windows of a batch      T  sequence length      N  tokens
"""

import numpy as np

from seqarena.data.streams import Stream, philox

_EPOCHS_KEPT = 2  # a batch may straddle two


class WindowSampler:
    """Training windows over one token array [N], N > T."""

    def __init__(self, tokens_N: np.ndarray, sequence_length: int) -> None:
        assert len(tokens_N) > sequence_length > 0
        self.tokens_N = tokens_N
        self.sequence_length = sequence_length
        # one window less than fit at phase 0, so that the count is the same at every phase
        self.windows_per_epoch = max(1, (len(tokens_N) - sequence_length) // sequence_length)
        self._epochs: dict[tuple[int, int], np.ndarray] = {}

    def window_starts(self, seed: int, epoch: int) -> np.ndarray:
        """The start of each window of the epoch, in the order of the visit: [windows_per_epoch]."""
        known = self._epochs.get((seed, epoch))
        if known is not None:
            return known
        generator = philox(seed, Stream.TRAIN, epoch)
        used = self.windows_per_epoch * self.sequence_length + 1
        phases = min(self.sequence_length, len(self.tokens_N) - used + 1)
        phase = int(generator.integers(phases))
        order = generator.permutation(self.windows_per_epoch)
        starts = phase + self.sequence_length * order
        while len(self._epochs) >= _EPOCHS_KEPT:
            self._epochs.pop(next(iter(self._epochs)))
        self._epochs[seed, epoch] = starts
        return starts

    def batch(self, index: int, batch_size: int, *, seed: int) -> np.ndarray:
        """Batch number `index`, int64 [B, T + 1]. A batch may end one epoch and begin the next."""
        positions_B = np.arange(index * batch_size, (index + 1) * batch_size)
        epochs_B, visits_B = np.divmod(positions_B, self.windows_per_epoch)
        starts_B = np.empty(batch_size, dtype=np.int64)
        for epoch in np.unique(epochs_B):
            here = epochs_B == epoch
            starts_B[here] = self.window_starts(seed, int(epoch))[visits_B[here]]
        return windows_at(self.tokens_N, starts_B, self.sequence_length)


def windows_at(tokens_N: np.ndarray, starts_B: np.ndarray, sequence_length: int) -> np.ndarray:
    """The windows that begin at `starts_B`: int64 [B, T + 1]."""
    return tokens_N[starts_B[:, None] + np.arange(sequence_length + 1)].astype(np.int64)


def count_evaluation_windows(num_tokens: int, sequence_length: int) -> int:
    """How many windows `k T .. k T + T` lie whole in a split. The last partial one is left out."""
    return max(0, (num_tokens - 1) // sequence_length)


def spread(total: int, limit: int | None) -> np.ndarray:
    """At most `limit` of the numbers 0 .. total - 1, evenly spread, in order: an honest sample."""
    if limit is None or limit >= total:
        return np.arange(total)
    return np.arange(limit) * total // limit
