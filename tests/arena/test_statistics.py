"""The arithmetic of ranking against known answers, and its coverage by simulation."""

import numpy as np
import pytest
from scipy import stats

from seqarena.arena.statistics import (
    Sample,
    gap_estimate,
    holm,
    make_draws,
    mean_estimate,
    pooled_spread,
    seed_noise,
)

NO_CHUNKS = 0


def sample(values: list[float], seeds: tuple[int, ...] | None = None) -> Sample:
    values_S = np.array(values)
    return Sample(
        seeds=seeds or tuple(range(len(values))),
        values_S=values_S,
        chunks_SC=np.zeros((len(values), NO_CHUNKS)),
    )


def crossed(
    generator: np.random.Generator,
    seeds: int,
    chunk_C: np.ndarray,
    *,
    seed_deviation: float,
    interaction: float,
) -> Sample:
    """One architecture of true mean 2 under the crossed model."""
    seed_S1 = generator.normal(scale=seed_deviation, size=(seeds, 1))
    noise_SC = generator.normal(scale=interaction, size=(seeds, len(chunk_C)))
    values_SC = 2 + seed_S1 + chunk_C + noise_SC
    return Sample(seeds=tuple(range(seeds)), values_S=values_SC.mean(axis=1), chunks_SC=values_SC)


def test_without_chunks_the_interval_is_the_t_interval() -> None:
    values = [2.1, 2.4, 2.2]
    estimate = mean_estimate(sample(values), make_draws(0, 0), pooled=None, confidence=0.95)
    low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert estimate.low == pytest.approx(low, rel=2e-3)
    assert estimate.high == pytest.approx(high, rel=2e-3)


def test_without_chunks_the_p_value_is_that_of_the_paired_t_test() -> None:
    one, other = [2.5, 2.9, 2.6, 3.0], [2.4, 2.7, 2.55, 2.7]
    gap = gap_estimate(sample(one), sample(other), make_draws(0, 0), pooled=None, confidence=0.95)
    assert gap.p_value == pytest.approx(stats.ttest_rel(one, other).pvalue, abs=4e-4)
    assert gap.value == pytest.approx(np.mean(one) - np.mean(other))


def test_with_other_seeds_the_p_value_is_that_of_welch() -> None:
    one, other = [2.5, 2.9, 2.6, 3.0], [2.4, 2.7, 2.45]
    gap = gap_estimate(sample(one), sample(other), make_draws(0, 0), pooled=None, confidence=0.95)
    expected = stats.ttest_ind(one, other, equal_var=False)[1]
    assert gap.p_value == pytest.approx(expected, abs=4e-4)


def test_pairing_by_seed_takes_out_what_seeds_share() -> None:
    shared_S = np.array([0.0, 0.5, -0.4])
    one = sample(list(2.10 + shared_S + [0.001, 0.0, -0.001]))
    other = sample(list(2.00 + shared_S))
    paired = gap_estimate(one, other, make_draws(0, 0), pooled=None, confidence=0.95)
    assert paired.low > 0.09
    assert paired.high < 0.11


def test_pairing_by_chunk_takes_out_what_chunks_share() -> None:
    generator = np.random.default_rng(0)
    chunk_C = generator.normal(scale=3, size=30)
    one, other = (
        crossed(generator, 3, chunk_C, seed_deviation=0.01, interaction=0.01) for _ in range(2)
    )
    draws = make_draws(30, 0)
    mean = mean_estimate(one, draws, pooled=None, confidence=0.95)
    gap = gap_estimate(one, other, draws, pooled=None, confidence=0.95)
    assert mean.high - mean.low > 1.0
    assert gap.high - gap.low < 0.2


def test_one_seed_borrows_the_pooled_seed_noise_where_there_is_one() -> None:
    draws = make_draws(0, 0)
    several = [sample([2.0, 2.2, 2.1]), sample([3.0, 3.1, 3.4])]
    pooled = pooled_spread(several)
    assert pooled is not None
    assert pooled.degrees == 4
    assert pooled.variance == pytest.approx((0.02 + 0.08 + 2 / 300) / 4)
    borrowed = mean_estimate(sample([2.5]), draws, pooled=pooled, confidence=0.95)
    half = stats.t.ppf(0.975, 4) * pooled.variance**0.5
    assert borrowed.high - 2.5 == pytest.approx(half, rel=2e-3)
    alone = mean_estimate(sample([2.5]), draws, pooled=None, confidence=0.95)
    assert (alone.low, alone.high) == (2.5, 2.5)
    assert pooled_spread([sample([2.5])]) is None


