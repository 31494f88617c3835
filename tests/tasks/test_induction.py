"""Induction: the follower by a slow scan, places and answers uniform."""

import math

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.tasks import build_task, parse_task
from seqarena.tasks.base import IGNORE

SPECIAL = 5


def task_of(**settings):
    fields = {"alphabet": 5, "train_length": 6, "test_lengths": (6, 15), "evaluation_examples": 40}
    return build_task(parse_task({"kind": "induction", **fields, **settings}))


def test_answers_by_a_slow_scan():
    task = task_of()
    batches = [task.training_batch(index, 8, seed=0) for index in range(40)]
    assert {batch.inputs_BT.shape[1] - 1 for batch in batches} == {2, 3, 4, 5, 6}
    tested = [*task.evaluation_batches("test", 16)]
    assert {batch.inputs_BT.shape[1] - 1 for batch in tested} == {6, 15}
    for batch in [*batches, *tested]:
        for inputs, targets in zip(batch.inputs_BT.tolist(), batch.targets_BT.tolist()):
            assert inputs[-1] == SPECIAL
            assert inputs[:-1].count(SPECIAL) == 1
            place = inputs.index(SPECIAL)
            assert place < len(inputs) - 2  # an answer follows it
            assert targets == [IGNORE] * (len(inputs) - 1) + [inputs[place + 1]]
            assert max(inputs) == task.vocab_size - 1 == SPECIAL


def test_places_and_answers_are_uniform():
    task = task_of(test_lengths=(6,), evaluation_examples=6_000)
    (batch,) = task.evaluation_batches("test", 6_000)
    tolerance = 5 * math.sqrt(0.25 / 6_000)
    places = (batch.inputs_BT[:, :5] == SPECIAL).double().mean(0)
    np.testing.assert_allclose(places, 1 / 5, atol=tolerance)
    answers = np.bincount(batch.targets_BT[:, -1], minlength=5) / 6_000
    np.testing.assert_allclose(answers, task.answer_probabilities(6), atol=tolerance)
    assert task.baseline() == {"accuracy": 1 / 5, "loss_nats": pytest.approx(math.log(5))}


def test_a_scan_solves_it_and_slices_say_so():
    task = task_of()

    def predict(batch):
        logits_BTV = torch.zeros(*batch.inputs_BT.shape, task.num_outputs)
        for row, inputs in enumerate(batch.inputs_BT.tolist()):
            logits_BTV[row, -1, inputs[inputs.index(SPECIAL) + 1]] = 1
        return logits_BTV

    scores = task.evaluate(predict, "test", 16)
    assert scores.value == 1
    assert scores.slices["length 15, of the way from chance"] == 1


def test_mistakes():
    with pytest.raises(UserError, match="test_lengths"):
        task_of(test_lengths=(1,))
