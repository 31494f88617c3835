"""Intervals, gaps and the noise floor: the arithmetic of ranking, without any record type.

A sample holds one architecture's scores y[s, c] of seed s on test chunk c. The model is the crossed
two-way layout y[s, c] = mean + seed[s] + chunk[c] + interaction[s, c]: every seed of every
architecture sees the same chunks, so chunks are paired and seeds are the unit. A mean has two
sources of doubt, which are added as variances; the interval is Student's t with the degrees of
freedom of the sum (Satterthwaite 1946).

Seeds: few seeds know their own variance badly. The wider of two is taken: the common variance of
the architectures, which weighs at least twice the own; and the own, shrunk to the typical one as
far as the architectures' variances are alike (Smyth 2004, "Linear models and empirical Bayes
methods", section 6.2). With fewer than five architectures the second is the own. A wild
architecture, whose variance is far beyond that of the others together (F test at one in a
million), is left out of the common variance, so that it does not set the doubt of all.

Test examples: neighbouring chunks of one text are alike, so a mean over C of them knows less than
C independent values. The variance is that of a first-order autoregression, var(chunk) / n with
n = C (1 - r) / (1 + r); r is the correlation of neighbours, corrected for its bias (Kendall 1954)
and not below 0. What the interaction adds is in the seeds' variance already and is taken off.
Scores that are shares of examples have at least the doubt of a share (Agresti and Coull 1998;
Wilson 1927), also where every answer is right.

Two architectures are told apart if the p value of their gap is below 5 % after a correction for all
K (K - 1) / 2 pairs (Sidak 1967; Tamhane 1977 for unequal variances): of K identical architectures
any pair is then told apart in at most 5 % of comparisons, whichever leads. So corrected, it is the
far tail that counts, where Satterthwaite's degrees of freedom are too many: the fewer of the two
architectures' are taken, which no ratio of their variances makes too many (Mickey and Brown 1966).
Of two alone, which share one variance, the degrees are at most those of their own (Welch 1947).
Among three and four, where the wider of two variances is taken, Satterthwaite's are enough.

Coverage, false findings and power by simulation: benchmarks/doubt.py; figures in the lab log.

Axes: S seeds, C test chunks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from seqarena.arena.doubt.spread import (
    LEAST_GROUPS,
    NO_SPREAD,
    Spread,
    shared,
    sum_of,
    typical_variance,
    with_at_most,
    without_wild,
)

_HIGHEST_CORRELATION = 0.97  # above it fewer than two independent chunks would be left of 100


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The test scores of one architecture at its learning rate, seeds in ascending order."""

    seeds: tuple[int, ...]
    values_S: np.ndarray
    chunks_SC: np.ndarray  # C = 0 where the task gives no chunk values
    num_scored: int | None = None  # test examples, of scores that are shares of them

    @property
    def mean(self) -> float:
        return float(self.values_S.mean())


@dataclass(frozen=True, kw_only=True)
class SeedNoise:
    """How much one run of each architecture varies with its seed, in the order of the samples.

    `common` is of all architectures together but the wild ones.
    """

    of_each: tuple[Spread, ...]
    common: Spread
    num_measured: int  # architectures with two seeds or more

    def floor(self, index: int, other: int, seeds: tuple[int, int], confidence: float) -> float:
        """The gap below which two equal entries stay in `confidence` of cases. They have so many
        `seeds` and vary as the architectures `index` and `other` do, or as all do where that is
        more."""
        variance = sum(
            max(self.of_each[k].variance, self.common.variance) / count
            for k, count in zip((index, other), seeds)
        )
        return float(stats.t.ppf((1 + confidence) / 2, self.common.degrees) * math.sqrt(variance))


