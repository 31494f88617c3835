"""From a ladder to its forecast: the method that the back-test chose, carried to the target.

For every pair: the probability of being better, the gap with its intervals, the multiplier of
compute, the crossing. For every architecture: its score, and what a training at the target costs by
the measured exponents of seconds and bytes.

Axes: K architectures, R rungs, X places on the way to the target.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seqarena.core.results.forecasts import (
    ArchitectureForecast,
    Forecast,
    ForecastTarget,
    Ladder,
    MethodScore,
    PairForecast,
    Span,
)
from seqarena.forecast.backtest import (
    THRESHOLD,
    Calibration,
    backtest,
    calibrate,
    choose,
    errors_of,
    is_told,
)
from seqarena.forecast.costs import carried_rate, power_span
from seqarena.forecast.evidence import Evidence, evidence_of
from seqarena.forecast.levels import Level, level_of
from seqarena.forecast.methods import METHODS, Method, Prediction
from seqarena.forecast.scales import MetricScale, scale_of

_PLACES = 24  # of a path from the top rung to the target
_PLACES_BELOW = 12  # and from the lowest rung to the top
_BEYOND = math.log(10.0)  # how far past the target a crossing is looked for, in x
_DRAWS = 4000  # for the probability of being the best of all


class CarriedLadder(NamedTuple):
    """A ladder with the method that carries it on."""

    scale: MetricScale
    evidence: Evidence
    method: Method
    calibration: Calibration
    level: Level


def forecast(ladder: Ladder, target: ForecastTarget, method: str | None = None) -> Forecast:
    """What the ladder says of the target. `method` names one; default: what the back-test chooses.

    Raises UserError for a metric that cannot be forecast.
    """
    scale = scale_of(ladder)
    evidence = evidence_of(ladder, scale)
    scores = [backtest(one, evidence) for one in METHODS.values()]
    place = list(METHODS).index(method) if method else choose(scores)
    scores[place] = scores[place].model_copy(update={"chosen": True})
    chosen = list(METHODS.values())[place]
    fitted = CarriedLadder(
        scale,
        evidence,
        chosen,
        calibrate(errors_of(chosen, evidence), len(evidence.names)),
        level_of(evidence),
    )
    end = math.log(target.factor)
    pairs = [
        _pair(fitted, one, other, end)
        for one, other in itertools.combinations(range(len(evidence.names)), 2)
    ]
    return Forecast(
        ladder=ladder,
        target=target,
        method=chosen.name,
        methods=tuple(scores),
        pairs=tuple(sorted(pairs, key=lambda pair: -pair.probability)),
        architectures=_architectures(fitted, ladder, target, pairs),
        threshold=THRESHOLD,
        warnings=tuple(_warnings(ladder, target, scores[place])),
    )


def _pair(fitted: CarriedLadder, one: int, other: int, end: float) -> PairForecast:
    scale, evidence, method, calibration, level = fitted
    names = evidence.names
    gap, deviation = _gap(fitted, method.predict(evidence, end), one, other, end)
    probability = calibration.probability(
        -gap, deviation
    )  # that `one`, with the lower z, is better
    if probability < 0.5:
        one, other, gap, probability = other, one, -gap, 1 - probability
    gap = -gap  # of the worse minus the better, in z
    top = method_of_top(fitted, one, other)
    middle = level.of_pair(one, other)
    return PairForecast(
        better=names[one],
        worse=names[other],
        probability=probability,
        gap=_in_unit(scale, middle(end), gap),
        gap_80=_interval(fitted, middle(end), gap, deviation, 0.8),
        gap_95=_interval(fitted, middle(end), gap, deviation, 0.95),
        told=is_told(probability),
        top_gap=_in_unit(scale, float(evidence.z_KR[[one, other], -1].mean()), top[0]),
        top_probability=top[1],
        multiplier=_multiplier(fitted, one, other, end, gap, deviation),
        crossing=_crossing(fitted, one, other, end),
        path=_path(fitted, one, other, end),
        measured=_measured(fitted, one, other),
    )


def method_of_top(fitted: CarriedLadder, one: int, other: int) -> tuple[float, float]:
    """The gap at the top rung, `other` minus `one`, and the probability that it is above 0."""
    evidence = fitted.evidence
    z_K, noise_K = evidence.z_KR[:, -1], evidence.noise_KR[:, -1]
    gap = float(z_K[other] - z_K[one])
    deviation = math.sqrt(float(noise_K[one] + noise_K[other]))
    return gap, fitted.calibration.probability(gap, deviation)


def _gap(
    fitted: CarriedLadder, prediction: Prediction, one: int, other: int, x: float
) -> tuple[float, float]:
    """z of `one` minus z of `other` at x, and its deviation with the method's own error."""
    gap, variance = prediction.gap(one, other)
    return gap, fitted.calibration.deviation(variance, max(0.0, x), one, other)


