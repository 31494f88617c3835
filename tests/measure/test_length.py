"""Scores beyond the trained length: of models whose answer is known, and of those that refuse."""

import inspect
from pathlib import Path

import pytest

from seqarena.core.errors import UserError
from seqarena.core.results.measurement import Series
from seqarena.core.user_code import allow
from seqarena.measure.subject import subject
from seqarena.measure.trained.fit import fit
from seqarena.measure.trained.length import FULL, PROBES, QUICK, length_generalisation
from seqarena.tasks import build_task, parse_task
from seqarena.train.checkpoint import save

PLANTED = Path(__file__).with_name("planted_mixers.py")
allow(f"{PLANTED}:First")
ONE_OF_FOUR = {"num_symbols": 1, "alphabet": 4}


def curve(name: str, **arguments: object) -> Series:
    settings = {"width": 16, "depth": 1, "learning_rates": (1e-2,), **arguments}
    settings.setdefault("evaluation_tokens", 2048)
    (found,) = length_generalisation(name, **settings)  # pyright: ignore
    return found


def test_what_keeps_the_first_token_answers_at_every_length() -> None:
    found = curve(
        f"{PLANTED}:First", task="copying", train_length=4, steps=200, task_settings=ONE_OF_FOUR
    )
    assert [point.x for point in found.points] == [4, 8, 16, 64]
    assert min(point.repeats[0] for point in found.points) > 0.95


def test_a_window_answers_what_it_sees_and_guesses_beyond() -> None:
    found = curve(
        "feed_forward", task="copying", train_length=4, factors=(1, 4), steps=200,
        options={"window": 8}, task_settings=ONE_OF_FOUR, seeds=(0, 1),
    )  # fmt: skip
    near, far = found.points
    assert (near.x, far.x) == (4, 16)
    assert min(near.repeats) > 0.9
    assert max(far.repeats) < 0.5
    assert found.settings["train_length"] == 4
    assert found.settings["seeds"] == [0, 1]


def test_chance_is_that_of_each_length() -> None:
    found = curve("gru", task="modular_arithmetic", train_length=3, factors=(1, 5), steps=2)
    chance = found.baselines["memoryless guesser"]
    assert chance[0] > chance[1] > 0.2  # a product is zero as soon as a factor is; it evens out
    assert found.measurement == "length_modular_arithmetic"


def test_text_is_read_at_longer_contexts_and_guessed_by_frequency() -> None:
    found = curve("gru", task="language", train_length=16, factors=(0.25, 1), steps=100)
    assert found.quantity == "bits_per_byte"
    frequencies = found.baselines["memoryless guesser"]
    assert all(3.5 < bits < 5.5 for bits in frequencies)  # of English bytes
    assert all(p.repeats[0] < bits for p, bits in zip(found.points, frequencies))
    assert found.points[1].repeats[0] < found.points[0].repeats[0]  # trained context helps


def test_a_table_of_positions_ends_and_the_record_says_where() -> None:
    found = curve("attention_learned", task="language", train_length=16, factors=(1, 2), steps=2)
    assert [point.x for point in found.points] == [16]
    assert "learned positions end at 16" in found.settings["left_out"]["32"]


@pytest.mark.parametrize("name", ["attention", "attention_alibi", "attention_sinusoidal"])
def test_positions_without_a_table_are_asked_anywhere(name: str) -> None:
    found = curve(name, task="language", train_length=16, factors=(1, 4), steps=2)
    assert len(found.points) == 2
    assert not found.settings["left_out"]


@pytest.mark.parametrize("task", PROBES)
def test_every_task_is_asked_at_every_length(task: str) -> None:
    found = curve("mingru", task=task, train_length=8, factors=(1, 2), steps=1, width=8)
    assert [point.x for point in found.points] == [8, 16]
    assert len(found.baselines["memoryless guesser"]) == 2


def test_a_checkpoint_is_asked_at_other_lengths(tmp_path: Path) -> None:
    fields = {"kind": "parity", "train_length": 6, "test_lengths": (6,)}
    trained = fit(subject("gru", width=8, depth=1), build_task(parse_task(fields)), steps=3)
    save(tmp_path / "checkpoint", trained.trainer, {"task": fields, "architecture": "gru"})
    found = curve("gru", checkpoint=str(tmp_path / "checkpoint"), train_length=6, factors=(1, 4))
    assert [point.x for point in found.points] == [6, 24]
    assert found.variant == "trained"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"task": "paritty"}, "parity"), ({"factors": ()}, "factors"), ({"factors": (0,)}, "factors")],
)
def test_mistakes_are_said_in_a_line(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        curve("gru", **arguments)


def test_the_suggested_settings_are_arguments() -> None:
    assert set(FULL) == set(QUICK) <= set(PROBES)
    for arguments in (*QUICK.values(), *FULL.values()):
        inspect.signature(length_generalisation).bind("gru", **arguments)
