"""Parity and modular arithmetic: answers by a slow count, chance by enumeration."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.tasks import build_task, parse_task
from seqarena.tasks.base import IGNORE
from seqarena.tasks.probes.state_tracking import value_probabilities

SETTINGS = {"train_length": 9, "test_lengths": (5, 9, 12, 20), "evaluation_examples": 40}
KINDS = ["parity", "modular_arithmetic"]


def task_of(kind, **settings):
    return build_task(parse_task({"kind": kind, **SETTINGS, **settings}))


def answer_of(kind, tokens):
    if kind == "parity":
        return tokens.count(1) % 2
    words = [str(token) if token < 5 else "+-*"[token - 5] for token in tokens]
    return eval("".join(words)) % 5  # Python binds products first, as the task does


def oracle(task):
    def predict(batch):
        logits_BTV = torch.zeros(*batch.inputs_BT.shape, task.num_outputs)
        return logits_BTV.scatter(-1, batch.targets_BT.clamp(min=0)[..., None], 1.0)

    return predict


@pytest.mark.parametrize("kind", KINDS)
def test_answers_by_a_slow_count(kind):
    task = task_of(kind)
    batches = [task.training_batch(index, 8, seed=1) for index in range(60)]
    lengths = {batch.inputs_BT.shape[1] - 1 for batch in batches}
    assert lengths == set(range(1, 10))
    for batch in [*batches, *task.evaluation_batches("test", 16)]:
        assert batch.inputs_BT.max() < task.vocab_size
        for inputs, targets in zip(batch.inputs_BT.tolist(), batch.targets_BT.tolist()):
            assert inputs[-1] == task.vocab_size - 1
            assert targets[:-1] == [IGNORE] * (len(inputs) - 1)
            assert targets[-1] == answer_of(kind, inputs[:-1])


def test_every_length_is_trained_on_about_equally_often():
    task = task_of("parity")
    counts = Counter(task.training_batch(i, 1, seed=0).inputs_BT.shape[1] for i in range(900))
    assert all(60 < counts[length + 1] < 140 for length in range(1, 10))


@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_pure_functions(kind):
    one, other = task_of(kind), task_of(kind)
    expected = [one.training_batch(index, 4, seed=3).inputs_BT for index in range(5)]
    for index in (4, 0, 2):
        assert torch.equal(other.training_batch(index, 4, seed=3).inputs_BT, expected[index])
    assert one.mean_length == (1 + 9) / 2 + 1


@pytest.mark.parametrize("kind", KINDS)
def test_slices_say_how_far_from_chance(kind):
    task = task_of(kind)
    right = task.evaluate(oracle(task), "test", 16)
    assert right.value == 1
    assert set(right.slices.values()) == {1.0}
    assert set(right.slices) == {
        f"{name}{end}"
        for name in ("length 5", "length 9", "length 12", "length 20", "longer than trained")
        for end in ("", ", of the way from chance")
    }
    wrong = task.evaluate(lambda batch: -oracle(task)(batch), "test", 16)
    for length in (5, 20):
        chance = task.chance(length)
        found = wrong.slices[f"length {length}, of the way from chance"]
        assert found == pytest.approx(-chance / (1 - chance))
    # right up to the length of training alone
    short = task.evaluate(
        lambda batch: oracle(task)(batch) * (1 if batch.inputs_BT.shape[1] <= 10 else -1),
        "test",
        16,
    )
    assert short.slices["length 9, of the way from chance"] == 1
    assert short.slices["longer than trained"] == 0


@pytest.mark.parametrize("num_digits", [1, 2, 3])
def test_chance_of_modular_arithmetic_by_enumeration(num_digits):
    counts = np.zeros(5)
    for operators in itertools.product("+-*", repeat=num_digits - 1):
        for digits in itertools.product("01234", repeat=num_digits):
            words = itertools.zip_longest(digits, operators, fillvalue="")
            counts[eval("".join(digit + operator for digit, operator in words)) % 5] += 1
    np.testing.assert_allclose(value_probabilities(num_digits, 5), counts / counts.sum())


@pytest.mark.parametrize("length", [5, 12])
def test_chance_is_what_is_drawn(length):
    task = task_of("modular_arithmetic", test_lengths=(length,), evaluation_examples=20_000)
    (batch,) = task.evaluation_batches("test", 20_000)
    drawn = np.bincount(batch.targets_BT[:, -1].numpy(), minlength=5) / 20_000
    expected = task.answer_probabilities(length)
    assert np.abs(drawn - expected).max() < 5 * math.sqrt(0.25 / 20_000)
    assert task.baseline()["accuracy"] == pytest.approx(expected.max())
    assert expected.argmax() == 0  # a zero anywhere makes a product zero
    assert expected[0] > 0.2


def test_description():
    parity = task_of("parity").describe()
    assert parity["baseline"] == {"accuracy": 0.5, "loss_nats": pytest.approx(math.log(2))}
    assert parity["evaluation_examples"] == 160


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"test_lengths": ()}, "different lengths of at least 2"),
        ({"test_lengths": (40, 40)}, "different lengths"),
        ({"train_length": 1}, "train_length = 1"),
        ({"modulo": 1, "kind": "modular_arithmetic"}, "modulo = 1"),
    ],
)
def test_mistakes(fields, message):
    with pytest.raises(UserError, match=message):
        parse_task({"kind": "parity", **fields})
