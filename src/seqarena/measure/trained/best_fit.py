"""The best of some short trainings, as probes of memory and of length need it.

Every seed is a repeat of its own: it tries each learning rate and keeps the model that validates
best, so that the test split is seen by none before it is scored. A training ends as soon as the
model answers all of a sample of validation, and a rate that got there ends the search.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.measure.subject import Subject
from seqarena.measure.trained.fit import fit
from seqarena.models.catalog import why_not
from seqarena.models.model import Model
from seqarena.tasks.base import Scores, Split, Task
from seqarena.tasks.probes.probe import ProbeTask
from seqarena.train.loop import Trainer, to_device

SOLVED = 0.999  # share of right answers on a sample of validation that ends a training
_BATCH = 64  # examples of an evaluation batch
_SAMPLE = 2  # evaluation batches of that sample
_VALIDATION_TOKENS = 1 << 15  # that choose a learning rate
_LOOKS = 30  # times that a training is looked at


class Recipe(NamedTuple):
    """How each model is trained."""

    steps: int  # at most
    batch_size: int = 32
    learning_rates: tuple[float, ...] = (3e-3,)
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    device: str = "cpu"

    def settings(self) -> dict[str, Any]:
        """What the record says of it."""
        return {
            "steps": self.steps,
            "batch_size": self.batch_size,
            "learning_rates": list(self.learning_rates),
            "chosen_by": "validation, each seed by itself",
            "weight_decay": self.weight_decay,
            "clip_norm": self.clip_norm,
            "optimizer": "AdamW, warm-up and cosine",
            "ends_early": f"at {SOLVED:g} of a validation sample right",
        }


class Kept(NamedTuple):
    """A trained model, and how it came to be where it was trained here."""

    model: Model
    learning_rate: float = 0.0
    steps: int = 0
    loss_tail: tuple[float, ...] = ()  # how training ended (Fitted.loss_tail), none of a checkpoint
    seconds: float = 0.0  # of all rates together
    device: str = "cpu"

    def scores(self, task: Task, split: Split = "test", max_tokens: int | None = None) -> Scores:
        """The task's metric over a split; `max_tokens` bounds what is read, spread evenly."""
        self.model.eval()

        def predict(batch: Batch) -> Tensor:
            with torch.inference_mode():
                return self.model.answer(to_device(batch, self.device)).cpu()

        if max_tokens is None:
            return task.evaluate(predict, split, _BATCH)
        size = max(1, min(_BATCH, max_tokens // task.sequence_length))
        batches = max(1, max_tokens // (size * task.sequence_length))
        return task.evaluate(predict, split, size, batches)


def best_fit(of: Subject, task: Task, recipe: Recipe, *, seed: int) -> Kept:
    """Trains `of` on `task` with every learning rate and keeps the best on validation.

    Raises UserError when the architecture cannot do the task.
    """
    refused = why_not(of.row, task.problem)
    if refused is not None:
        raise UserError(f"{of.row.name} cannot be probed by {task.name}: {refused}")
    start = time.perf_counter()
    best: tuple[float, Kept] | None = None
    for rate in recipe.learning_rates:
        found = fit(
            of,
            task,
            steps=recipe.steps,
            batch_size=recipe.batch_size,
            learning_rate=rate,
            weight_decay=recipe.weight_decay,
            clip_norm=recipe.clip_norm,
            seed=seed,
            device=recipe.device,
            until=_has_learnt(max(10, recipe.steps // _LOOKS)),
        )
        kept = Kept(found.model, rate, len(found.losses), found.loss_tail, device=recipe.device)
        if len(recipe.learning_rates) == 1:
            best = 0.0, kept
            break
        scores = kept.scores(task, "validation", _VALIDATION_TOKENS)
        badness = scores.value if task.lower_is_better else -scores.value
        if best is None or not badness >= best[0]:  # nan never stays
            best = badness, kept
        if _is_perfect(task, scores):
            break
    if best is None:
        raise UserError("give at least one learning rate")
    return best[1]._replace(seconds=time.perf_counter() - start)


def _has_learnt(every: int) -> Callable[[Trainer], bool]:
    def look(trainer: Trainer) -> bool:
        if trainer.progress.step % every or not isinstance(trainer.task, ProbeTask):
            return False  # of a text nobody can know all
        scores = trainer.task.evaluate(trainer.predict, "validation", _BATCH, _SAMPLE)
        return _is_perfect(trainer.task, scores)

    return look


def _is_perfect(task: Task, scores: Scores) -> bool:
    """A task that is scored by errors is learnt by the share it says is solved, or never."""
    share = scores.slices.get("solved", 0.0) if task.lower_is_better else scores.value
    return share >= SOLVED
