"""Reversing, sorting and the stack: answers by a slow count, chance by enumeration, slices."""

import itertools
import math

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.tasks import build_task, parse_task
from seqarena.tasks.base import IGNORE
from seqarena.tasks.probes.length_probe import LengthProbeTask

SETTINGS = {"train_length": 9, "test_lengths": (5, 9, 12), "evaluation_examples": 40}
KINDS = ["reverse_string", "bucket_sort", "stack_manipulation"]


def task_of(kind, **settings) -> LengthProbeTask:
    task = build_task(parse_task({"kind": kind, **SETTINGS, **settings}))
    assert isinstance(task, LengthProbeTask)
    return task


def answers_of(kind, string):
    if kind == "reverse_string":
        return string[::-1]
    if kind == "bucket_sort":
        return sorted(string)
    stack = []
    for token in string:
        if token == 2:
            stack = stack[:-1]
        else:
            stack.append(token if token < 2 else token - 3)
    return [*stack[::-1], 2]


def right(task):
    def predict(batch):
        logits_BTV = torch.zeros(*batch.inputs_BT.shape, task.num_outputs)
        return logits_BTV.scatter(-1, batch.targets_BT.clamp(min=0)[..., None], 1.0)

    return predict


@pytest.mark.parametrize("kind", KINDS)
def test_answers_by_a_slow_count(kind):
    task, seen = task_of(kind), set()
    batches = [task.training_batch(index, 8, seed=1) for index in range(60)]
    for batch in [*batches, *task.evaluation_batches("test", 16)]:
        n = task.length_of(batch)
        seen.add(n)
        for inputs, targets in zip(batch.inputs_BT.tolist(), batch.targets_BT.tolist()):
            string, question = inputs[:n], inputs[n:]
            assert set(question) == {task.vocab_size - 1}
            assert task.vocab_size - 1 not in string
            answers = answers_of(kind, string)
            assert targets[:n] == [IGNORE] * n
            assert targets[n : n + len(answers)] == answers
            assert set(targets[n + len(answers) :]) <= {IGNORE}
    assert seen == {*range(1, 10), 12}


def test_a_stack_comes_before_its_instructions():
    batch = task_of("stack_manipulation").training_batch(3, 200, seed=0)
    n = task_of("stack_manipulation").length_of(batch)
    for string in batch.inputs_BT[:, :n].tolist():
        given = next((t for t, token in enumerate(string) if token >= 2), n)
        assert given >= 1
        assert min(string[given:], default=2) >= 2
        assert n == 1 or given < n


def every_string(kind, length):
    """Each string and its probability."""
    if kind != "stack_manipulation":
        symbols = 2 if kind == "reverse_string" else 3
        for string in itertools.product(range(symbols), repeat=length):
            yield list(string), symbols**-length
        return
    for given in range(1, max(2, length)):
        parts = [(0, 1)] * given + [(2, 3, 4)] * (length - given)
        share = 2.0**-given * 3.0 ** (given - length) / max(1, length - 1)
        for string in itertools.product(*parts):
            yield list(string), share


@pytest.mark.parametrize("length", [1, 2, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_chance_by_enumeration(kind, length):
    settings = {"alphabet": 3} if kind == "bucket_sort" else {}
    task = task_of(kind, **settings)
    found = np.zeros_like(task.answer_probabilities(length))
    for string, share in every_string(kind, length):
        for place, answer in enumerate(answers_of(kind, string)):
            found[place, answer] += share
    np.testing.assert_allclose(task.answer_probabilities(length), found, atol=1e-12)
    assert task.chance(length) == pytest.approx(found.max(1).sum() / found.sum())


@pytest.mark.parametrize("kind", KINDS)
def test_slices_say_how_far_from_chance(kind):
    task = task_of(kind)
    found = task.evaluate(right(task), "test", 16)
    assert found.value == 1
    assert list(found.slices.values()) == pytest.approx([1.0] * len(found.slices))
    assert "length 12, of the way from chance" in found.slices
    assert "longer than trained" in found.slices


def test_the_guesser_is_what_the_best_place_by_place_gets():
    task = task_of("bucket_sort", test_lengths=(12,), evaluation_examples=4000)
    table_MO = task.answer_probabilities(12)
    (batch,) = task.evaluation_batches("test", 4000)
    targets_BM = batch.targets_BT[:, 12:].numpy()
    accuracy = (targets_BM == table_MO.argmax(1)).mean()
    assert task.baseline()["accuracy"] == pytest.approx(accuracy, abs=0.01)
    nats = -np.log(table_MO[np.arange(12), targets_BM]).mean()
    assert task.baseline()["loss_nats"] == pytest.approx(nats, abs=0.02)


def test_description_and_sizes():
    reverse = task_of("reverse_string")
    assert reverse.describe()["baseline"] == {
        "accuracy": 0.5,
        "loss_nats": pytest.approx(math.log(2)),
    }
    assert (reverse.sequence_length, reverse.problem.max_length, reverse.mean_length) == (
        18,
        24,
        10,
    )
    assert task_of("stack_manipulation").problem.max_length == 25


def test_mistakes():
    with pytest.raises(UserError, match="alphabet = 1"):
        parse_task({"kind": "bucket_sort", "alphabet": 1})
