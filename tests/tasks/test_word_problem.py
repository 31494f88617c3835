"""Word problems of groups and copied strings: answers by a slow count, slices, mistakes."""

import itertools

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.tasks import build_task, parse_task
from seqarena.tasks.base import IGNORE
from seqarena.tasks.probes.length_probe import LengthProbeTask
from seqarena.tasks.probes.word_problem import multiplication_table

SETTINGS = {"train_length": 9, "test_lengths": (5, 9, 12), "evaluation_examples": 40}


def task_of(kind, **settings) -> LengthProbeTask:
    task = build_task(parse_task({"kind": kind, **SETTINGS, **settings}))
    assert isinstance(task, LengthProbeTask)
    return task


def batches_of(task):
    yield from (task.training_batch(index, 8, seed=1) for index in range(60))
    yield from task.evaluation_batches("test", 16)


def right(task):
    def predict(batch):
        logits_BTV = torch.zeros(*batch.inputs_BT.shape, task.num_outputs)
        return logits_BTV.scatter(-1, batch.targets_BT.clamp(min=0)[..., None], 1.0)

    return predict


@pytest.mark.parametrize(("group", "order"), [("s3", 6), ("a4", 12), ("s4", 24), ("a5", 60)])
def test_the_table_is_a_group(group, order):
    table = multiplication_table(group)
    assert table.shape == (order, order)
    full = set(range(order))
    assert all(set(row) == full for row in table.tolist())
    assert all(set(column) == full for column in table.T.tolist())
    a, b, c = np.random.default_rng(0).integers(order, size=(3, 500))
    assert np.array_equal(table[table[a, b], c], table[a, table[b, c]])
    assert not np.array_equal(table, table.T)


def test_products_by_permuting_points():
    task = task_of("word_problem", group="s4")
    elements = list(itertools.permutations(range(4)))
    lengths = set()
    for batch in batches_of(task):
        for inputs, targets in zip(batch.inputs_BT.tolist(), batch.targets_BT.tolist()):
            assert (inputs[0], targets[0]) == (24, IGNORE)
            places = list(range(4))  # where each point is
            for element, target in zip(inputs[1:], targets[1:], strict=True):
                places = [elements[element][place] for place in places]
                assert target == elements.index(tuple(places))
            lengths.add(len(inputs) - 1)
    assert lengths == set(range(1, 10)) | {12}


def test_copies_by_reading():
    task = task_of("string_copying", alphabet=4)
    for batch in batches_of(task):
        for inputs, targets in zip(batch.inputs_BT.tolist(), batch.targets_BT.tolist()):
            n = len(inputs) // 2
            string = inputs[:n]
            assert max(string) < 4
            assert inputs[n:] == [4, *string[:-1]]
            assert targets == [IGNORE] * n + string


@pytest.mark.parametrize("kind", ["word_problem", "string_copying"])
def test_scores(kind):
    task = task_of(kind)
    scores = task.evaluate(right(task), "test", 16)
    assert scores.value == 1.0
    assert scores.slices["length 12"] == scores.slices["longer than trained"] == 1.0
    wrong = task.evaluate(lambda batch: -right(task)(batch), "test", 16)
    assert wrong.value == 0.0
    chance = 1 / task.num_outputs
    found = wrong.slices["length 5, of the way from chance"]
    assert found == pytest.approx(-chance / (1 - chance))
    assert task.baseline()["accuracy"] == pytest.approx(chance)


def test_a_string_with_one_mistake_is_not_whole():
    task = task_of("string_copying")

    def predict(batch):
        logits_BTV = right(task)(batch)
        logits_BTV[0, -1] *= -1
        return logits_BTV

    slices = task.evaluate(predict, "test", 40).slices
    assert slices["length 12, whole"] == pytest.approx(39 / 40)
    assert slices["length 12"] == pytest.approx(1 - 1 / 480)


def test_mistakes():
    with pytest.raises(UserError, match="group"):
        task_of("word_problem", group="s9")
    with pytest.raises(UserError, match="different lengths"):
        task_of("string_copying", test_lengths=())
