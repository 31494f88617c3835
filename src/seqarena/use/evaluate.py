"""Evaluation of a checkpoint: on the test split of its own task, or on other data.

Other data are read as the checkpoint reads: with its vocabulary, tokenizer, normalisation and
classes, none of which is learnt again. On the very test split of the task both give equal scores.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqarena.core.batch import Batch, check_tokens
from seqarena.core.errors import UserError
from seqarena.core.products import is_exact, multiplying
from seqarena.core.runtime import autocast, parameter_dtype
from seqarena.data.files.reading import Reading
from seqarena.models.model import Model
from seqarena.models.search import greedy
from seqarena.tasks import build_task, parse_task
from seqarena.tasks.base import Scores, Task
from seqarena.tasks.registry import task_class
from seqarena.train.checkpoint import Checkpoint
from seqarena.use.loading import load_model, read_as

_TOKENS_AT_ONCE = 16_384


class Evaluation(NamedTuple):
    """Scores of one evaluation, the name of their metric, and what was chosen of the data."""

    metric: str
    scores: Scores
    notes: tuple[str, ...] = ()

    @property
    def value(self) -> float:
        """The metric over the whole split."""
        return self.scores.value


def evaluate_checkpoint(
    directory: Path, data: str | None = None, settings: Mapping[str, Any] | None = None
) -> Evaluation:
    """The scores on the test split; or on `data`, in a form that the task reads: their test split,
    or all of them. `settings` of the task say how these are read, where other than in training.

    Raises UserError for a damaged checkpoint, for data that are unfit, and for answers in them
    that the model cannot give.
    """
    checkpoint, model = load_model(directory)
    return evaluate_model(checkpoint, model, data, settings)


def evaluate_model(
    checkpoint: Checkpoint,
    model: Model,
    data: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Evaluation:
    """The same of `model`, which is that of the checkpoint or one with other weights."""
    task = _task(checkpoint, data, settings or {})
    _check_length(task, model)
    # scored in the arithmetic of its training
    dtype, products = checkpoint.about["training"]["dtype"], checkpoint.about.get("products")
    model = model.to(dtype=parameter_dtype(dtype))

    def predict(batch: Batch) -> Tensor:
        check_tokens(batch, model.problem)
        with torch.inference_mode(), autocast("cpu", dtype):
            if task.generates:
                return greedy(model, batch, task.sequence_length)
            return model.answer(batch)

    with multiplying(products if products and is_exact(products) else "blas"):
        scores = task.evaluate(predict, "test", max(1, _TOKENS_AT_ONCE // task.sequence_length))
    notes = () if data is None or task.reading is None else tuple(task.reading.notes)
    return Evaluation(task.metric, scores, notes)


def _task(checkpoint: Checkpoint, data: str | None, settings: Mapping[str, Any]) -> Task:
    config = parse_task(checkpoint.about["task"])
    if data is None:
        if settings:
            raise UserError("settings say how other data are read: name the data")
        return _own_task(checkpoint)
    config = read_as(config, settings)
    own = getattr(config, "data", None)
    if own is not None and Path(own).expanduser().resolve() == Path(data).expanduser().resolve():
        task = _own_task(checkpoint)
        task.reading = task.reading or Reading()
        task.reading.notes = [f"the model was trained on {data}: its test split is scored"]
        return task
    return task_class(config.kind).evaluation_of(config, checkpoint.about["artifacts"], data)


def _own_task(checkpoint: Checkpoint) -> Task:
    task = build_task(parse_task(checkpoint.about["task"]))
    if task.digest() != checkpoint.about["task_digest"]:
        raise UserError(
            "the data that this model was trained on have changed: name the data to evaluate on"
        )
    return task


def _check_length(task: Task, model: Model) -> None:
    """Learned positions end; of pairs the task cuts at those of training."""
    most = model.most_positions
    if most is not None and task.problem.form != "pairs" and task.sequence_length > most:
        raise UserError(
            f"the longest example has {task.sequence_length:,} positions and the model "
            f"{most:,} learned ones: leave longer examples out"
        )
