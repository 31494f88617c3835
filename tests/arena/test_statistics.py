"""The arithmetic of ranking against known answers, and what it holds by simulation."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import optimize, special, stats

from benchmarks.doubt import Truth, coverage, findings, looking, neighbours, search_bias
from seqarena.arena.doubt.spread import Spread
from seqarena.arena.requests import SearchRequest
from seqarena.arena.statistics import (
    Sample,
    gap_estimate,
    mean_estimate,
    mean_of_chunks,
    seed_noise,
    wilson,
)

SEEDS_ONLY = Truth(common_chunks=0.0, own_chunks=0.0)


def sample(values: list[float], chunks: list[float] | None = None, **facts: object) -> Sample:
    return Sample(
        seeds=tuple(range(len(values))),
        values_S=np.array(values),
        chunks_SC=np.array([chunks or []] * len(values)),
        **facts,  # type: ignore[arg-type]
    )


def own_spread(one: Sample) -> Spread:
    return Spread(variance=float(one.values_S.var(ddof=1)), degrees=len(one.seeds) - 1)


def test_without_chunks_the_interval_is_the_t_interval() -> None:
    one = sample([2.1, 2.4, 2.2])
    estimate = mean_estimate(one, own_spread(one), confidence=0.95)
    low, high = stats.t.interval(0.95, 2, loc=one.mean, scale=stats.sem(one.values_S))
    assert (estimate.low, estimate.high) == pytest.approx((low, high))


def test_the_p_value_of_two_is_that_of_welch() -> None:
    one, other = sample([2.5, 2.9, 2.6, 3.0]), sample([2.4, 2.7, 2.45])
    gap = gap_estimate(one, other, (own_spread(one), own_spread(other)), confidence=0.95)
    expected: Any = stats.ttest_ind(one.values_S, other.values_S, equal_var=False)
    assert gap.p_value == pytest.approx(expected.pvalue, rel=1e-3)
    interval = expected.confidence_interval(0.95)
    assert (gap.low, gap.high) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize(("among", "pairs"), [(3, 3), (15, 105)])
def test_the_p_value_among_several_is_that_of_sidak(among: int, pairs: int) -> None:
    """Among five or more with the degrees of the architecture that has fewer, else with Welch's."""
    one, other = sample([2.5, 2.9, 2.6, 3.0]), sample([3.1, 3.0, 3.3])
    spreads = own_spread(one), own_spread(other)
    gap = gap_estimate(one, other, spreads, among=among, confidence=0.95)
    welch: Any = stats.ttest_ind(one.values_S, other.values_S, equal_var=False)
    single = welch.pvalue if among < 5 else 2 * stats.t.sf(abs(welch.statistic), 2)
    assert gap.p_value == pytest.approx(1 - (1 - single) ** pairs)
    alone = gap_estimate(one, other, spreads, confidence=0.95)
    assert alone.p_value < gap.p_value
    assert (alone.low, alone.high) == (gap.low, gap.high)


def test_pairing_by_chunk_takes_out_what_chunks_share() -> None:
    draw = np.random.default_rng(0)
    chunk_C = draw.normal(scale=3, size=30)
    scores = [chunk_C + draw.normal(scale=0.01, size=(3, 30)) for _ in range(2)]
    one, other = (
        Sample(seeds=(0, 1, 2), values_S=score.mean(axis=1), chunks_SC=score) for score in scores
    )
    mean = mean_estimate(one, own_spread(one), confidence=0.95)
    gap = gap_estimate(one, other, (own_spread(one), own_spread(other)), confidence=0.95)
    assert mean.high - mean.low > 1.0
    assert gap.high - gap.low < 0.2


def test_the_mean_of_neighbours_knows_less_than_that_of_strangers() -> None:
    """Against the deviation of the mean itself, over many stretches."""
    draw = np.random.default_rng(0)
    for correlation in (0.0, 0.5, 0.8):
        truth = Truth(correlation=correlation)
        stretches = neighbours(draw, truth, (3000,))
        errors = [math.sqrt(mean_of_chunks(stretch).variance) for stretch in stretches[:600]]
        assert np.median(errors) == pytest.approx(stretches.mean(axis=1).std(), rel=0.15)
    assert mean_of_chunks(np.ones(50)).variance == 0
    assert mean_of_chunks(np.array([1.0, 2.0])).variance == 0


