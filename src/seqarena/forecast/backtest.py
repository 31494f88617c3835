"""Hides the top rungs and predicts them from those below: how wrong each method is.

Every rung that can be is hidden and predicted from all numbers of rungs below it, at least three
(two where the ladder has four rungs or fewer). The error of a gap has three sources: the noise of
the rungs below, which a method says; the noise of the hidden rung, which its seeds say; and what
the method itself is wrong by. The last grows with the distance and is made of what either
architecture adds: its deviation is sqrt(a^2 + b^2) for each factor of e of scale, with a and b the
model errors of the two. Some architectures move smoothly and some by leaps, and those that leapt
once are doubted more: a model error is that of its architecture, drawn to that of all. The
predictive distribution of a gap is Student's t.

A hidden gap is scored with model errors that were found on other hidden rungs; where there are
none, on pairs of other architectures.

Axes: K architectures, P errors.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

from seqarena.core.results.forecasts import MethodScore
from seqarena.forecast.evidence import Evidence
from seqarena.forecast.methods import Method

THRESHOLD = 0.8
_COMMON_WEIGHT = 2  # of the error of all, in hidden rungs of the own
_DEGREES = (3.0, 30.0)  # of freedom: the fewest and the most


class GapError(NamedTuple):
    """A hidden gap in z: what was predicted, and what was found."""

    one: int
    other: int
    hidden: int  # the rung
    distance: float  # x of the hidden rung over that of the highest below
    predicted: float
    variance: float  # that the method says
    found: float
    noise: float  # variance of what was found


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How wrong a method is beyond noise, per architecture and unit of distance, and how well that
    is known."""

    model_errors: tuple[float, ...]
    degrees: float

    @property
    def model_error(self) -> float:
        """Of a typical pair, for each factor of e of scale."""
        return math.sqrt(2 * sum(one**2 for one in self.model_errors) / len(self.model_errors))

    def deviation(self, variance: float, distance: float, one: int, other: int) -> float:
        """Of the gap of two architectures with this variance of noise."""
        a, b = self.model_errors[one], self.model_errors[other]
        return math.sqrt(variance + (a**2 + b**2) * distance**2)

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
                        hidden,
                        distance,
                        gap,
                        variance,
                        float(z_K[one] - z_K[other]),
                        float(noise_K[one] + noise_K[other]),
                    )
                )
    return found


def calibrate(errors: Sequence[GapError], num_architectures: int) -> Calibration:
    """Each architecture's model error: its own, by how far its gaps were off, and that of all."""
    distances = len({(error.hidden, round(error.distance, 6)) for error in errors})
    typical = common_error(errors) ** 2 / 2
    own_K, counted_K = _own_squares(errors, num_architectures)
    weight_K = np.where(counted_K, distances, 0)
    squares_K = (_COMMON_WEIGHT * typical + weight_K * own_K) / (_COMMON_WEIGHT + weight_K)
    if squares_K.sum() > 0:  # none is below 0, which must not widen all
        squares_K = squares_K * typical / squares_K.mean()
    degrees = float(np.clip(_COMMON_WEIGHT + distances, *_DEGREES))
    return Calibration(model_errors=tuple(np.sqrt(squares_K).tolist()), degrees=degrees)


def common_error(errors: Sequence[GapError]) -> float:
    """The model error of all pairs at which squared errors over their variances average to one."""
    table = np.array([(e.predicted - e.found, e.variance + e.noise, e.distance) for e in errors])
    squared_P, variance_P, distance_P = table[:, 0] ** 2, table[:, 1], table[:, 2]

    def excess(error: float) -> float:
        expected_P = np.maximum(variance_P + (error * distance_P) ** 2, 1e-300)
        return float((squared_P / expected_P).mean()) - 1

    if excess(0.0) <= 0:
        return 0.0
    low, high = 0.0, float(np.sqrt((squared_P / distance_P**2).max())) * 1.001
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return high


def _own_squares(errors: Sequence[GapError], num: int) -> tuple[np.ndarray, np.ndarray]:
    """The squared model error of each architecture, and whether its gaps say it: the excess of a
    pair's squared error is on average the sum of both, which n architectures that were all paired
    solve by sums: own = (sum of its pairs - sum of all / (n - 1) / 2) / (n - 2)."""
    sums_K, pairs_K = np.zeros(num), np.zeros(num)
    for error in errors:
        square = (error.predicted - error.found) ** 2 - error.variance - error.noise
        for place in (error.one, error.other):
            sums_K[place] += square / error.distance**2
            pairs_K[place] += 1
    there_K = pairs_K > 0
    present = int(there_K.sum())
    if present < 3:
        return np.zeros(num), np.zeros(num, dtype=bool)
    sums_K = sums_K / np.where(there_K, pairs_K, 1) * (present - 1)
    own_K = (sums_K - sums_K.sum() / (2 * (present - 1))) / (present - 2)
    return np.maximum(own_K, 0.0), there_K


def backtest(method: Method, evidence: Evidence) -> MethodScore:
    """The method's score. The ladder has three rungs or more."""
    errors, num = errors_of(method, evidence), len(evidence.names)
    scored = [score(error, one) for error, one in calibrated_elsewhere(errors, num)]
    told = [one for one in scored if is_told(one.probability)]
    return MethodScore(
        method=method.name,
        title=method.title,
        brier=_mean([one.squared for one in scored]),
        accuracy=_mean([float(one.right) for one in told]) if told else math.nan,
        abstained=1 - len(told) / len(scored),
        coverage=_mean([float(one.inside) for one in scored]),
        log_score=_mean([one.log_score for one in scored]),
        model_error=calibrate(errors, num).model_error,
        pairs=len(scored),
    )


def calibrated_elsewhere(
    errors: Sequence[GapError], num: int
) -> Iterator[tuple[GapError, Calibration]]:
    """Each error with a calibration that does not know it: from other hidden rungs, else from pairs
    that share no architecture with it; from all only where there are no such pairs."""
    known: dict[tuple[int, ...], Calibration] = {}
    for error in errors:
        rest = [e for e in errors if e.hidden != error.hidden]
        key: tuple[int, ...] = (error.hidden,)
        if not rest:
            rest = [e for e in errors if not {e.one, e.other} & {error.one, error.other}] or errors
            key = error.one, error.other
        if key not in known:
            known[key] = calibrate(rest, num)
        yield error, known[key]


class ErrorScore(NamedTuple):
    """One prediction, scored."""

    probability: float  # that the gap is above 0
    right: bool
    squared: float  # (probability - outcome)^2
    inside: bool  # of the 80 % interval of a gap that is measured with the hidden rung's noise
    log_score: float


def score(error: GapError, calibration: Calibration) -> ErrorScore:
    """The probability is of the true gap; the interval is of one that is measured."""
    pair = error.one, error.other
    deviation = calibration.deviation(error.variance, error.distance, *pair)
    probability = calibration.probability(error.predicted, deviation)
    outcome = float(error.found > 0)
    wide = calibration.deviation(error.variance + error.noise, error.distance, *pair) or 1e-12
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
