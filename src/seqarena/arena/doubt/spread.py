"""Variances with the degrees of freedom that they were estimated with, and how architectures share
theirs: the arithmetic of few seeds, as arena/statistics.py explains it.

Axes: K architectures.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

LEAST_GROUPS = 5  # architectures that tell how much their variances differ
_WILD = 1e-6  # level at which a variance is beyond that of the others
_COMMON_WEIGHT = 2  # of the common variance, in degrees of freedom of the own


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A variance and the degrees of freedom that it was estimated with."""

    variance: float
    degrees: float


NO_SPREAD = Spread(variance=0.0, degrees=math.inf)


def sum_of(spreads: Sequence[Spread]) -> Spread:
    """Of independent terms, with the degrees of freedom of Satterthwaite."""
    variance = sum(spread.variance for spread in spreads)
    if variance == 0:
        return NO_SPREAD
    inverse = sum((spread.variance / variance) ** 2 / spread.degrees for spread in spreads)
    return Spread(variance=variance, degrees=1 / inverse if inverse > 0 else math.inf)


def with_at_most(spread: Spread, degrees: float) -> Spread:
    """The same variance, known with no more than so many degrees of freedom."""
    return Spread(variance=spread.variance, degrees=min(spread.degrees, degrees))


def shared(own: Spread, common: Spread, prior: Spread) -> Spread:
    """An architecture's own variance, shrunk to the common and to the typical one; the wider."""
    weight = max(prior.degrees, _COMMON_WEIGHT * own.degrees)
    with_all = Spread(variance=common.variance, degrees=weight)
    both = (_shrunk(own, one, common.degrees) for one in (with_all, prior))
    return max(both, key=_half_width)


def _shrunk(own: Spread, prior: Spread, most: float) -> Spread:
    if math.isinf(prior.degrees):
        return Spread(variance=prior.variance, degrees=most)
    return with_at_most(
        pooled(np.array([own.variance, prior.variance]), np.array([own.degrees, prior.degrees])),
        most,
    )


def _half_width(spread: Spread) -> float:
    return float(stats.t.ppf(0.975, spread.degrees)) * math.sqrt(spread.variance)


def pooled(variances_K: np.ndarray, degrees_K: np.ndarray) -> Spread:
    """One variance of all."""
    degrees = float(degrees_K.sum())
    return Spread(variance=float(variances_K @ degrees_K) / degrees, degrees=degrees)


def without_wild(variances_K: np.ndarray, degrees_K: np.ndarray) -> Spread:
    """The variance of all together, without the wild ones, the largest first."""
    order = np.argsort(variances_K)
    while len(order) >= LEAST_GROUPS:
        *rest, last = order
        others = pooled(variances_K[rest], degrees_K[rest])
        beyond = stats.f.isf(_WILD, degrees_K[last], others.degrees) * others.variance
        if variances_K[last] <= beyond:
            break
        order = np.array(rest)
    return pooled(variances_K[order], degrees_K[order])


def typical_variance(variances_K: np.ndarray, degrees_K: np.ndarray) -> Spread:
    """The variance that is typical of the architectures and what it weighs, by the moments of the
    logs of their variances (Smyth 2004, section 6.2). Degrees 0: it says nothing; infinite: they
    are all the same."""
    if len(variances_K) < LEAST_GROUPS:
        return Spread(variance=0.0, degrees=0.0)
    median = float(np.median(variances_K))
    if median == 0:
        return Spread(variance=0.0, degrees=0.0)
    half_K = degrees_K / 2
    logs_K = np.log(np.maximum(variances_K, 1e-5 * median))
    logs_K = logs_K - special.digamma(half_K) + np.log(half_K)
    excess = float(logs_K.var(ddof=1) - special.polygamma(1, half_K).mean())
    if excess <= 0:
        return Spread(variance=pooled(variances_K, degrees_K).variance, degrees=math.inf)
    degrees = 2 * _inverse_trigamma(excess)
    log_variance = logs_K.mean() + special.digamma(degrees / 2) - math.log(degrees / 2)
    return Spread(variance=float(np.exp(log_variance)), degrees=degrees)


def _inverse_trigamma(value: float) -> float:
    """By Newton's method on 1 / trigamma, which is convex (Smyth 2004, appendix)."""
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(special.polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(special.polygamma(2, x))
        x += step
        if -step < 1e-9 * x:
            break
    return x
