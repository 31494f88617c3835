"""On real text, found through SEQARENA_DATA: the split that published recipes use."""

import math
from pathlib import Path

import pytest
import torch

from seqarena.models.build import build
from seqarena.tasks import LanguageConfig, build_task
from seqarena.tasks.text.language import LanguageTask
from seqarena.train.budget import Budget
from seqarena.train.config import OptimizerConfig, TrainConfig
from seqarena.train.loop import Trainer


@pytest.fixture(scope="module")
def shakespeare(real_data: Path) -> LanguageTask:
    task = build_task(
        LanguageConfig(
            data=str(real_data / "tinyshakespeare" / "input.txt"),
            tokenizer="char",
            validation_fraction=0.1,
            test_fraction="validation",
        )
    )
    assert isinstance(task, LanguageTask)
    return task


def test_the_usual_split_of_shakespeare(shakespeare: LanguageTask) -> None:
    facts = shakespeare.describe()
    assert facts["vocab_size"] == 65
    assert facts["splits"]["train"]["tokens"] == 1_003_854
    assert facts["splits"]["validation"]["tokens"] == 111_540


def test_a_gru_learns_shakespeare(shakespeare: LanguageTask) -> None:
    """Better than the frequencies of single characters, whose entropy on this text is 4.78 bits."""
    torch.manual_seed(0)
    model = build("gru", vocab_size=65, params=40_000)
    settings = TrainConfig(budget=Budget(steps=120), optimizer=OptimizerConfig(learning_rate=2e-2))
    trainer = Trainer(model, shakespeare, settings)
    first, *_, last = (record.loss_nats for record in trainer.steps())
    assert first == pytest.approx(math.log(65), abs=0.1)
    scores = shakespeare.evaluate(trainer.predict, "validation", 128, 2)
    assert scores.value < 4.2
    assert last < first