def _in_unit(scale: MetricScale, middle: float, gap: float) -> float:
    """A gap in z about a pair's middle as a gap in the metric's unit, positive for worse."""
    return float(scale.worse_by(middle + gap / 2, middle - gap / 2))


def _interval(
    fitted: CarriedLadder, middle: float, gap: float, deviation: float, share: float
) -> tuple[float, float]:
    half = fitted.calibration.half_width(deviation, share)
    return (
        _in_unit(fitted.scale, middle, gap - half),
        _in_unit(fitted.scale, middle, gap + half),
    )


def _multiplier(
    fitted: CarriedLadder, one: int, other: int, end: float, gap: float, deviation: float
) -> Span | None:
    """Compute that the worse needs over that of the better for the same score near the target: the
    gap over the slope of the scores there. The doubt of the slope is in the interval."""
    slope, slope_deviation = fitted.level.slope(one, other, end)
    if not slope < -1e-6 or slope_deviation > -slope / 2:
        return None  # scores hardly fall there: no amount of compute makes good for a gap
    log = gap / -slope
    wide = math.hypot(deviation / slope, log * slope_deviation / slope)
    half = fitted.calibration.half_width(wide, 0.8)
    return Span(value=_exp(log), low=_exp(log - half), high=_exp(log + half))


def _exp(log: float) -> float:
    return math.exp(min(max(log, -30.0), 30.0))


def _crossing(fitted: CarriedLadder, one: int, other: int, end: float) -> Span | None:
    """Where the order of the top rung turns, over the top rung's scale; None where it stays. The
    interval is where the 80 % band of the gap holds 0, open where it does not end."""
    places = np.linspace(0.0, end + _BEYOND, 2 * _PLACES)
    gaps, halves = [], []
    for x in places:
        prediction = fitted.method.predict(fitted.evidence, float(x))
        gap, deviation = _gap(fitted, prediction, one, other, float(x))
        gaps.append(gap)
        halves.append(fitted.calibration.half_width(deviation, 0.8))
    sign = math.copysign(1.0, gaps[0])
    gap_X, half_X = sign * np.array(gaps), np.array(halves)
    at = _first_below(places, gap_X)
    if at is None or at > end:
        return None
    low, high = _first_below(places, gap_X - half_X), _first_below(places, gap_X + half_X)
    return Span(value=_exp(at), low=_exp(low or 0.0), high=None if high is None else _exp(high))


def _first_below(places: np.ndarray, values: np.ndarray) -> float | None:
    """Where the values first fall below 0, between two places."""
    below = np.flatnonzero(values < 0)
    if not len(below):
        return None
    k = int(below[0])
    if k == 0:
        return float(places[0])
    share = values[k - 1] / (values[k - 1] - values[k])
    return float(places[k - 1] + share * (places[k] - places[k - 1]))


def _path(
    fitted: CarriedLadder, one: int, other: int, end: float
) -> tuple[tuple[float, float, float, float, float, float], ...]:
    """The scale over the top rung's, the gap that the method says, its 80 % and 95 % intervals."""
    middle, found = fitted.level.of_pair(one, other), []
    for x in _places(fitted, end):
        prediction = fitted.method.predict(fitted.evidence, float(x))
        gap, deviation = _gap(fitted, prediction, other, one, float(x))
        at = middle(float(x))
        narrow = _interval(fitted, at, gap, deviation, 0.8)
        wide = _interval(fitted, at, gap, deviation, 0.95)
        found.append((_exp(float(x)), _in_unit(fitted.scale, at, gap), *narrow, *wide))
    return tuple(found)


def _places(fitted: CarriedLadder, end: float) -> np.ndarray:
    """x from the lowest rung to the target, the top rung among them."""
    below = np.linspace(float(fitted.evidence.x_R[0]), 0.0, _PLACES_BELOW, endpoint=False)
    return np.concatenate([below, np.linspace(0.0, end, _PLACES)])


