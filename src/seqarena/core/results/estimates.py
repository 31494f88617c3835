"""What a measured curve says in one number, with its doubt. Pure functions of the records.

Intervals are of 95 %: over the repeats of each point by Student's t, over the points of a fit by
the residuals' t, over what resamples of the repeats give for a reach.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from seqarena.core.config import Config
from seqarena.core.errors import UserError
from seqarena.core.results.measurement import Point, Series

_RESAMPLES = 1000


class Estimate(Config):
    """A figure and its 95 % interval; the interval is the figure where nothing was repeated."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        value, low, high = (f"{number:.3g}" for number in (self.value, self.low, self.high))
        return value if low == value == high else f"{value} ({low} to {high})"


def mean(point: Point) -> Estimate:
    """The mean of a point's repeats."""
    return mean_of(point.repeats)


def mean_of(values: tuple[float, ...] | list[float]) -> Estimate:
    """The mean of independent repeats, by Student's t."""
    if not values:
        raise UserError("a mean of no values was asked for")
    centre = float(np.mean(values))
    if len(values) < 2:
        return Estimate(value=centre, low=centre, high=centre)
    half = stats.t.ppf(0.975, len(values) - 1) * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return Estimate(value=centre, low=centre - half, high=centre + half)


def exponent(series: Series, *, beyond: float = 0.0) -> Estimate:
    """p of y ~ x^p, by least squares over the logarithms of the points' medians.

    `beyond` leaves out smaller x, where fixed costs hide the growth. Raises UserError for fewer
    than three points.
    """
    points = [point for point in series.points if point.x >= beyond]
    if len(points) < 3:
        raise UserError(f"{series.label}: an exponent needs three points, here are {len(points)}")
    x = np.log([point.x for point in points])
    y = np.log([float(np.median(point.repeats)) for point in points])
    fit: Any = stats.linregress(x, y)
    # no stderr: all y are the same
    half = stats.t.ppf(0.975, len(points) - 2) * np.nan_to_num(float(fit.stderr))
    slope = float(fit.slope)
    return Estimate(value=slope, low=slope - half, high=slope + half)


def decay(series: Series) -> Estimate:
    """lambda of y ~ lambda^x over the points' medians, as in `decay_of`."""
    x = [point.x for point in series.points]
    return decay_of(x, [float(np.median(point.repeats)) for point in series.points])


def decay_of(x: Sequence[float], y: Sequence[float]) -> Estimate:
    """lambda of y ~ lambda^x where y > 0 and x >= 1; 0 where fewer than two values are."""
    kept = [(at, value) for at, value in zip(x, y, strict=True) if at >= 1 and value > 0]
    if len(kept) < 2:
        return Estimate(value=0.0, low=0.0, high=0.0)
    places, values = zip(*kept, strict=True)
    fit: Any = stats.linregress(places, np.log(values))
    half = stats.t.ppf(0.975, len(kept) - 2) * float(fit.stderr) if len(kept) > 2 else 0.0
    slope = float(fit.slope)
    return Estimate(value=math.exp(slope), low=math.exp(slope - half), high=math.exp(slope + half))


def half_life(rate: float) -> float:
    """Steps after which lambda^x has halved; inf where it does not fall."""
    return math.log(0.5) / math.log(rate) if 0 < rate < 1 else (0.0 if rate == 0 else math.inf)


def reach(series: Series, threshold: float = 0.9) -> Estimate:
    """The largest x up to which every mean is at least `threshold`, 0 where the first misses it.

    The interval comes from resampling each point's repeats. A reach at the last point says "at
    least": nothing farther was measured.
    """
    points = sorted(series.points, key=lambda point: point.x)
    x = np.array([point.x for point in points])
    draw = np.random.default_rng(0)
    found = []
    for _ in range(_RESAMPLES):
        y = [float(np.mean(draw.choice(p.repeats, len(p.repeats)))) for p in points]
        found.append(_last_before_a_miss(x, np.array(y), threshold))
    value = _last_before_a_miss(x, np.array([np.mean(p.repeats) for p in points]), threshold)
    low, high = np.quantile(found, (0.025, 0.975), method="inverted_cdf")
    return Estimate(value=value, low=min(float(low), value), high=max(float(high), value))


def ratio(one: Point, other: Point) -> Estimate:
    """one / other of two timings: the ratio of their medians, from the lowest to the highest that
    any two repeats give."""
    pairs = [a / b for a, b in itertools.product(one.repeats, other.repeats)]
    middle = float(np.median(one.repeats) / np.median(other.repeats))
    return Estimate(value=middle, low=min(pairs), high=max(pairs))


def at(series: Series, x: float) -> Point:
    """The point at x. Raises UserError where the curve has none."""
    for point in series.points:
        if point.x == x:
            return point
    raise UserError(f"{series.label}: nothing was measured at {series.axis} {x:g}")


def _last_before_a_miss(x: np.ndarray, y: np.ndarray, threshold: float) -> float:
    missed = np.flatnonzero(~(y >= threshold))
    first = int(missed[0]) if len(missed) else len(x)
    return float(x[first - 1]) if first else 0.0
