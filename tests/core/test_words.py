"""Numbers as people read them."""

import doctest
import math

import pytest

from seqarena.core import words
from seqarena.core.results.records import Ranking, RankRow


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1234.5, "1,230"),
        (0.012345, "0.0123"),
        (2.0, "2.00"),
        (9.996, "10.0"),
        (99.96, "100"),
        (0.0, "0"),
        (-0.5, "-0.500"),
        (3.2e-6, "3.20e-06"),
        (1.3e13, "1.30e+13"),
        (float("inf"), "inf"),
        (None, "–"),
    ],
)
def test_significant(value: float | None, shown: str) -> None:
    assert words.significant(value) == shown


@pytest.mark.parametrize(
    ("quantity", "values", "unit"),
    [
        ("seconds", [61e-6, 74e-6, 2e-3], "µs"),
        ("seconds", [2e-3, 5e-3], "ms"),
        ("seconds", [], "s"),
        ("bytes", [88e6, None, 1.2e9, 104e6], "MB"),
        ("bytes", [12], "B"),
        ("count", [41_200, 36_900], "k"),
        ("count", [None, 0], ""),
    ],
)
def test_one_unit_a_column(quantity: str, values: list, unit: str) -> None:
    assert words.scale_for(quantity, values).unit == unit


def test_scaled_value_times_factor_is_the_value() -> None:
    scale = words.scale_for("seconds", [61e-6])
    assert float(words.scaled(61e-6, scale)) * scale.factor == pytest.approx(61e-6)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1e-3, "1e-3"), (3e-4, "3e-4"), (0.00125, "1.25e-3"), (0.09999, "1e-1"), (2.0, "2e0")],
)
def test_rate(value: float, shown: str) -> None:
    assert words.rate(value) == shown


def ranking(noise_floor: float, *gaps: float) -> Ranking:
    rows = [
        RankRow(
            place=place, architecture=str(place), mean=2 + gap, low=2, high=3, seed_values=(2,),
            learning_rate=1e-3, learning_rate_at_edge=False, parameters=1, gap_to_leader=gap,
            gap_low=gap, gap_high=gap, p_value=None, ties_leader=not gap, on_front=True,
        )
        for place, gap in enumerate((0.0, *gaps), start=1)
    ]  # fmt: skip
    return Ranking(
        metric="bits_per_byte", lower_is_better=True, rows=tuple(rows), excluded={},
        noise_floor=noise_floor, noise_floor_origin="", repeat_difference=None, winner=None,
        leaders=("1",), verdict="", recommendation=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("floor", "decimals"), [(0.0142, 3), (0.3, 2), (0.00042, 5), (1e-9, 6), (40.0, 0)]
)
def test_decimals_show_two_digits_of_the_noise_floor(floor: float, decimals: int) -> None:
    assert words.metric_decimals(ranking(floor, 0.5)) == decimals


def test_without_a_noise_floor_the_smallest_gap_sets_the_decimals() -> None:
    assert words.metric_decimals(ranking(0.0, 0.5, 0.007)) == 4
    assert words.metric_decimals(ranking(0.0)) == 3
    assert words.metric_decimals(None) == 3


def test_amounts_have_two_digits_and_no_powers_of_ten() -> None:
    given = (0.0312, 1234.0, 0.00001234, 0.0, -0.0567, 12.34)
    said = ("0.031", "1234", "0.000012", "0", "-0.057", "12")
    assert tuple(words.amount(value) for value in given) == said


@pytest.mark.parametrize(
    ("value", "unit", "per", "shown"),
    [
        (61e-6, "seconds", "per token", "0.061 ms per token"),
        (2.5, "seconds", "", "2,500 ms"),
        (19_808.4, "count", "tokens/s", "19,800 tokens/s"),
        (7.3e6, "bytes", "", "7.3 MB"),
        (0.0, "bytes", "", "0 B"),
        (512, "bytes", "", "512 B"),
        (0.0312, "J", "per token", "0.0312 J per token"),
    ],
)
def test_in_a_sentence(value: float, unit: str, per: str, shown: str) -> None:
    assert words.in_a_sentence(value, unit, per) == shown


@pytest.mark.parametrize(
    ("parts", "shown"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")],
)
def test_listed(parts: list[str], shown: str) -> None:
    assert words.listed(parts) == shown
    assert words.listed(parts, most=3) == shown


def test_a_long_list_counts_what_it_leaves_out() -> None:
    assert words.listed(["a", "b", "c", "d", "e"], most=3) == "a, b, c and 2 more"
    assert words.listed(["a", "b"], separator="; ", last="; or ") == "a; or b"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3600, "1 h 0 min"), (math.nan, "? min")],
)
def test_duration(seconds: float, shown: str) -> None:
    assert words.duration(seconds) == shown


def test_plural() -> None:
    assert [words.plural(n, "seed") for n in (0, 1, 2, 1200)] == [
        "0 seeds", "1 seed", "2 seeds", "1,200 seeds",
    ]  # fmt: skip


def test_the_examples_of_the_docstrings_hold() -> None:
    assert doctest.testmod(words).failed == 0