def _measured(
    fitted: CarriedLadder, one: int, other: int
) -> tuple[tuple[float, float, float, float], ...]:
    """The gap of each rung, `other` minus `one`, with the 80 % interval of its noise."""
    evidence, found = fitted.evidence, []
    for k, x in enumerate(evidence.x_R):
        gap = float(evidence.z_KR[other, k] - evidence.z_KR[one, k])
        middle = float(evidence.z_KR[[one, other], k].mean())
        noise = math.sqrt(float(evidence.noise_KR[one, k] + evidence.noise_KR[other, k]))
        found.append(
            (
                _exp(float(x)),
                _in_unit(fitted.scale, middle, gap),
                *_interval(fitted, middle, gap, noise, 0.8),
            )
        )
    return tuple(found)


def _architectures(
    fitted: CarriedLadder, ladder: Ladder, target: ForecastTarget, pairs: Sequence[PairForecast]
) -> tuple[ArchitectureForecast, ...]:
    end = math.log(target.factor)
    best = _best_probabilities(fitted, end)
    found = []
    for place, name in enumerate(fitted.evidence.names):
        wins = [p.probability if p.better == name else 1 - p.probability
                for p in pairs if name in (p.better, p.worse)]  # fmt: skip
        path = [(_exp(x), *_score(fitted, place, x)) for x in _places(fitted, end).tolist()]
        seconds, seconds_exponent = power_span(ladder, name, "seconds", target.scale)
        peak, bytes_exponent = power_span(ladder, name, "bytes", target.scale)
        found.append(
            ArchitectureForecast(
                architecture=name,
                place=0,
                score=path[-1][1],
                score_80=(path[-1][2], path[-1][3]),
                wins=math.fsum(wins) / len(wins),
                best_probability=best[place],
                seconds=seconds,
                seconds_exponent=seconds_exponent,
                peak_training_bytes=peak,
                bytes_exponent=bytes_exponent,
                learning_rate=carried_rate(ladder, name, target),
                path=tuple(path),
            )
        )
    found.sort(key=lambda one: -one.wins)
    return tuple(one.model_copy(update={"place": k + 1}) for k, one in enumerate(found))


def _score(fitted: CarriedLadder, place: int, x: float) -> tuple[float, float, float]:
    """The architecture's score at x with its 80 % interval, lower bound first."""
    prediction = fitted.method.predict(fitted.evidence, x)
    deviation_K = prediction.z_K - prediction.z_K.mean()
    z = fitted.level.at(x) + float(deviation_K[place])
    own = math.sqrt(
        float(prediction.covariance_KK[place, place])
        + (fitted.calibration.model_errors[place] * max(0.0, x)) ** 2
    )
    half = fitted.calibration.half_width(math.hypot(own, fitted.level.deviation(x)), 0.8)
    low, high = sorted(float(fitted.scale.y(at)) for at in (z - half, z + half))
    return float(fitted.scale.y(z)), low, high


def _best_probabilities(fitted: CarriedLadder, end: float) -> list[float]:
    """The share of draws in which each architecture is the best. Model errors of architectures are
    taken as independent, so that those of a pair add up to what the back-test found of pairs."""
    prediction, calibration = fitted.method.predict(fitted.evidence, end), fitted.calibration
    draw, num = np.random.default_rng(0), len(prediction.z_K)
    own = np.diag((np.array(calibration.model_errors) * end) ** 2 + 1e-15)
    normal_DK = draw.multivariate_normal(np.zeros(num), prediction.covariance_KK + own, _DRAWS)
    chi_D1 = draw.chisquare(calibration.degrees, (_DRAWS, 1)) / calibration.degrees
    best_D = (prediction.z_K + normal_DK / np.sqrt(chi_D1)).argmin(axis=1)
    return [float((best_D == k).mean()) for k in range(num)]


def _warnings(ladder: Ladder, target: ForecastTarget, score: MethodScore) -> list[str]:
    """What a reader must know before believing."""
    found = []
    if ladder.unfinished:
        found.append(
            f"not all trials of {', '.join(ladder.unfinished)} have ended: this is a first look"
        )
    reach = math.log(target.factor)
    span = math.log(ladder.top.scale / ladder.rungs[0].scale)
    if reach > span:
        found.append(
            f"the target is {target.factor:,.0f} times the top rung, the ladder itself spans "
            f"{math.exp(span):,.0f} times: the model error is carried beyond what was tested"
        )
    if len(ladder.rungs) < 4:
        found.append("three rungs: the back-test hides one or two of them, which tells little")
    if score.brier > 0.25:
        found.append(
            "no method did better than even odds when rungs were hidden: gaps do not carry on here"
        )
    seeds = min(len(cell.seeds) for rung in ladder.rungs for cell in rung.cells)
    if seeds < 2:
        found.append("one seed only: the noise of seeds is not known and counts as model error")
    return found
