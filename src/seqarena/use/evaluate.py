"""Evaluation of a checkpoint: on the test split of its own task, or on another text."""

from pathlib import Path

import torch
from torch import Tensor

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.core.runtime import autocast, parameter_dtype
from seqarena.data.text.corpora import load_corpus
from seqarena.data.text.tokenizers import tokenizer_from_json
from seqarena.models.search import greedy
from seqarena.tasks import LanguageConfig, build_task, parse_task
from seqarena.tasks.base import Scores, Task
from seqarena.train.checkpoint import Checkpoint, load

_TOKENS_AT_ONCE = 16_384


def evaluate_checkpoint(directory: Path, data: str | None = None) -> tuple[str, Scores]:
    """The metric's name and the scores. `data` is another text, read as a whole.

    Raises UserError for a damaged checkpoint, for data that are unfit, and for a tokenizer that
    cannot spell them.
    """
    checkpoint = load(directory)
    task = _own_task(checkpoint) if data is None else _other_text(checkpoint, data)
    dtype = checkpoint.about["training"]["dtype"]  # scored in the arithmetic of its training
    model = checkpoint.model().to(dtype=parameter_dtype(dtype))

    def predict(batch: Batch) -> Tensor:
        with torch.inference_mode(), autocast("cpu", dtype):
            if task.generates:
                return greedy(model, batch, task.sequence_length)
            return model.answer(batch)

    scores = task.evaluate(predict, "test", max(1, _TOKENS_AT_ONCE // task.sequence_length))
    return task.metric, scores


def _own_task(checkpoint: Checkpoint) -> Task:
    task = build_task(parse_task(checkpoint.about["task"]))
    if task.digest() != checkpoint.about["task_digest"]:
        raise UserError(
            "the data that this model was trained on have changed: name the text to evaluate on"
        )
    return task


def _other_text(checkpoint: Checkpoint, data: str) -> Task:
    from seqarena.tasks.text.language import LanguageTask

    config = parse_task(checkpoint.about["task"])
    if not isinstance(config, LanguageConfig):
        raise UserError(f"task {config.kind} is generated: it cannot be evaluated on a text")
    tokenizer = tokenizer_from_json(checkpoint.about["artifacts"]["tokenizer"])
    corpus = load_corpus(data, text_field=config.text_field, encoding=config.encoding)
    return LanguageTask(config, corpus, tokenizer)
