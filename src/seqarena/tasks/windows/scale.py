"""From the numbers of a window to what a model reads: fitted on training alone.

T  steps    C  channels    F  features    N  windows
"""

import json
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from seqarena.core.errors import UserError

_SMALLEST_SPREAD = 1e-6  # beside a channel's own size: what hardly changes is not blown up
LARGEST = 10.0  # spreads from the mean: what is farther out is taken as so far


class ChannelScale:
    """Mean and spread of each channel, and whether training misses some of its numbers."""

    def __init__(
        self, names: Sequence[str], mean_C: np.ndarray, std_C: np.ndarray, misses_C: np.ndarray
    ) -> None:
        self.names = tuple(names)
        self.mean_C, self.std_C, self.misses_C = mean_C, std_C, misses_C

    @classmethod
    def of(cls, rows: Sequence[np.ndarray], names: Sequence[str]) -> Self:
        """Of training windows [T, C]. Raises UserError for a channel without any number."""
        values_NC = np.concatenate(rows).astype(np.float64)
        there_NC = ~np.isnan(values_NC)
        count_C = there_NC.sum(axis=0)
        for name, count in zip(names, count_C):
            if not count:
                raise UserError(f"{name}: no training window has a number in it: leave it out")
        mean_C = np.where(there_NC, values_NC, 0.0).sum(axis=0) / count_C
        offset_NC = np.where(there_NC, values_NC - mean_C, 0.0)
        std_C = np.sqrt(np.square(offset_NC).sum(axis=0) / count_C)
        changes_C = std_C > _SMALLEST_SPREAD * np.maximum(1.0, np.abs(mean_C))
        misses_C = np.asarray(~there_NC.all(axis=0))
        return cls(names, mean_C, np.where(changes_C, std_C, 1.0), misses_C)

    @property
    def num_features(self) -> int:
        return len(self.names) + int(self.misses_C.sum())

    def features(self, values_TC: np.ndarray) -> np.ndarray:
        """Float32 [T, F]: the channels, then a one where a channel that may miss numbers does."""
        missing_TC = np.isnan(values_TC)
        scaled_TC = (values_TC.astype(np.float64) - self.mean_C) / self.std_C
        scaled_TC = np.where(missing_TC, 0.0, scaled_TC.clip(-LARGEST, LARGEST))
        parts = [scaled_TC, missing_TC[:, self.misses_C]]
        return np.concatenate(parts, axis=1).astype(np.float32)

    def check(self, channels: Sequence[str], place: str) -> None:
        """Raises UserError for another number of channels."""
        if len(channels) != len(self.names):
            raise UserError(
                f"{place}: {len(channels)} channels, and the model reads {len(self.names)}: "
                f"{', '.join(self.names[:10])}"
            )

    def to_json(self) -> str:
        return json.dumps(
            {
                "names": self.names,
                "mean": self.mean_C.tolist(),
                "std": self.std_C.tolist(),
                "misses": self.misses_C.tolist(),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        fields = json.loads(text)
        arrays = (np.array(fields[key]) for key in ("mean", "std", "misses"))
        return cls(fields["names"], *arrays)


class NumberScale(NamedTuple):
    """Mean and spread of the numbers that are asked for."""

    mean: float
    std: float

    @classmethod
    def of(cls, numbers_N: np.ndarray) -> Self:
        """Of training. Raises UserError where all are equal."""
        if np.ptp(numbers_N) == 0:
            raise UserError(f"every training number is {numbers_N[0]:g}: there is nothing to learn")
        return cls(float(numbers_N.mean()), float(numbers_N.std()))

    def standardised(self, numbers_N: np.ndarray) -> np.ndarray:
        """Float32."""
        return ((numbers_N - self.mean) / self.std).astype(np.float32)

    def restored(self, value: float) -> float:
        return value * self.std + self.mean

    def to_json(self) -> str:
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))
