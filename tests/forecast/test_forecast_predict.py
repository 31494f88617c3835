"""What a whole forecast says of planted ladders."""

import math

import numpy as np
import pytest
from planted_ladders import LAWS, Law, cell, planted

from seqarena.core.errors import UserError
from seqarena.core.results.forecasts import Forecast, Ladder, LadderRung
from seqarena.forecast.costs import carried_rate, power_span
from seqarena.forecast.predict import forecast
from seqarena.forecast.scales import MetricScale, scale_of
from seqarena.forecast.targets import parse_target, target_of


@pytest.fixture(scope="module")
def found() -> Forecast:
    ladder = planted(noise=0.002)
    return forecast(ladder, target_of("100x", ladder))


def test_gaps_are_recovered_and_covered(found: Forecast) -> None:
    assert found.target.params == 1_000_000
    assert found.target.tokens == 10_000_000
    inside = []
    for pair in found.pairs:
        truth = LAWS[pair.worse].at(1_000_000) - LAWS[pair.better].at(1_000_000)
        inside.append(pair.gap_95[0] <= truth <= pair.gap_95[1])
        assert pair.gap_95[0] < pair.gap_80[0] < pair.gap < pair.gap_80[1] < pair.gap_95[1]
        assert pair.gap == pytest.approx(truth, abs=0.05)
        if pair.told:
            assert truth > 0
    assert np.mean(inside) >= 0.8


def test_an_order_that_turns_is_found_where_it_turns(found: Forecast) -> None:
    """Attention is behind the LSTM at the top rung of this ladder cut short, and ahead above."""
    laws = {"lstm": Law(1.6, 0.10), "attention": Law(2.0, 0.14), "gru": Law(1.5, 0.10)}
    ladder = planted(laws, noise=0.0005)
    pair = forecast(ladder, target_of("1000x", ladder)).pair("lstm", "attention")
    assert pair.better == "attention"
    assert pair.told
    assert pair.top_gap < 0
    scale = (2.0 / 1.6) ** (1 / 0.04) * 1e9  # where the two laws meet
    top = 10 * 100_000.0**2
    assert pair.crossing is not None
    assert pair.crossing.value == pytest.approx(scale / top, rel=0.3)
    assert pair.crossing.low is not None
    assert pair.crossing.low < scale / top
    assert pair.crossing.high is None or pair.crossing.high > scale / top


def test_a_multiplier_is_the_compute_of_the_same_score(found: Forecast) -> None:
    """Two laws of one exponent: the worse needs (amount ratio) ^ (1 / exponent) times more."""
    pair = found.pair("gru", "lstm")
    assert pair.better == "gru"
    assert pair.multiplier is not None
    truth = (1.70 / 1.60) ** (1 / 0.10)
    assert pair.multiplier.value == pytest.approx(truth, rel=0.25)
    low, high = pair.multiplier.low, pair.multiplier.high
    assert low is not None
    assert high is not None
    assert low < truth < high


def test_the_places_follow_the_probabilities(found: Forecast) -> None:
    wins = [one.wins for one in found.architectures]
    assert wins == sorted(wins, reverse=True)
    assert sum(one.best_probability for one in found.architectures) == pytest.approx(1)
    assert sum(method.chosen for method in found.methods) == 1
    assert found.architectures[0].architecture == "attention"


