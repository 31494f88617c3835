"""A short training in this process: what probes of memory and length are measured on."""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from seqarena.measure.subject import Subject
from seqarena.models.any import build_model
from seqarena.models.build import model_config
from seqarena.models.model import Model
from seqarena.tasks.base import Scores, Split, Task
from seqarena.train.budget import Budget
from seqarena.train.config import OptimizerConfig, TrainConfig
from seqarena.train.loop import Trainer

WARMUP = 0.05  # share of the steps


class Fitted(NamedTuple):
    """A trained model and what its training was."""

    trainer: Trainer
    losses: tuple[float, ...]  # nats, one a step
    gradient_norms: tuple[float, ...]  # before clipping, one a step
    seconds: float
    settings: dict[str, Any]

    @property
    def model(self) -> Model:
        return self.trainer.model

    @property
    def loss_tail(self) -> tuple[float, float]:
        """Mean loss of the fifth before the last of the steps, and of the last, in nats: whether
        training was still getting somewhere when it ended."""
        fifth = max(1, len(self.losses) // 5)
        last = self.losses[-fifth:]
        return statistics.fmean(self.losses[-2 * fifth : -fifth] or last), statistics.fmean(last)

    def scores(self, split: Split = "test", *, batch_size: int = 64) -> Scores:
        """The task's metric, with its slices."""
        return self.trainer.task.evaluate(self.trainer.predict, split, batch_size)


def begin(subject: Subject, task: Task, *, seed: int) -> Model:
    """The model as it begins: what `fit` trains from the same seed."""
    config = model_config(
        subject.row,
        task.problem,
        params=subject.params,
        width=None if subject.params else subject.width or 64,
        depth=subject.depth,
    )
    torch.manual_seed(seed)
    return build_model(config)


def fit(
    subject: Subject,
    task: Task,
    *,
    steps: int,
    batch_size: int = 32,
    learning_rate: float = 3e-3,
    weight_decay: float = 0.0,
    clip_norm: float = 1.0,
    seed: int = 0,
    device: str = "cpu",
    until: Callable[[Trainer], bool] = lambda _: False,
) -> Fitted:
    """Trains `subject` on `task` for so many steps: AdamW, warm-up and cosine. A function of its
    arguments. Divergence ends it early (train/loop.py), and so does `until`, asked after each step.
    """
    training = TrainConfig(
        budget=Budget(steps=steps),
        optimizer=OptimizerConfig(
            learning_rate=learning_rate,
            warmup_fraction=WARMUP,
            weight_decay=weight_decay,
            clip_norm=clip_norm,
        ),
        batch_size=batch_size,
        seed=seed,
        device=device,
    )
    model = begin(subject, task, seed=seed).to(device)
    trainer = Trainer(model, task, training)
    start = time.perf_counter()
    records = []
    for record in trainer.steps():
        records.append(record)
        if until(trainer):
            break
    return Fitted(
        trainer,
        tuple(record.loss_nats for record in records),
        tuple(record.gradient_norm for record in records),
        time.perf_counter() - start,
        {
            "parameters": model.num_parameters,
            "width": model.config.width,
            "steps": len(records),
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "weight_decay": weight_decay,
            "task": task.describe().get("settings", {"name": task.name}),
        },
    )
