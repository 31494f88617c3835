"""Recall: what cannot remember gets the reach it deserves, and the record says how it was found."""

import inspect
import math
from pathlib import Path

import pytest

from seqarena.core.errors import UserError
from seqarena.core.results.estimates import reach
from seqarena.core.results.measurement import Series, append_measurements, read_measurements
from seqarena.core.user_code import allow
from seqarena.measure.subject import subject
from seqarena.measure.trained.best_fit import Recipe, best_fit
from seqarena.measure.trained.fit import fit
from seqarena.measure.trained.recall import FULL, PROBES, QUICK, recall
from seqarena.tasks import build_task, parse_task
from seqarena.train.checkpoint import save

PLANTED = Path(__file__).with_name("planted_mixers.py")
allow(f"{PLANTED}:First")
ONE_OF_FOUR = {"num_symbols": 1, "alphabet": 4}


def copied(name: str, **arguments: object) -> Series:
    """A curve of a small model on one symbol out of four."""
    settings = {"task_settings": ONE_OF_FOUR, "width": 16, "steps": 120, **arguments}
    (found,) = recall(name, task="copying", learning_rates=(1e-2,), **settings)  # pyright: ignore
    return found


def test_what_keeps_the_current_token_alone_reaches_nowhere() -> None:
    found = copied(f"{PLANTED}:Nothing", distances=(0, 8), seeds=(0, 1), steps=30)
    assert found.architecture == "nothing"
    assert reach(found).high == 0
    for point in found.points:
        assert len(point.repeats) == 2
        assert sum(point.repeats) / 2 == pytest.approx(0.25, abs=0.1)  # it guesses


def test_what_keeps_the_first_token_reaches_as_far_as_is_asked() -> None:
    found = copied(f"first={PLANTED}:First", distances=(2, 40), depth=1)
    assert found.label == "first"
    assert reach(found).value == 40


def test_a_window_reaches_exactly_as_far_as_it_is_wide() -> None:
    # a slot stands num_symbols + 1 = 2 positions beyond the distance from its symbol, and a window
    # of 6 sees 5 back: distance 3 is the last that fits, and no training changes that
    found = copied("feed_forward", distances=(3, 4), depth=1, options={"window": 6})
    assert reach(found).value == 3
    assert found.points[1].repeats[0] < 0.5


def test_attention_reaches_far() -> None:
    found = copied("attention", distances=(2, 60), depth=1, steps=300)
    assert reach(found).value == 60
    assert max(steps for (steps,) in found.settings["steps_taken"]) < 300  # it stopped when it knew


def test_the_record_says_all_that_the_numbers_depend_on(tmp_path: Path) -> None:
    arguments = {"distances": (3, 1), "seeds": (0, 1), "steps": 10, "variant": "small"}
    found = copied("gru", depth=1, **arguments)
    assert (found.measurement, found.quantity, found.axis) == (
        "recall_copying",
        "accuracy",
        "distance",
    )
    assert [point.x for point in found.points] == [1, 3]
    assert found.variant == "small"
    assert found.baselines == {"memoryless guesser": (0.25, 0.25)}
    settings = found.settings
    expected = {"seeds": [0, 1], "steps": 10, "width": 16, "batch_size": 32, "left_out": {}}
    assert {name: settings[name] for name in expected} == expected
    assert settings["learning_rates"] == [1e-2]
    assert settings["steps_taken"] == [[10, 10], [10, 10]]
    assert settings["task_settings"] == {**ONE_OF_FOUR, "evaluation_examples": 256}
    assert settings["parameters"] > 1000
    append_measurements(tmp_path / "measurements.jsonl", [found])
    assert list(read_measurements(tmp_path / "measurements.jsonl")) == [found]
    assert copied("gru", depth=1, **arguments).points == found.points  # a function of these


def test_far_distances_are_left_out_where_near_ones_fail_and_the_record_says_so() -> None:
    found = copied(f"{PLANTED}:Nothing", distances=(1, 2, 5, 9), steps=10, give_up_after=2)
    assert [point.x for point in found.points] == [1, 2]
    assert found.settings["left_out"] == {
        "5": "2 nearer ones in a row were not learnt",
        "9": "2 nearer ones in a row were not learnt",
    }


