"""Wider learning rates: one rule for all, until the best is inside of those tried."""

import math

import pytest

from seqarena.arena.requests import SearchRequest
from seqarena.arena.tuning import best_rate, next_rate, window
from seqarena.core.results.records import TriedRate

SEARCH = SearchRequest(learning_rates=(0.002, 0.006, 0.02), widen=2)


@pytest.mark.parametrize(
    ("values", "lower", "found"),
    [
        ({0.002: 2.0, 0.006: 1.0, 0.02: 2.0}, True, None),  # inside
        ({0.002: 1.0, 0.006: 2.0, 0.02: 3.0}, True, 0.00063),
        ({0.002: 1.0, 0.006: 2.0, 0.02: 3.0}, False, 0.063),
        ({0.002: 3.0, 0.006: 2.0, 0.02: None}, True, None),  # bounded by the diverged one
        ({0.002: None, 0.006: None, 0.02: None}, True, 0.00063),
        ({0.002: math.nan, 0.006: math.nan, 0.02: math.nan}, True, None),  # failed: no rate helps
        ({0.00063: 1.0, 0.002: 2.0, 0.006: 2.0, 0.02: 3.0}, True, 0.0002),
        ({0.0002: 1.0, 0.00063: 1.5, 0.002: 2.0, 0.006: 2.0, 0.02: 3.0}, True, None),  # the cap
    ],
)
def test_the_next_rate_is_beyond_the_best_at_the_edge(values, lower, found) -> None:
    assert next_rate(SEARCH, values, lower) == found


def test_one_rate_alone_is_meant() -> None:
    assert next_rate(SearchRequest(learning_rates=(0.01,)), {0.01: 1.0}, True) is None


def test_of_equal_rates_the_lowest_is_best() -> None:
    assert best_rate({0.1: 2.0, 0.01: 2.0, 0.001: None, 1.0: math.nan}, True) == 0.01
    assert best_rate({0.1: None}, True) is None


def tried(rate: float, value: float | None, trials: int = 1, diverged: int = 0) -> TriedRate:
    return TriedRate(learning_rate=rate, validation_value=value, trials=trials, diverged=diverged)


@pytest.mark.parametrize(("is_share", "inside"), [(False, [0.01, 0.1]), (True, [0.1])])
def test_the_window_holds_the_neighbours_that_lose_little(is_share: bool, inside) -> None:
    """2.03 loses 2 % of 2 at most, and more than .02; what is beyond a gap is outside."""
    rates = [tried(0.001, 2.5), tried(0.01, 2.03), tried(0.1, 2.0), tried(1, None), tried(10, 2)]
    found = window(rates, 0.1, True, is_share=is_share)
    assert [one.learning_rate for one in found] == inside