def test_the_variance_is_shrunk_as_published() -> None:
    """Smyth 2004, section 6.2, with a root finder: where the architectures' variances differ."""
    draw = np.random.default_rng(3)
    samples = [sample(draw.normal(scale=k + 1, size=6).tolist()) for k in range(12)]
    variances = np.array([one.values_S.var(ddof=1) for one in samples])
    noise = seed_noise(samples)
    assert noise is not None
    assert noise.common == Spread(variance=pytest.approx(variances.mean()), degrees=60)
    logs = np.log(variances) - special.digamma(2.5) + math.log(2.5)
    excess = logs.var(ddof=1) - special.polygamma(1, 2.5)
    half: Any = optimize.brentq(lambda x: special.polygamma(1, x) - excess, 0.1, 100)
    typical = math.exp(logs.mean() + special.digamma(half) - math.log(half))
    shrunk = (2 * half * typical + 5 * variances) / (2 * half + 5)
    # the widest architecture is beyond the common variance: its own counts, shrunk
    widest = int(variances.argmax())
    assert noise.of_each[widest].variance == pytest.approx(shrunk[widest])
    assert noise.of_each[widest].degrees == pytest.approx(2 * half + 5)
    # the calmest one is held up by the common variance, which weighs twice its own at least
    calmest = int(variances.argmin())
    weight = max(2 * half, 10)
    together = (weight * variances.mean() + 5 * variances[calmest]) / (weight + 5)
    assert noise.of_each[calmest].variance == pytest.approx(together)


def test_architectures_that_are_alike_share_one_variance() -> None:
    noise = seed_noise([sample([0.0, 1.0, 2.0]), *[sample([5.0, 6.0, 7.0])] * 5])
    assert noise is not None
    assert set(noise.of_each) == {Spread(variance=1.0, degrees=12.0)}


def test_an_unstable_architecture_keeps_its_own_doubt() -> None:
    draw = np.random.default_rng(1)
    groups = [sample(draw.normal(scale=0.01, size=5).tolist()) for _ in range(8)]
    wild = sample(draw.normal(size=5).tolist())
    noise = seed_noise([*groups, wild])
    assert noise is not None
    own = own_spread(wild)
    found = noise.of_each[-1]
    width = stats.t.ppf(0.975, found.degrees) * math.sqrt(found.variance)
    assert width > 0.6 * stats.t.ppf(0.975, own.degrees) * math.sqrt(own.variance)


def test_one_seed_borrows_the_common_seed_noise_where_there_is_one() -> None:
    noise = seed_noise([sample([2.0, 2.2, 2.1]), sample([3.0, 3.1, 3.4]), sample([2.5])])
    assert noise is not None
    assert noise.common.degrees == 4
    assert noise.common.variance == pytest.approx((0.02 + 0.08 + 2 / 300) / 4)
    assert noise.of_each[2] == noise.common
    alone = mean_estimate(sample([2.5]), None, confidence=0.95)
    assert (alone.low, alone.high) == (2.5, 2.5)
    assert seed_noise([sample([1.0]), sample([2.0])]) is None


def test_seeds_that_all_agree_have_no_noise() -> None:
    noise = seed_noise([sample([1.0, 1.0, 1.0]), sample([0.5, 0.5])])
    assert noise is not None
    assert noise.floor(0, 1, (3, 2), 0.95) == 0
    same = gap_estimate(
        sample([1.0, 1.0]), sample([1.0, 1.0]), (noise.of_each[0], noise.of_each[1]),
        among=4, confidence=0.95,
    )  # fmt: skip
    assert (same.low, same.high, same.p_value) == (0, 0, 1)


@pytest.mark.parametrize("right", [0, 20])
def test_a_perfect_share_is_no_certainty(right: int) -> None:
    """20 of 20 in every seed: Wilson's interval, .84 to 1."""
    share = right / 20
    one = sample([share] * 3, [share] * 20, num_scored=20)
    estimate = mean_estimate(one, Spread(variance=0.0, degrees=4), confidence=0.95)
    expected = stats.binomtest(right, 20).proportion_ci(method="wilson")
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high))
    gap = gap_estimate(one, one, (None, None), confidence=0.95)
    assert gap.low < -0.1
    assert gap.high > 0.1
    assert gap.p_value == 1


def test_a_share_of_one_chunk_keeps_the_doubt_of_its_examples() -> None:
    one, other = (sample([v] * 3, [v], num_scored=40) for v in (0.5, 0.95))
    gap = gap_estimate(one, other, (None, None), confidence=0.95)
    assert gap.low < -0.45 < gap.high < -0.2
    assert 0 < gap.p_value < 0.001
    low, high = wilson(0.5, 40, 0.95)
    mean = mean_estimate(one, None, confidence=0.95)
    assert mean.low <= low
    assert mean.high >= high


