"""Answers to the exercises of the course's tenth lesson."""

import math

import numpy as np
from scipy import stats


def test_1_some_pair_among_many_is_told_apart_by_chance() -> None:
    """Of 105 pairs of 15 identical entries, some pair passes a 5 % test far more often than in 5 %
    of the comparisons. Corrected for the number of pairs (Sidak), it is 5 % at most."""
    draw = np.random.default_rng(0)
    tables, entries, seeds = 400, 15, 3
    some, some_corrected = 0, 0
    pairs = entries * (entries - 1) // 2
    for _ in range(tables):
        values = draw.normal(size=(entries, seeds))
        means, variance = values.mean(1), values.var(1, ddof=1).mean()
        # one variance for all: every entry has the same
        widest = (means.max() - means.min()) / math.sqrt(2 * variance / seeds)
        p = 2 * stats.t.sf(widest, entries * (seeds - 1))
        some += p < 0.05
        some_corrected += 1 - (1 - p) ** pairs < 0.05
    assert some / tables > 0.5
    assert some_corrected / tables < 0.05 + 3 * math.sqrt(0.05 * 0.95 / tables)


def test_2_neighbours_that_are_alike_count_for_fewer() -> None:
    """Var(mean) = s^2 / n (1 + 2 sum (1 - k/n) rho^k), about (1 + rho) / (1 - rho) times s^2 / n:
    three times the standard error at rho = .8."""
    draw, rho, count, tests = np.random.default_rng(0), 0.8, 200, 4000
    scores = np.zeros((tests, count))
    scores[:, 0] = draw.normal(size=tests)
    for i in range(1, count):
        scores[:, i] = rho * scores[:, i - 1] + math.sqrt(1 - rho**2) * draw.normal(size=tests)
    true = scores.mean(1).std()
    usual = (scores.std(1, ddof=1) / math.sqrt(count)).mean()
    lags = np.arange(1, count)
    exact = math.sqrt(1 + 2 * ((1 - lags / count) * rho**lags).sum())
    assert abs(true / usual / exact - 1) < 0.05
    assert abs(exact / math.sqrt((1 + rho) / (1 - rho)) - 1) < 0.02


def test_3_power_laws_cross_once_at_most() -> None:
    """b C^-c - b' C^-c has the sign of b - b' for every C. With c and c' it is zero where
    C^(c' - c) = b' / b, which is one C."""
    compute = np.logspace(0, 12, 2000)
    same = (3.0 - 2.0) * compute**-0.3
    assert (same > 0).all()
    ahead = 5.0 * compute**-0.3 - 2.0 * compute**-0.2
    crossings = np.flatnonzero(np.diff(np.sign(ahead)))
    assert len(crossings) == 1
    assert abs(math.log(compute[crossings[0]] / (2.0 / 5.0) ** (1 / (0.2 - 0.3)))) < 0.05
