"""The loop: it learns, it resumes exactly, accumulation changes nothing, the clock is a budget."""

import math
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
import torch

from seqarena.tasks.base import Task
from seqarena.train import checkpoint
from seqarena.train.budget import Budget
from seqarena.train.loop import Trainer

MakeTrainer = Callable[..., Trainer]


def test_it_learns(make_trainer: MakeTrainer) -> None:
    losses = [record.loss_nats for record in make_trainer(budget=Budget(steps=60)).steps()]
    assert losses[0] == pytest.approx(math.log(256), abs=0.1)
    assert losses[-1] < losses[0] - 1.0


@pytest.mark.parametrize("name", ["gru", "attention", "mamba"])
def test_resuming_is_exact(name: str, make_trainer: MakeTrainer, tmp_path: Path) -> None:
    whole = make_trainer(name, dropout=0.2)
    expected = [record.loss_nats for record in whole.steps()]
    first = make_trainer(name, dropout=0.2)
    losses = [record.loss_nats for record in islice(first.steps(), 3)]
    checkpoint.save(tmp_path / "checkpoint", first, {})
    second = make_trainer(name, dropout=0.2)
    assert checkpoint.resume(second, tmp_path / "checkpoint")
    assert second.progress.step == 3
    losses += [record.loss_nats for record in second.steps()]
    assert losses == expected
    for a, b in zip(whole.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_accumulation_changes_only_rounding(make_trainer: MakeTrainer) -> None:
    whole = [record.loss_nats for record in make_trainer().steps()]
    pieces = [record.loss_nats for record in make_trainer(accumulation=3).steps()]
    assert pieces == pytest.approx(whole, abs=1e-4)


def test_another_seed_is_another_run(make_trainer: MakeTrainer) -> None:
    assert next(make_trainer(seed=1).steps()).loss_nats != next(make_trainer().steps()).loss_nats


def test_seconds_are_a_budget(make_trainer: MakeTrainer) -> None:
    records = list(make_trainer(budget=Budget(seconds=0.3)).steps())
    assert records[-1].training_seconds >= 0.3
    assert records[-2].training_seconds < 0.3
    assert records[-1].learning_rate < records[len(records) // 4].learning_rate


def test_a_loss_that_is_not_finite_ends_the_run(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    with torch.no_grad():
        trainer.model.head.weight.fill_(float("nan"))
    assert len(list(trainer.steps())) == 1


def test_predictions_score(make_trainer: MakeTrainer, task: Task) -> None:
    scores = task.evaluate(make_trainer().predict, "validation", 8, 2)
    assert scores.value == pytest.approx(8.0, abs=0.2)  # bits per byte of an untrained model