def test_a_share_stays_between_none_and_all() -> None:
    one = sample([0.9, 1.0, 0.95], [0.9, 1.0] * 10, num_scored=200)
    estimate = mean_estimate(one, own_spread(one), confidence=0.95)
    assert 0 <= estimate.low < estimate.high <= 1


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("kind", ["normal", "t3", "one in five fails"])
def test_coverage_of_means_and_gaps(seeds: int, kind: str) -> None:
    """With the chunks' correlation as measured. 160 comparisons of 8 architectures: a standard
    error of at most one point for means, whose chunks are shared, hence the wider bound."""
    means, gaps = coverage(Truth(seeds=kind), 8, seeds, 160)
    assert 0.89 <= means <= 0.995
    assert 0.92 <= gaps <= 0.985


@pytest.mark.parametrize("seeds", [3, 5])
def test_coverage_where_seeds_are_all_that_varies(seeds: int) -> None:
    means, gaps = coverage(SEEDS_ONLY, 8, seeds, 250)
    assert 0.93 <= means <= 0.98
    assert 0.92 <= gaps <= 0.98


def test_independent_chunks_would_fail_that_coverage() -> None:
    """The variance of a mean of strangers, for neighbours: less than half the intervals hold."""
    draw = np.random.default_rng(0)
    held = []
    for stretch in neighbours(draw, Truth(), (400,)):
        half = 1.98 * stretch.std(ddof=1) / math.sqrt(len(stretch))
        held.append(abs(stretch.mean()) <= half)
    assert np.mean(held) < 0.6


@pytest.mark.parametrize(
    ("num", "seeds", "kind"),
    [
        (2, 3, "normal"),
        (2, 3, "unequal deviations"),
        (8, 3, "normal"),
        (15, 5, "normal"),
        (15, 3, "unequal deviations"),
    ],
)
def test_identical_architectures_are_rarely_told_apart(num: int, seeds: int, kind: str) -> None:
    """At most 5 % of comparisons; three standard errors of 100 to 400 simulations on top."""
    simulations = 400 if num == 2 else 100
    told_apart, named = findings(Truth(own_chunks=0.0, seeds=kind), num, seeds, simulations)
    assert told_apart <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / simulations)
    assert named <= told_apart


def test_a_lead_of_four_seed_deviations_among_fifteen_is_mostly_found() -> None:
    told_apart, named = findings(Truth(own_chunks=0.0), 15, 5, 40, lead=4.0)
    assert named >= 0.7
    assert told_apart <= 0.2


@pytest.mark.parametrize("until_decided", [False, True])
def test_looking_again_names_no_more_false_winners(until_decided: bool) -> None:
    """Two identical architectures, the worst case: at most 5 % and three standard errors."""
    truth = SEEDS_ONLY._replace(num_chunks=4)
    simulations = 60 if until_decided else 300
    found = looking(truth, 2, SearchRequest(until_decided=until_decided), simulations)
    assert found.wrong <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / simulations)


def test_looks_that_each_spend_the_whole_error_would_fail_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.doubt.share_spent", lambda *_, **__: 1.0)
    truth = SEEDS_ONLY._replace(num_chunks=4)
    assert looking(truth, 2, SearchRequest(until_decided=True), 100).wrong > 0.1


def test_looking_until_it_is_decided_finds_a_small_lead() -> None:
    truth = SEEDS_ONLY._replace(num_chunks=4)
    default = looking(truth, 2, SearchRequest(), 60, lead=1.5)
    decided = looking(truth, 2, SearchRequest(until_decided=True), 60, lead=1.5)
    assert default.named < 0.6
    assert decided.named > 0.9
    assert decided.wrong <= 0.05


def test_a_seed_that_chose_the_rate_leaves_the_intervals_right() -> None:
    """The mean of three seeds is too good by at most .85 / 3 seed deviations with three rates."""
    found = search_bias(8, 3, 3, 150)
    assert -0.33 < found.bias < -0.2
    assert found.coverage >= 0.91
    assert found.told_apart <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 150)


def test_the_noise_floor_holds_what_it_says() -> None:
    """Two new entries of three seeds stay inside it in 95 % of cases, over comparisons."""
    draw = np.random.default_rng(0)
    inside = []
    for _ in range(400):
        noise = seed_noise([sample(draw.normal(size=3).tolist()) for _ in range(4)])
        assert noise is not None
        floor = noise.floor(0, 1, (3, 3), 0.95)
        inside.append(2 * stats.norm.cdf(floor / (2 / 3) ** 0.5) - 1)
    assert 0.94 <= np.mean(inside) <= 0.98


def test_more_seeds_lower_the_noise_floor() -> None:
    groups = [sample(np.random.default_rng(n).normal(size=5).tolist()) for n in range(6)]
    noise = seed_noise(groups)
    assert noise is not None
    few, many = (noise.floor(0, 1, (count, count), 0.95) for count in (3, 12))
    assert few / many == pytest.approx(2)