def test_paths_start_at_the_lowest_rung_and_end_at_the_target(found: Forecast) -> None:
    pair = found.pairs[0]
    assert pair.path[0][0] == pytest.approx((6_000 / 100_000) ** 2)
    assert pair.path[-1][0] == pytest.approx(100)
    assert pair.path[-1][1] == pytest.approx(pair.gap)
    assert pair.measured[-1][1] == pytest.approx(pair.top_gap)
    widths = [high - low for scale, _, low, high, *_ in pair.path if scale >= 1]
    assert widths[0] < widths[len(widths) // 2] < widths[-1]


def test_costs_are_carried_on_by_their_powers(found: Forecast) -> None:
    one = found.architectures[0]
    assert one.seconds is not None
    assert one.seconds_exponent is not None
    assert one.seconds.value == pytest.approx(1e-8 * 1e13, rel=1e-6)
    assert one.seconds_exponent.value == pytest.approx(1)
    assert one.peak_training_bytes is not None
    assert one.bytes_exponent is not None
    assert one.peak_training_bytes.value == pytest.approx(100.0 * 1_000_000, rel=1e-6)
    assert one.bytes_exponent.value == pytest.approx(0.5)
    bare = planted()
    rungs = [
        rung.model_copy(
            update={"cells": tuple(c.model_copy(update={"peak_training_bytes": None})
                                   for c in rung.cells)}
        )
        for rung in bare.rungs
    ]  # fmt: skip
    bare = bare.model_copy(update={"rungs": tuple(rungs)})
    assert power_span(bare, "gru", "bytes", 1e13) == (None, None)


def test_rates_are_carried_by_the_power_that_all_rungs_show() -> None:
    ladder = planted()

    def at(rung: LadderRung, power: float) -> LadderRung:
        rate = 0.02 * (rung.params / 6_000) ** power
        cells = tuple(one.model_copy(update={"learning_rate": rate}) for one in rung.cells)
        return rung.model_copy(update={"cells": cells})

    def carried(power: float) -> float | None:
        moved = tuple(at(rung, power) for rung in ladder.rungs)
        with_rates = ladder.model_copy(update={"rungs": moved})
        return carried_rate(with_rates, "gru", target_of("100x", ladder))

    assert carried(0) == pytest.approx(0.02, rel=0.05)
    assert carried(-0.5) == pytest.approx(0.02 * (1_000_000 / 6_000) ** -0.5, rel=0.05)
    rising = carried(0.5)
    assert rising == pytest.approx(0.02 * (70_711 / 6_000) ** 0.5, rel=0.05)  # of the top two


@pytest.mark.parametrize(
    ("asked", "params", "tokens"),
    [
        ("100x", 1_000_000, 10_000_000),
        ("10M", 10_000_000, 100_000_000),
        ("10M parameters", 10_000_000, 100_000_000),
        ("200M-tokens", 20_000_000, 200_000_000),
        ("6e13-flops", 1_000_000, 10_000_000),
    ],
)
def test_a_target_is_given_in_any_unit(asked: str, params: int, tokens: int) -> None:
    target = target_of(asked, planted())
    assert target.params == pytest.approx(params, rel=1e-6)
    assert target.tokens == pytest.approx(tokens, rel=1e-6)
    assert target.factor == pytest.approx((params / 100_000) ** 2, rel=1e-6)


@pytest.mark.parametrize("asked", ["", "x", "-3x", "ten", "10 apples", "0x", "1e400x", "10M M"])
def test_what_is_no_target_is_refused(asked: str) -> None:
    with pytest.raises(UserError, match="--target"):
        parse_target(asked)


def test_a_target_below_the_top_rung_is_refused() -> None:
    with pytest.raises(UserError, match="not beyond the top rung"):
        target_of("50k", planted())


def shares(values: dict[str, list[float]]) -> Ladder:
    """A ladder of accuracies."""
    draw = np.random.default_rng(0)
    names = tuple(values)
    ladder = planted({name: Law(1, 0.1) for name in names}, metric="accuracy")
    rungs = [
        rung.model_copy(
            update={
                "cells": tuple(
                    cell(name, rung.params, np.clip(values[name][k] + np.zeros(3), 0, 1), draw)
                    for name in names
                )
            }
        )
        for k, rung in enumerate(ladder.rungs)
    ]
    return ladder.model_copy(update={"rungs": tuple(rungs)})


def test_shares_stay_shares_and_more_is_better() -> None:
    ladder = shares({"gru": [0.5, 0.6, 0.7, 0.8, 0.88], "lstm": [0.4, 0.5, 0.61, 0.72, 0.81]})
    found = forecast(ladder, target_of("10x", ladder))
    (pair,) = found.pairs
    assert pair.better == "gru"
    assert pair.gap > 0
    assert pair.top_gap == pytest.approx(0.07, abs=1e-3)
    for one in found.architectures:
        low, high = one.score_80
        assert 0 < low < one.score < high < 1
    assert found.architectures[0].score > 0.88


def test_saturated_shares_and_other_metrics_are_refused() -> None:
    ladder = shares({"gru": [0.9, 0.99, 1, 1, 1], "lstm": [0.9, 0.95, 0.98, 0.99, 1]})
    with pytest.raises(UserError, match="not forecastable"):
        scale_of(ladder)
    with pytest.raises(UserError, match="bleu is not forecast"):
        MetricScale("bleu", lower_is_better=False)
    ladder = planted({"a": Law(-3, 0.1, 0), "b": Law(1, 0.1)})
    with pytest.raises(UserError, match="only positive losses"):
        scale_of(ladder)


def test_z_and_back() -> None:
    for scale, values in (
        (MetricScale("bits_per_byte", True), [0.5, 2.0]),
        (MetricScale("accuracy", False), [0.2, 0.9]),
    ):
        for value in values:
            assert float(scale.y(scale.z(value))) == pytest.approx(value)
            step = 1e-6
            slope = abs(float(scale.z(value + step) - scale.z(value))) / step
            assert float(scale.slope(value)) == pytest.approx(slope, rel=1e-3)
    assert float(MetricScale("accuracy", False).worse_by(0.1, 0.0)) > 0


def test_a_ladder_of_one_seed_says_so() -> None:
    ladder = planted(seeds=1)
    found = forecast(ladder, target_of("100x", ladder))
    assert any("one seed only" in warning for warning in found.warnings)
    ladder = planted(sizes=(6_000, 12_000, 25_000))
    found = forecast(ladder, target_of("1000x", ladder))
    assert any("three rungs" in warning for warning in found.warnings)
    assert any("beyond what was tested" in warning for warning in found.warnings)
    assert all(math.isfinite(pair.probability) for pair in found.pairs)


def test_a_time_is_said_with_its_interval() -> None:
    from seqarena.core.results.forecasts import Span
    from seqarena.report.forecast.wording import time_range, time_words

    assert time_words(Span(value=208.9, low=77.0, high=566.7)) == (
        "about 3 min 29 s (1 min 17 s to 9 min 27 s)"
    )
    assert time_words(Span(value=60.0, low=None, high=None)) == "about 1 min 0 s"
    assert time_range(Span(value=208.9, low=77.0, high=566.7)) == "1.3 to 9.4 min"
    assert time_range(Span(value=2.0, low=0.51, high=9.0)) == "0.51 to 9 s"