def test_one_model_over_mixed_distances() -> None:
    found = copied("attention", distances=(1, 4, 16), train="mixed", depth=1, steps=300)
    assert found.settings["train"] == "mixed"
    assert len({tuple(steps) for steps in found.settings["steps_taken"]}) == 1
    assert found.points[0].repeats[0] > 0.9


def test_mqar_goes_by_pairs_and_adding_by_its_error() -> None:
    (found,) = recall("gru", task="mqar", distances=(2, 4), steps=5, width=16)
    assert found.axis == "pairs"
    assert found.baselines["memoryless guesser"] == (1 / 128, 1 / 128)
    assert found.settings["task_settings"]["random_non_queries"] is False
    error, solved = recall("gru", task="adding", distances=(6,), steps=5, width=16)
    assert (error.quantity, solved.quantity) == ("mean_squared_error", "solved")
    assert error.baselines["memoryless guesser"][0] == pytest.approx(1 / 6)
    assert error.points[0].repeats[0] > 0.01


@pytest.mark.parametrize("task", PROBES)
def test_every_task_is_asked_at_the_distances_given(task: str) -> None:
    curves = recall(
        "mingru", task=task, distances=(4, 6), steps=1, width=8, depth=1, evaluation_examples=8
    )
    for found in curves:
        assert [point.x for point in found.points] == [4, 6]
        assert all(math.isfinite(point.repeats[0]) for point in found.points)


def test_the_rate_that_validates_best_is_kept() -> None:
    task = build_task(parse_task({"kind": "copying", "max_distance": 2, **ONE_OF_FOUR}))
    recipe = Recipe(steps=60, learning_rates=(1e-7, 1e-2))
    assert best_fit(subject("gru", width=16, depth=1), task, recipe, seed=0).learning_rate == 1e-2
    turned = recipe._replace(learning_rates=(1e-2, 1e-7))
    assert best_fit(subject("gru", width=16, depth=1), task, turned, seed=0).learning_rate == 1e-2


def test_a_checkpoint_is_asked_as_it_stands(tmp_path: Path) -> None:
    fields = {"kind": "copying", "min_distance": 2, "max_distance": 2, **ONE_OF_FOUR}
    of = subject("feed_forward", width=16, depth=1, options={"window": 6})
    trained = fit(of, build_task(parse_task(fields)), steps=80, learning_rate=1e-2)
    save(tmp_path / "checkpoint", trained.trainer, {"task": fields, "architecture": of.row.name})
    where = str(tmp_path / "checkpoint")
    (found,) = recall("feed_forward", distances=(2, 20), checkpoint=where)
    assert found.variant == "trained"
    assert found.settings["weights"] == where
    assert reach(found).value == 2
    with pytest.raises(UserError, match="was trained on copying: it cannot be asked mqar"):
        recall("feed_forward", task="mqar", distances=(2,), checkpoint=where)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("gru", {"task": "copyin"}, "copying"),
        ("gru", {"distances": ()}, "at least one distance"),
        ("gru", {"seeds": ()}, "at least one seed"),
        ("gru", {"learning_rates": ()}, "at least one learning rate"),
        ("gru", {"train": "all"}, "mixed"),
        ("gru", {"task_settings": {"colour": 3}}, "colour"),
        ("grru", {}, "gru"),
        ("lenet5", {}, "lenet5 cannot be probed by copying"),
    ],
)
def test_mistakes_are_said_in_a_line(name: str, arguments: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        recall(name, **{"distances": (2,), "steps": 1, "width": 8, **arguments})  # pyright: ignore


def test_the_suggested_settings_are_arguments() -> None:
    assert set(FULL) == set(QUICK) <= set(PROBES)
    for arguments in (*QUICK.values(), *FULL.values()):
        inspect.signature(recall).bind("gru", **arguments)
