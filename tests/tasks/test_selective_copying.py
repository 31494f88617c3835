"""Selective copying: every answer read off by a slow scan, places and symbols uniform."""

import math

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.tasks import build_task, parse_task
from seqarena.tasks.base import IGNORE
from seqarena.tasks.probes.selective_copying import BLANK, FIRST_SYMBOL, MARKER


def task_of(**settings):
    fields = {"num_symbols": 3, "alphabet": 4, "distances": (5, 9), "evaluation_examples": 30}
    return build_task(parse_task({"kind": "selective_copying", **fields, **settings}))


def test_answers_by_a_slow_scan():
    task = task_of()
    batches = [task.training_batch(index, 16, seed=0) for index in range(6)]
    batches += [*task.evaluation_batches("validation", 7), *task.evaluation_batches("test", 7)]
    seen = set()
    for batch in batches:
        for inputs, targets in zip(batch.inputs_BT.tolist(), batch.targets_BT.tolist()):
            stretch, markers = inputs[:-3], inputs[-3:]
            assert markers == [MARKER] * 3
            symbols = [token for token in stretch if token != BLANK]
            assert all(FIRST_SYMBOL <= symbol < task.vocab_size for symbol in symbols)
            assert targets == [IGNORE] * len(stretch) + symbols
            seen.add(len(stretch))
    assert seen == {5, 9}
    assert [batch.inputs_BT.shape[1] for batch in batches[:4]] == [8, 12, 8, 12]  # in turn
    assert task.mean_length == (8 + 12) / 2


def test_places_and_symbols_are_uniform():
    batch = task_of(distances=(9,)).training_batch(0, 6_000, seed=0)
    places = (batch.inputs_BT[:, :9] != BLANK).double().mean(0)
    np.testing.assert_allclose(places, 3 / 9, atol=5 * math.sqrt(0.25 / 6_000))
    answers = batch.targets_BT[:, 9:].flatten() - FIRST_SYMBOL
    shares = np.bincount(answers.numpy(), minlength=4) / len(answers)
    np.testing.assert_allclose(shares, 1 / 4, atol=5 * math.sqrt(0.25 / len(answers)))


def test_scores_and_baseline():
    task = task_of()

    def predict(batch):  # right at the shorter distance alone
        sign = 1.0 if batch.inputs_BT.shape[1] == 8 else -1.0
        logits_BTV = torch.zeros(*batch.inputs_BT.shape, task.vocab_size)
        return logits_BTV.scatter(-1, batch.targets_BT.clamp(min=0)[..., None], sign)

    assert task.evaluate(predict, "test", 8).slices == {"distance 5": 1, "distance 9": 0}
    assert task.baseline() == {"accuracy": 1 / 4, "loss_nats": math.log(4)}


@pytest.mark.parametrize("distances", [(), (5, 5), (2,)])
def test_mistakes(distances):
    with pytest.raises(UserError, match=r"selective_copying: distances .* of at least 3"):
        task_of(distances=distances)
