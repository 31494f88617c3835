"""Checkpoints of untrained models, for tests of what is done with a checkpoint."""

from pathlib import Path

from seqarena.models.any import build_model
from seqarena.models.build import model_config
from seqarena.models.catalog import architecture
from seqarena.tasks import build_task, parse_task
from seqarena.train import checkpoint
from seqarena.train.budget import Budget
from seqarena.train.loop import TrainConfig, Trainer


def stored(place: Path, name: str, task: dict[str, object]) -> Path:
    """A checkpoint of the untrained architecture."""
    config = parse_task(task)
    built = build_task(config)
    model = model_config(architecture(name), built.problem, params=None, width=16, depth=1)
    trainer = Trainer(build_model(model), built, TrainConfig(budget=Budget(steps=1)))
    about = {
        "task": config.model_dump(mode="json"),
        "task_digest": built.digest(),
        "artifacts": built.artifacts(),
        "architecture": name,
    }
    checkpoint.save(place, trainer, about)
    return place
