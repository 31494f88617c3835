"""The level of all architectures together beyond the top rung, and how steeply scores fall there.

A gap's size in the metric's unit depends on the level that it is a ratio of, and a multiplier on
the slope. Both come from the power laws of the losses; the level's own error from hiding rungs.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from seqarena.forecast.backtest import fewest_below
from seqarena.forecast.evidence import Evidence
from seqarena.forecast.methods import pooled_laws

_STEP = 0.05  # of x, for slopes


@dataclass(frozen=True, kw_only=True)
class Level:
    """Scores z by the laws of the losses; `error` is the level's deviation for a unit of x."""

    evidence: Evidence
    error: float

    def at(self, x: float) -> float:
        """The mean of all architectures."""
        return float(pooled_laws(self.evidence, x).z_K.mean())

    def deviation(self, x: float) -> float:
        return self.error * max(0.0, x)

    def of_pair(self, one: int, other: int) -> Callable[[float], float]:
        """The middle of two architectures at any x."""
        return lambda x: float(pooled_laws(self.evidence, x).z_K[[one, other]].mean())

    def slope(self, one: int, other: int, x: float) -> tuple[float, float]:
        """dz/dx of the pair at x, and its deviation: from the step of the last two rungs to the
        law's slope at x lies what is not known."""
        law_K = (pooled_laws(self.evidence, x + _STEP).z_K
                 - pooled_laws(self.evidence, x - _STEP).z_K) / (2 * _STEP)  # fmt: skip
        pair = law_K[[one, other]]
        apart = float(np.abs(law_K - law_K.mean()).mean())
        return float(pair.mean()), math.hypot(apart, self.error)


def level_of(evidence: Evidence) -> Level:
    """The laws of a ladder, with the error that they had when rungs were hidden."""
    squared = []
    for below in range(fewest_below(len(evidence.x_R)), len(evidence.x_R)):
        known = evidence.below(below)
        for hidden in range(below, len(evidence.x_R)):
            distance = float(evidence.x_R[hidden] - evidence.x_R[below - 1])
            found = float(evidence.z_KR[:, hidden].mean())
            squared.append(
                ((float(pooled_laws(known, distance).z_K.mean()) - found) / distance) ** 2
            )
    return Level(evidence=evidence, error=math.sqrt(float(np.mean(squared))))