@dataclass(frozen=True, kw_only=True)
class TestedEstimate:
    """A mean or a gap with its interval and the p value of the hypothesis that it is zero."""

    value: float
    low: float
    high: float
    p_value: float

    def turned(self, sign: int, share: float) -> "TestedEstimate":
        """The same times `sign`, 1 or -1, with a p value that counts all looks: this one may spend
        `share` of the error."""
        low, high = sorted((sign * self.low, sign * self.high))
        p_value = min(1.0, self.p_value / share)
        return TestedEstimate(value=sign * self.value, low=low, high=high, p_value=p_value)


def seed_noise(samples: Sequence[Sample]) -> SeedNoise | None:
    """The seed noise of a comparison; None where no architecture has two seeds."""
    each = [_own_spread(sample) for sample in samples]
    measured = [own for own in each if own is not None]
    if not measured:
        return None
    variances_K = np.array([own.variance for own in measured])
    degrees_K = np.array([own.degrees for own in measured])
    common = without_wild(variances_K, degrees_K)
    prior = typical_variance(variances_K, degrees_K)
    of_each = tuple(common if own is None else shared(own, common, prior) for own in each)
    return SeedNoise(of_each=of_each, common=common, num_measured=len(measured))


def mean_estimate(sample: Sample, seeds: Spread | None, *, confidence: float) -> TestedEstimate:
    """The mean over seeds with its interval. `seeds` is the variance of one run; None: not known,
    and the interval covers the choice of test examples only."""
    seeds = _over(seeds, len(sample.seeds))
    tests = _test_spread([sample], sample.chunks_SC.mean(axis=0), [sample.mean])
    found = _estimate(sample.mean, [seeds], tests, math.inf, confidence, 2)
    if sample.num_scored is None:
        return found
    low, high = wilson(sample.mean, sample.num_scored, confidence)
    low, high = max(0.0, min(low, found.low)), min(1.0, max(high, found.high))
    return TestedEstimate(value=found.value, low=low, high=high, p_value=found.p_value)


def gap_estimate(
    sample: Sample,
    leader: Sample,
    seeds: tuple[Spread | None, Spread | None],
    *,
    degrees: float = math.inf,
    among: int = 2,
    confidence: float,
) -> TestedEstimate:
    """`sample` minus `leader`, paired by chunk. `seeds` are the variances of one run of each.

    The interval is of this gap alone; the p value counts all pairs `among` so many architectures.
    `degrees` are those of the seeds' variances together, which may share some.
    """
    pair = (sample, leader)
    spreads = [_over(spread, len(one.seeds)) for spread, one in zip(seeds, pair)]
    tests = spread_of_tests(sample, leader)
    gap = sample.mean - leader.mean
    own = [_over(_own_spread(one), len(one.seeds)) for one in pair]
    return _estimate(gap, spreads, tests, degrees, confidence, among, sum_of(own).degrees)


def gap_at(
    gap: float, seeds: Sequence[Spread], tests: Spread, *, degrees: float, among: int
) -> TestedEstimate:
    """What `gap_estimate` would say of a gap with such variances of two means and of the tests."""
    return _estimate(gap, seeds, tests, degrees, 0.95, among)


def spread_of_tests(sample: Sample, leader: Sample) -> Spread:
    """What the choice of test examples adds to the gap of two means, which more seeds leave."""
    profile_C = sample.chunks_SC.mean(axis=0) - leader.chunks_SC.mean(axis=0)
    return _test_spread((sample, leader), profile_C, [sample.mean, leader.mean])


def wilson(share: float, count: int, confidence: float) -> tuple[float, float]:
    """The interval of a share of `count` examples (Wilson 1927)."""
    z = float(stats.norm.ppf((1 + confidence) / 2))
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    inside = max(share * (1 - share), 0.0) / count + z * z / (4 * count * count)
    half = z * math.sqrt(inside) / (1 + z * z / count)
    return centre - half, centre + half


