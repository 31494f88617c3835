"""What would tell two architectures apart: more seeds, or more test data, by what was measured.

The gap is taken as measured, and so are the variances of its seeds and of its test examples. Seeds
shrink the one and not the other: where the test examples' part is too large, no number of seeds is
enough, and the test data have to grow. The answer is the least number with which the gap would be
told apart, with four chances in five, under the same rule as in the ranking (arena/statistics.py).
"""

import math
from dataclasses import dataclass

from scipy import stats

from seqarena.arena.doubt.looks import MOST_SEEDS
from seqarena.arena.doubt.spread import Spread
from seqarena.arena.statistics import Sample, TestedEstimate, gap_at, spread_of_tests

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
MOST_NAMED = 1000  # seeds of each, beyond which a number says no more than "many"
_POWER = 0.8
_MANY = 10**9  # as good as infinitely many seeds


@dataclass(frozen=True, kw_only=True)
class TiedPair:
    """Two architectures that are not told apart; `runs` are the variances of one run of each."""

    sample: Sample
    leader: Sample
    runs: tuple[Spread, Spread]
    degrees: float  # of all seeds' variances together
    among: int  # architectures
    level: float  # p value below which they are told apart

    @property
    def gap(self) -> float:
        return self.sample.mean - self.leader.mean


def seeds_to_part(pair: TiedPair) -> int | None:
    """The further seeds of each of the two; None where more than `MOST_NAMED` would be needed."""
    low = max(len(pair.sample.seeds), len(pair.leader.seeds))
    if not _parts(pair, abs(pair.gap), MOST_NAMED):
        return None
    high = MOST_NAMED
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _parts(pair, abs(pair.gap), middle) else (middle, high)
    return high - min(len(pair.sample.seeds), len(pair.leader.seeds))


def data_to_part(pair: TiedPair) -> float | None:
    """How much larger the test data must be, with seeds beyond number; None where they need not be,
    and where there is no gap."""
    if pair.gap == 0 or _parts(pair, abs(pair.gap), _MANY):
        return None
    times = 2.0
    while not _parts(pair, abs(pair.gap), _MANY, times):
        times *= 2
    low, high = times / 2, times
    while high / low > 1.05:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if _parts(pair, abs(pair.gap), _MANY, middle) else (middle, high)
    return high


def within_reach(pair: TiedPair, share: float = 1.0) -> bool:
    """Whether `MOST_SEEDS` seeds of each may tell them apart at a look that may spend `share` of
    the error, if the gap lies as far from zero as the seeds that ran leave open."""
    pairs = zip(pair.runs, (pair.sample, pair.leader), strict=True)
    variance = sum(run.variance / len(sample.seeds) for run, sample in pairs)
    degrees = min(pair.degrees, *(run.degrees for run in pair.runs))
    farthest = abs(pair.gap) + float(stats.t.ppf(0.975, degrees)) * math.sqrt(variance)
    return _at(pair, farthest, MOST_SEEDS).p_value < share * pair.level


def _parts(pair: TiedPair, gap: float, seeds: int, times_test_data: float = 1.0) -> bool:
    """Whether a true gap is told apart with four chances in five: where even one that was measured
    so much too small is."""
    variances = _variances(pair, seeds, times_test_data)
    deviation = math.sqrt(sum(one.variance for one in variances))
    smaller = gap - float(stats.norm.ppf(_POWER)) * deviation
    return smaller > 0 and _at(pair, smaller, seeds, times_test_data).p_value < pair.level


def _at(pair: TiedPair, gap: float, seeds: int, times_test_data: float = 1.0) -> TestedEstimate:
    """The pair's gap, had it run so many seeds each on so much more test data."""
    *more, tests = _variances(pair, seeds, times_test_data)
    added = sum(new.degrees - run.degrees for new, run in zip(more, pair.runs, strict=True))
    return gap_at(gap, more, tests, degrees=pair.degrees + added, among=pair.among)


def _variances(pair: TiedPair, seeds: int, times_test_data: float) -> tuple[Spread, Spread, Spread]:
    """Of the two means over so many seeds, and of the test examples."""
    one, other = (
        Spread(
            variance=run.variance / seeds,
            degrees=run.degrees + max(0, seeds - len(sample.seeds)),
        )
        for run, sample in zip(pair.runs, (pair.sample, pair.leader), strict=True)
    )
    tests = spread_of_tests(pair.sample, pair.leader)
    tests = Spread(
        variance=tests.variance / times_test_data, degrees=tests.degrees * times_test_data
    )
    return one, other, tests
