"""Numbers as people read them."""

import pytest
from report_views import whole_view

from seqarena.report import units


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
    assert units.significant(value) == shown


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
    assert units.scale_for(quantity, values).unit == unit


def test_scaled_value_times_factor_is_the_value() -> None:
    scale = units.scale_for("seconds", [61e-6])
    assert float(units.scaled(61e-6, scale)) * scale.factor == pytest.approx(61e-6)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1e-3, "1e-3"), (3e-4, "3e-4"), (0.00125, "1.25e-3"), (0.09999, "1e-1"), (2.0, "2e0")],
)
def test_rate(value: float, shown: str) -> None:
    assert units.rate(value) == shown


@pytest.mark.parametrize(
    ("floor", "decimals"), [(0.0142, 3), (0.3, 2), (0.00042, 5), (1e-9, 6), (40.0, 0)]
)
def test_decimals_show_two_digits_of_the_noise_floor(floor: float, decimals: int) -> None:
    ranking = whole_view().ranking
    assert ranking is not None
    assert units.metric_decimals(ranking.model_copy(update={"noise_floor": floor})) == decimals


def test_without_a_noise_floor_the_smallest_gap_sets_the_decimals() -> None:
    ranking = whole_view().ranking
    assert ranking is not None
    # the smallest gap of the fixture is 0.007
    assert units.metric_decimals(ranking.model_copy(update={"noise_floor": 0.0})) == 4
    assert units.metric_decimals(None) == 3