def mean_of_chunks(profile_C: np.ndarray) -> Spread:
    """The variance of the mean of a stretch of neighbours: of a first-order autoregression."""
    count = len(profile_C)
    if count < 3:
        return NO_SPREAD
    centred_C = profile_C - profile_C.mean()
    squares = float(centred_C @ centred_C)
    if squares <= 1e-24 * count * float(profile_C @ profile_C):
        return NO_SPREAD
    correlation = float(centred_C[1:] @ centred_C[:-1]) / squares
    correlation += (1 + 3 * correlation) / count
    correlation = min(max(correlation, 0.0), _HIGHEST_CORRELATION)
    independent = max(2.0, count * (1 - correlation) / (1 + correlation))
    variance = squares / count * independent / (independent - 1)  # the mean took a part away
    return Spread(variance=variance / independent, degrees=independent - 1)


def _test_spread(
    samples: Sequence[Sample], profile_C: np.ndarray, shares: Sequence[float]
) -> Spread:
    """What the choice of test examples adds, beyond what the seeds' variance holds of it."""
    chunks = mean_of_chunks(profile_C)
    inside = sum(_interaction_variance(sample.chunks_SC) for sample in samples)
    chunks = Spread(variance=max(0.0, chunks.variance - inside), degrees=chunks.degrees)
    if chunks.variance > 0 or any(sample.num_scored is None for sample in samples):
        return chunks
    variance = 0.0
    for sample, share in zip(samples, shares):
        count = (sample.num_scored or 0) + 4
        near = (share * (count - 4) + 2) / count
        variance += near * (1 - near) / count
    return Spread(variance=variance, degrees=math.inf)


def _estimate(
    value: float,
    seeds: Sequence[Spread],
    tests: Spread,
    limit: float,
    confidence: float,
    among: int,
    own_degrees: float = math.inf,
) -> TestedEstimate:
    of_seeds = sum_of(seeds)
    total = sum_of([with_at_most(of_seeds, limit), tests])
    if total.variance == 0:
        return TestedEstimate(value=value, low=value, high=value, p_value=float(value == 0))
    deviation = math.sqrt(total.variance)
    half = float(stats.t.ppf((1 + confidence) / 2, total.degrees)) * deviation
    fewest = _fewest_degrees(seeds, among, own_degrees)
    careful = sum_of([with_at_most(of_seeds, min(limit, fewest)), tests])
    p_value = _p_value(abs(value) / deviation, careful.degrees, among)
    return TestedEstimate(value=value, low=value - half, high=value + half, p_value=p_value)


def _fewest_degrees(seeds: Sequence[Spread], among: int, own_degrees: float) -> float:
    """What the degrees of freedom of a p value are at most, beyond those of its interval."""
    if among >= LEAST_GROUPS:
        return min(spread.degrees for spread in seeds)
    return own_degrees if among < 3 else math.inf


def _p_value(statistic: float, degrees: float, among: int) -> float:
    """The chance that any pair of so many equal means is at least so far apart (Sidak 1967)."""
    p_value = float(2 * stats.t.sf(statistic, degrees))
    if among == 2:
        return p_value
    return float(-np.expm1(special.xlog1py(among * (among - 1) / 2, -p_value)))


def _over(spread: Spread | None, seeds: int) -> Spread:
    """Of the mean of so many runs."""
    if spread is None:
        return NO_SPREAD
    return Spread(variance=spread.variance / seeds, degrees=spread.degrees)


def _own_spread(sample: Sample) -> Spread | None:
    """Of one run, by the sample's own seeds; None with one seed."""
    if len(sample.seeds) < 2:
        return None
    return Spread(variance=float(sample.values_S.var(ddof=1)), degrees=len(sample.seeds) - 1.0)


def _interaction_variance(chunks_SC: np.ndarray) -> float:
    """What the interaction of seeds and chunks adds to the variance of the overall mean."""
    seeds, chunks = chunks_SC.shape
    if seeds < 2 or chunks < 2:
        return 0.0
    residual_SC = chunks_SC - chunks_SC.mean(axis=0) - chunks_SC.mean(axis=1, keepdims=True)
    residual_SC = residual_SC + chunks_SC.mean()
    mean_square = float((residual_SC**2).sum()) / ((seeds - 1) * (chunks - 1))
    return mean_square / (seeds * chunks)