def test_draws_are_deterministic_and_fair() -> None:
    first, again = make_draws(7, 3), make_draws(7, 3)
    assert np.array_equal(first.weights_RC, again.weights_RC)
    assert np.array_equal(first.uniform_R, again.uniform_R)
    assert not np.array_equal(first.uniform_R, make_draws(7, 4).uniform_R)
    assert first.weights_RC.sum(axis=1) == pytest.approx(1.0, rel=1e-5)
    assert first.weights_RC.mean(axis=0) == pytest.approx(1 / 7, rel=0.03)


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize(
    ("seed_deviation", "chunk_deviation"), [(1.0, 0.5), (1.0, 5.0), (0.2, 5.0)]
)
def test_coverage_of_the_mean(seeds: int, seed_deviation: float, chunk_deviation: float) -> None:
    generator, chunks, simulations = np.random.default_rng(seeds), 30, 1000
    draws = make_draws(chunks, 0, replicates=1000)
    covered = 0
    for _ in range(simulations):
        chunk_C = generator.normal(scale=chunk_deviation, size=chunks)
        one = crossed(generator, seeds, chunk_C, seed_deviation=seed_deviation, interaction=0.5)
        estimate = mean_estimate(one, draws, pooled=None, confidence=0.95)
        covered += estimate.low <= 2 <= estimate.high
    # three standard errors of the simulation below 0.95; above it the two levels together are
    # slightly conservative
    assert 0.93 <= covered / simulations <= 0.985


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize(("seed_deviation", "interaction"), [(1.0, 0.5), (0.1, 3.0)])
def test_coverage_of_the_gap(seeds: int, seed_deviation: float, interaction: float) -> None:
    generator, chunks, simulations = np.random.default_rng(seeds), 30, 1000
    draws = make_draws(chunks, 0, replicates=1000)
    covered = rejected = 0
    for _ in range(simulations):
        chunk_C = generator.normal(scale=5, size=chunks)
        one, other = (
            crossed(
                generator, seeds, chunk_C, seed_deviation=seed_deviation, interaction=interaction
            )
            for _ in range(2)
        )
        gap = gap_estimate(one, other, draws, pooled=None, confidence=0.95)
        covered += gap.low <= 0 <= gap.high
        rejected += gap.p_value < 0.05
    assert 0.93 <= covered / simulations <= 0.985
    assert rejected / simulations <= 0.07


def test_the_interaction_is_counted_once() -> None:
    """Where chunks differ only seed by seed, the seed level holds all there is: a t interval."""
    generator, widths = np.random.default_rng(0), []
    draws = make_draws(30, 0, replicates=1000)
    for _ in range(100):
        one, other = (
            crossed(generator, 5, np.zeros(30), seed_deviation=0.0, interaction=1.0)
            for _ in range(2)
        )
        gap = gap_estimate(one, other, draws, pooled=None, confidence=0.95)
        half = stats.t.ppf(0.975, 4) * stats.sem(one.values_S - other.values_S)
        widths.append((gap.high - gap.low) / (2 * half))
    assert 0.99 < np.mean(widths) < 1.07


def test_a_plain_bootstrap_of_three_seeds_would_fail_that_coverage() -> None:
    generator, simulations = np.random.default_rng(0), 1000
    picks_R3 = generator.integers(3, size=(1000, 3))
    values_N3 = generator.normal(size=(simulations, 3))
    means_NR = values_N3[:, picks_R3].mean(axis=2)
    low_N, high_N = np.quantile(means_NR, [0.025, 0.975], axis=1)
    assert ((low_N <= 0) & (high_N >= 0)).mean() < 0.80


def test_holm_by_hand() -> None:
    # sorted .01 .02 .03 .04 times 4 3 2 1 is .04 .06 .06 .04, made monotone
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


def test_the_noise_floor_holds_what_it_says() -> None:
    """Two new entries of three seeds stay inside it in 95 % of cases, over comparisons."""
    generator = np.random.default_rng(0)
    inside = []
    for number in range(400):
        groups = [sample(generator.normal(size=3).tolist()) for _ in range(4)]
        noise = seed_noise(groups, level=0.0)
        assert noise is not None
        floor = noise.floor(3, 3, confidence=0.95, seed=number)
        inside.append(2 * stats.norm.cdf(floor / (2 / 3) ** 0.5) - 1)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


def test_more_seeds_lower_the_noise_floor() -> None:
    groups = [sample(np.random.default_rng(n).normal(size=5).tolist()) for n in range(6)]
    noise = seed_noise(groups)
    assert noise is not None
    few, many = (noise.floor(n, n, confidence=0.95, seed=0) for n in (3, 12))
    assert few / many == pytest.approx(2, rel=0.1)


def test_one_unstable_architecture_does_not_set_the_floor_of_all() -> None:
    generator = np.random.default_rng(1)
    groups = [sample(generator.normal(size=5).tolist()) for _ in range(8)]
    calm = seed_noise(groups)
    wild = seed_noise([*groups, sample((100 * generator.normal(size=5)).tolist())])
    assert calm is not None
    assert wild is not None
    assert not calm.robust
    assert wild.robust
    floors = [noise.floor(5, 5, confidence=0.95, seed=0) for noise in (calm, wild)]
    assert floors[1] / floors[0] == pytest.approx(1, abs=0.5)


def test_seeds_that_all_agree_have_no_noise() -> None:
    noise = seed_noise([sample([1.0, 1.0, 1.0]), sample([0.5, 0.5])])
    assert noise is not None
    assert noise.floor(3, 3, confidence=0.95, seed=0) == 0
    mostly = seed_noise([sample([1.0, 1.0, 1.0]), sample([0.5, 0.5, 0.5]), sample([0.2, 0.3, 0.4])])
    assert mostly is not None
    assert mostly.floor(3, 3, confidence=0.95, seed=0) == 0
    assert seed_noise([sample([1.0]), sample([2.0])]) is None
