"""The loop: it learns, it resumes exactly, accumulation changes nothing, the clock is a budget."""

import math
from collections.abc import Callable
from itertools import count, islice
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.models.build import build
from seqarena.tasks import LanguageConfig, build_task
from seqarena.tasks.base import Task
from seqarena.train import checkpoint
from seqarena.train.budget import Budget
from seqarena.train.config import OptimizerConfig, TrainConfig
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


def test_seconds_are_a_budget(make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that says a second has passed each time it is read."""
    readings = map(float, count())
    clock = SimpleNamespace(perf_counter=lambda: next(readings))
    monkeypatch.setattr("seqarena.train.loop.time", clock)
    records = list(make_trainer(budget=Budget(seconds=10.0)).steps())
    assert [record.training_seconds for record in records] == [1.0 * k for k in range(1, 11)]
    assert records[-1].learning_rate < records[len(records) // 4].learning_rate


def test_a_loss_that_is_not_finite_ends_the_run(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    with torch.no_grad():
        trainer.model.head.weight.fill_(float("nan"))
    before = [p.clone() for p in trainer.model.stack.parameters()]
    assert [record.skipped for record in trainer.steps()] == [True] * 3
    assert trainer.diverged
    for old, now in zip(before, trainer.model.stack.parameters(), strict=True):
        assert torch.equal(old, now)


def test_predictions_score(make_trainer: MakeTrainer, task: Task) -> None:
    scores = task.evaluate(make_trainer().predict, "validation", 8, 2)
    assert scores.value == pytest.approx(8.0, abs=0.2)  # bits per byte of an untrained model


class Carrying:
    """The embedded text in lanes that are read on from window to window."""

    task = build_task(LanguageConfig(sequence_length=16, carry_state=True))


def carrying_trainer(name: str = "lstm", steps: int = 6) -> Trainer:
    torch.manual_seed(0)
    model = build(name, vocab_size=Carrying.task.vocab_size, width=16)
    config = TrainConfig(budget=Budget(steps=steps), batch_size=4)
    return Trainer(model, Carrying.task, config)


def test_windows_go_on_where_the_last_ones_stopped() -> None:
    task = Carrying.task
    first, second = (task.training_batch(k, 4, seed=0) for k in (0, 1))
    assert torch.equal(first.targets_BT[:, -1], second.inputs_BT[:, 0])
    last = task.steps_per_epoch(4)
    assert not task.continues(0, 4)
    assert task.continues(last - 1, 4)
    assert not task.continues(last, 4)
    assert torch.equal(task.training_batch(last, 4, seed=0).inputs_BT, first.inputs_BT)


def test_a_carried_state_is_that_of_the_whole_text_so_far() -> None:
    trainer = carrying_trainer()
    trainer.optimizer.step = lambda: None  # so that the model stays what it was
    losses = [record.loss_nats for record in islice(trainer.steps(), 3)]
    batches = [trainer.task.training_batch(k, 4, seed=0) for k in range(3)]
    inputs_BT = torch.cat([batch.inputs_BT for batch in batches], 1)
    logits_BTV, _ = trainer.model(inputs_BT)
    expected = [
        trainer.task.loss(part, batch).item()
        for part, batch in zip(logits_BTV.split(16, 1), batches)
    ]
    assert losses == pytest.approx(expected, abs=1e-5)
    alone = [trainer.task.loss(trainer.model.answer(batch), batch).item() for batch in batches]
    assert losses[0] == pytest.approx(alone[0], abs=1e-5)
    assert losses[2] != pytest.approx(alone[2], abs=1e-5)


def test_resuming_with_a_carried_state_is_exact(tmp_path: Path) -> None:
    expected = [record.loss_nats for record in carrying_trainer().steps()]
    first = carrying_trainer()
    losses = [record.loss_nats for record in islice(first.steps(), 3)]
    checkpoint.save(tmp_path / "checkpoint", first, {})
    second = carrying_trainer()
    assert checkpoint.resume(second, tmp_path / "checkpoint")
    losses += [record.loss_nats for record in second.steps()]
    assert losses == expected


def test_a_state_that_grows_is_not_carried() -> None:
    with pytest.raises(UserError, match="grows with every token"):
        next(carrying_trainer("attention").steps())


def test_gradient_noise_is_drawn_from_the_step() -> None:
    """Two trainings draw the same noise, and noise changes what is learnt."""

    def weights(noise: float) -> torch.Tensor:
        torch.manual_seed(0)
        model = build("mingru", vocab_size=Carrying.task.vocab_size, width=16)
        optimizer = OptimizerConfig(gradient_noise=noise)
        config = TrainConfig(budget=Budget(steps=2), optimizer=optimizer, batch_size=2)
        list(Trainer(model, Carrying.task, config).steps())
        return dict(model.named_parameters())["embedding.tokens.weight"].detach()

    assert torch.equal(weights(0.01), weights(0.01))
    assert not torch.equal(weights(0.01), weights(0.0))


def test_training_flushes_denormals(make_trainer: MakeTrainer) -> None:
    torch.set_flush_denormal(False)
    small = torch.tensor(1e-38)  # one number: no other thread takes part
    assert small / 10
    make_trainer()
    assert not small / 10
