"""What is picked out of a view."""

import pytest
from report_views import ARENA, RATES, unranked_view, whole_view

from seqarena.report.run import reading


def test_ranked_architectures_come_first_by_place() -> None:
    assert reading.architectures(whole_view()) == [*ARENA, "neural_gpu"]


def test_chosen_trials_are_one_a_seed_at_the_ranking_rate() -> None:
    trials = reading.chosen_trials(whole_view(), "gru")
    assert sorted(trial.seed for trial in trials) == [0, 1, 2, 3]
    assert {trial.learning_rate for trial in trials} == {ARENA["gru"][-1]}
    assert all(trial.role != "repeat" for trial in trials)


def test_before_ranking_the_rate_is_the_best_on_validation() -> None:
    view = whole_view().model_copy(update={"ranking": None})
    best = min(
        (t for t in view.trials if t.architecture == "lstm"), key=lambda t: t.validation_value
    )
    assert reading.chosen_rate(view, "lstm") == best.learning_rate
    flipped = view.model_copy(update={"lower_is_better": False})
    assert reading.chosen_rate(flipped, "lstm") != best.learning_rate
    assert reading.chosen_rate(unranked_view(), "lstm") is None


def test_diverged_trials_enter_no_mean() -> None:
    view = whole_view()
    trials = tuple(
        t.model_copy(update={"status": "diverged", "validation_curve": ((10, 99.0),)})
        if (t.architecture, t.role, t.seed) == ("gru", "seed", 2)
        else t
        for t in view.trials
    )
    chosen = reading.chosen_trials(view.model_copy(update={"trials": trials}), "gru")
    assert sorted(trial.seed for trial in chosen) == [0, 1, 3]


def test_mean_curve_by_hand() -> None:
    curve = reading.mean_curve([[(10, 4.0), (20, 2.0)], [(20, 4.0), (10, 8.0)]])
    assert curve is not None
    assert curve.tokens == (10, 20)
    assert curve.mean == (6.0, 3.0)
    assert curve.low == (4.0, 2.0)
    assert curve.high == (8.0, 4.0)


def test_mean_curve_interpolates_and_stays_where_all_curves_are() -> None:
    curve = reading.mean_curve([[(0, 0.0), (100, 10.0)], [(50, 5.0), (200, 20.0)]])
    assert curve is not None
    assert curve.tokens == (50, 100)
    assert curve.mean == pytest.approx((5.0, 10.0))


def test_a_dense_curve_is_averaged_not_sampled() -> None:
    spikes = [(i, 1.0 if i % 2 else 3.0) for i in range(1000)]
    curve = reading.mean_curve([spikes], points=100)
    assert curve is not None
    assert len(curve.tokens) == 100
    assert curve.mean == pytest.approx([2.0] * 100)
    assert reading.mean_curve([[], []]) is None


def test_slices_are_grouped_and_in_natural_order() -> None:
    view = whole_view()
    trials = tuple(
        t.model_copy(update={"test_slices": {**t.test_slices, "nats_per_token": 1.4}})
        if t.test_slices
        else t
        for t in view.trials
    )
    groups = reading.slice_groups(view.model_copy(update={"trials": trials}))
    assert [group.name for group in groups] == ["position", "nats_per_token"]
    position = groups[0]
    assert [name.split()[1] for name in position.slices] == ["0-7", "8-31", "32-127", "128-255"]
    values = position.values["gru"]
    assert values[0] is not None
    assert values[2] is not None
    assert values[0] - values[2] == pytest.approx(1.4)
    assert "neural_gpu" not in position.values


def test_the_search_covers_every_rate() -> None:
    rates = {t.learning_rate for t in whole_view().trials if t.role == "search"}
    assert rates == set(RATES)
