"""The adding problem: sums by a slow scan, the memoryless error, a loss that is no entropy."""

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.measure.subject import subject
from seqarena.measure.trained.fit import fit
from seqarena.tasks import build_task, parse_task


def task_of(**settings):
    fields = {"lengths": (6, 11), "evaluation_examples": 50}
    return build_task(parse_task({"kind": "adding", **fields, **settings}))


def sums_of(batch):
    return (batch.inputs_BT[..., 0] * batch.inputs_BT[..., 1]).sum(1)


def predicting(answers_of):
    return lambda batch: answers_of(batch)[:, None, None]


def test_sums_by_a_slow_scan():
    task = task_of()
    batches = [task.training_batch(index, 16, seed=0) for index in range(6)]
    for batch in [*batches, *task.evaluation_batches("test", 7)]:
        assert batch.inputs_BT.dtype == batch.targets_BT.dtype == torch.float32
        assert batch.targets_BT.shape == (len(batch.inputs_BT), 1)
        half = batch.inputs_BT.shape[1] // 2
        for row, (target,) in zip(batch.inputs_BT.tolist(), batch.targets_BT.tolist()):
            marked = [t for t, (_, marker) in enumerate(row) if marker == 1]
            assert len(marked) == 2
            assert marked[0] < half <= marked[1]
            assert all(marker in (0, 1) and 0 <= value < 1 for value, marker in row)
            assert target == pytest.approx(sum(row[t][0] for t in marked), rel=1e-6)
    assert [batch.inputs_BT.shape[1] for batch in batches[:3]] == [6, 11, 6]


def test_always_answering_one_has_the_baseline():
    task = task_of(evaluation_examples=20_000)
    ones = task.evaluate(predicting(lambda b: torch.ones(len(b.inputs_BT))), "test", 1_000)
    baseline = task.baseline()
    assert ones.value == pytest.approx(baseline["mean_squared_error"], rel=0.03)
    assert ones.slices["solved"] == pytest.approx(baseline["solved"], rel=0.1)
    # no other constant is better
    for other in (0.9, 1.1):
        answers = predicting(lambda b, c=other: torch.full((len(b.inputs_BT),), c))
        assert task.evaluate(answers, "test", 1_000).value > ones.value


def test_right_near_and_broken_answers():
    task = task_of()
    right = task.evaluate(predicting(sums_of), "test", 16)
    assert right.value == pytest.approx(0, abs=1e-12)
    assert right.slices["solved"] == right.slices["length 6, solved"] == 1
    assert right.num_scored == 100
    near = task.evaluate(
        predicting(lambda b: sums_of(b) + (0.03 if b.inputs_BT.shape[1] == 6 else 0.05)), "test", 16
    )
    assert near.slices["length 6, solved"] == 1
    assert near.slices["length 11, solved"] == 0
    assert near.slices["length 11"] == pytest.approx(0.05**2, rel=1e-4)
    assert near.value == pytest.approx((0.03**2 + 0.05**2) / 2, rel=1e-4)
    broken = task.evaluate(predicting(lambda b: sums_of(b) * np.nan), "test", 16)
    assert broken.slices["solved"] == 0


def test_loss_is_the_squared_error():
    task = task_of()
    batch = task.training_batch(0, 4, seed=0)
    answers = torch.zeros(4, 1, 1)
    assert float(task.loss(answers, batch)) == pytest.approx(
        float((batch.targets_BT**2).mean()), rel=1e-6
    )
    with pytest.raises(UserError, match="label smoothing"):
        task.loss(answers, batch, label_smoothing=0.1)


def test_a_network_trains_on_it():
    task = task_of(lengths=(4,), evaluation_examples=200)
    fitted = fit(subject("lstm", width=16, depth=1), task, steps=150, learning_rate=1e-2)
    assert fitted.scores().value < 0.5 / 6


@pytest.mark.parametrize("fields", [{"lengths": ()}, {"lengths": (1,)}, {"tolerance": 0}])
def test_mistakes(fields):
    with pytest.raises(UserError):
        task_of(**fields)
