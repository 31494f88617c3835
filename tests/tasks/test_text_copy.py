"""The copying exercise of texts: its layout position by position."""

import math

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.tasks import build_task, parse_task
from seqarena.tasks.base import IGNORE


def task_of(**settings):
    return build_task(parse_task({"kind": "text_copy", "evaluation_examples": 30, **settings}))


@pytest.mark.parametrize("seq_len", [11, 20, 50])
def test_layout(seq_len):
    task = task_of(seq_lens=(seq_len,))
    for batch in [task.training_batch(0, 16, seed=0), *task.evaluation_batches("test", 16)]:
        for inputs, targets in zip(batch.inputs_BT.tolist(), batch.targets_BT.tolist()):
            assert len(inputs) == seq_len
            assert inputs[-5:] == [0] * 5
            assert inputs[-6] == 10 == task.vocab_size - 1
            assert all(1 <= symbol <= 9 for symbol in inputs[:-6])
            assert targets == [IGNORE] * (seq_len - 5) + inputs[:5]


def test_noise_and_symbols_come_from_one_alphabet():
    batch = task_of(seq_lens=(20,)).training_batch(0, 4_000, seed=0)
    for place in (0, 4, 5, 13):
        shares = np.bincount(batch.inputs_BT[:, place], minlength=10)[1:] / 4_000
        np.testing.assert_allclose(shares, 1 / 9, atol=5 * math.sqrt(0.1 / 4_000))


def test_slices_and_baseline():
    task = task_of(seq_lens=(20, 50))

    def predict(batch):  # the symbol of the first position everywhere
        first_BT = batch.inputs_BT[:, :1].expand_as(batch.inputs_BT)
        return torch.nn.functional.one_hot(first_BT, task.problem.num_outputs).float()

    scores = task.evaluate(predict, "test", 16)
    assert set(scores.slices) == {"distance 9", "distance 39"}
    # right in the first slot, by chance in the other four
    assert 0.2 <= scores.value < 0.2 + 0.8 / 9 + 5 * math.sqrt(0.1 / 240)
    assert task.baseline() == {"accuracy": 1 / 9, "loss_nats": math.log(9)}
    assert [task.training_batch(i, 2, seed=0).inputs_BT.shape[1] for i in range(3)] == [20, 50, 20]


def test_mistakes():
    with pytest.raises(UserError, match=r"seq_lens \(10,\): .* at least 11"):
        task_of(seq_lens=(10,))
