"""A small language task on the embedded text, and trainers of small models on it."""

from collections.abc import Callable

import pytest
import torch

from seqarena.models.build import build
from seqarena.tasks import LanguageConfig, build_task
from seqarena.tasks.base import Task
from seqarena.train.budget import Budget
from seqarena.train.config import OptimizerConfig, TrainConfig
from seqarena.train.loop import Trainer


@pytest.fixture(scope="session")
def task() -> Task:
    return build_task(LanguageConfig(sequence_length=16))


@pytest.fixture
def make_trainer(task: Task) -> Callable[..., Trainer]:
    def make(name: str = "gru", dropout: float = 0.0, **settings: object) -> Trainer:
        torch.manual_seed(0)
        model = build(name, vocab_size=task.vocab_size, width=16)
        for block in model.stack.blocks:
            block.dropout.p = dropout
        fields = {
            "budget": Budget(steps=8),
            "optimizer": OptimizerConfig(learning_rate=1e-2),
            "batch_size": 4,
        }
        return Trainer(model, task, TrainConfig(**fields | settings))

    return make
