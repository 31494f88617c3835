"""Hides the top rungs and predicts them from those below: how wrong each method is.

Every rung that can be is hidden and predicted from all numbers of rungs below it, at least three
(two where the ladder has four rungs or fewer). The error of a gap has three sources: the noise of
the rungs below, which a method says; the noise of the hidden rung, which its seeds say; and what
the method itself is wrong by. The last grows with the distance: its deviation is `model_error` for
each factor of e of scale, found so that squared errors are as large as they should be. The
predictive distribution of a gap is Student's t with both, its degrees of freedom those of the
errors that were seen.

A pair is scored with the model error of pairs that share no architecture with it, where there are
any, so that no pair is judged by its own error.

Axes: P errors.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

from seqarena.core.results.forecasts import MethodScore
from seqarena.forecast.evidence import Evidence
from seqarena.forecast.methods import Method

THRESHOLD = 0.8
_DEGREES = (3.0, 30.0)  # of freedom: the fewest and the most


class GapError(NamedTuple):
    """A hidden gap in z: what was predicted, and what was found."""

    one: int
    other: int
    distance: float  # x of the hidden rung over that of the highest below
    predicted: float
    variance: float  # that the method says
    found: float
    noise: float  # variance of what was found


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How wrong a method is beyond noise, per unit of distance, and how well that is known."""

    model_error: float
    degrees: float

    def deviation(self, variance: float, distance: float) -> float:
        return math.sqrt(variance + (self.model_error * distance) ** 2)

    def probability(self, gap: float, deviation: float) -> float:
        """That the gap is above 0."""
        if deviation == 0:
            return 0.5 + 0.5 * float(np.sign(gap))
        return float(stats.t.cdf(gap / deviation, self.degrees))

    def half_width(self, deviation: float, share: float) -> float:
        """Of the interval that holds such a share."""
        return float(stats.t.ppf((1 + share) / 2, self.degrees)) * deviation


def fewest_below(num_rungs: int) -> int:
    """The fewest rungs that predict a hidden one."""
    return max(2, min(3, num_rungs - 2))


def errors_of(method: Method, evidence: Evidence) -> list[GapError]:
    """Every hidden gap of every pair."""
    found = []
    num_rungs = len(evidence.x_R)
    for below in range(fewest_below(num_rungs), num_rungs):
        known = evidence.below(below)
        for hidden in range(below, num_rungs):
            distance = float(evidence.x_R[hidden] - evidence.x_R[below - 1])
            prediction = method.predict(known, distance)
            z_K, noise_K = evidence.z_KR[:, hidden], evidence.noise_KR[:, hidden]
            for one, other in itertools.combinations(range(len(evidence.names)), 2):
                gap, variance = prediction.gap(one, other)
                found.append(
                    GapError(
                        one,
                        other,
                        distance,
                        gap,
                        variance,
                        float(z_K[one] - z_K[other]),
                        float(noise_K[one] + noise_K[other]),
                    )
                )
    return found


def calibrate(errors: Sequence[GapError], num_architectures: int) -> Calibration:
    """The model error at which squared errors over their variances average to one."""
    table = np.array([(e.predicted - e.found, e.variance + e.noise, e.distance) for e in errors])
    squared_P, variance_P, distance_P = table[:, 0] ** 2, table[:, 1], table[:, 2]
    distances = len({(round(e.distance, 6)) for e in errors})
    degrees = float(np.clip((num_architectures - 1) * distances, *_DEGREES))

    def excess(error: float) -> float:
        expected_P = np.maximum(variance_P + (error * distance_P) ** 2, 1e-300)
        return float((squared_P / expected_P).mean()) - 1

    if excess(0.0) <= 0:
        return Calibration(model_error=0.0, degrees=degrees)
    low, high = 0.0, float(np.sqrt((squared_P / distance_P**2).max())) * 1.001
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return Calibration(model_error=high, degrees=degrees)


def backtest(method: Method, evidence: Evidence) -> MethodScore:
    """The method's score. The ladder has three rungs or more."""
    errors, num = errors_of(method, evidence), len(evidence.names)
    scored = []
    for one, other in itertools.combinations(range(num), 2):
        rest = [e for e in errors if not {e.one, e.other} & {one, other}]
        calibration = calibrate(rest or errors, num - 2 if rest else num)
        for error in errors:
            if (error.one, error.other) == (one, other):
                scored.append(score(error, calibration))
    whole = calibrate(errors, num)
    told = [one for one in scored if is_told(one.probability)]
    return MethodScore(
        method=method.name,
        title=method.title,
        brier=_mean([one.squared for one in scored]),
        accuracy=_mean([float(one.right) for one in told]) if told else math.nan,
        abstained=1 - len(told) / len(scored),
        coverage=_mean([float(one.inside) for one in scored]),
        log_score=_mean([one.log_score for one in scored]),
        model_error=whole.model_error,
        pairs=len(scored),
    )


class ErrorScore(NamedTuple):
    """One prediction, scored."""

    probability: float  # that the gap is above 0
    right: bool
    squared: float  # (probability - outcome)^2
    inside: bool  # of the 80 % interval of a gap that is measured with the hidden rung's noise
    log_score: float


def score(error: GapError, calibration: Calibration) -> ErrorScore:
    """The probability is of the true gap; the interval is of one that is measured."""
    deviation = calibration.deviation(error.variance, error.distance)
    probability = calibration.probability(error.predicted, deviation)
    outcome = float(error.found > 0)
    wide = calibration.deviation(error.variance + error.noise, error.distance) or 1e-12
    away = (error.found - error.predicted) / wide
    return ErrorScore(
        probability,
        (probability > 0.5) == (outcome > 0.5),
        (probability - outcome) ** 2,
        abs(away) * wide <= calibration.half_width(wide, 0.8),
        -float(stats.t.logpdf(away, calibration.degrees)) + math.log(wide),
    )


def is_told(probability: float) -> bool:
    """Whether the order is said at all: from THRESHOLD on, either way.

    Where probabilities are right, a pair that is told is right in at least 4 of 5 cases, and in
    about 9 of 10 where all probabilities beyond are as frequent.
    """
    return max(probability, 1 - probability) >= THRESHOLD


def choose(scores: Sequence[MethodScore]) -> int:
    """The place of the method with the best log score, a proper score of the whole predictive
    distribution: a wrong order, an interval too narrow and one too wide all cost. Of equal ones the
    first, which is the simpler one."""
    return int(np.argmin([one.log_score for one in scores]))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
