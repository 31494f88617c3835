"""Who looks at whom in a sentence, each architecture on the same axes.

    attention   the weights of each head of each layer, as the model's own softmax gives them
    influence   ||d y_i / d e_j|| with rows made to sum to one (measure/flow/flow.py): for every
                architecture, whether or not it has attention

A model at its start reads the sentence's own words; a trained one its tokens, which are gathered
into words (measure/flow/reading.py). What is printed of `settings` says how a model was trained.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from seqarena.core.errors import UserError
from seqarena.core.results.measurement import Map, this_machine
from seqarena.measure.flow import SENTENCE
from seqarena.measure.flow.flow import influence
from seqarena.measure.flow.reading import (
    ReadSentence,
    WordPieces,
    by_words,
    read_as_tokens,
    read_as_trained,
    read_as_words,
)
from seqarena.measure.subject import Subject, subject
from seqarena.measure.trained.fit import begin, fit
from seqarena.models.catalog import why_not
from seqarena.models.model import Model
from seqarena.tasks.base import Task
from seqarena.tasks.registry import build_task, parse_task

_DRAWS = 64  # random projections of an answer that has more numbers


def attention_maps(
    architecture: str,
    *,
    text: str = SENTENCE,
    target: str | None = None,
    width: int | None = None,
    params: int | None = None,
    depth: int | None = None,
    options: dict[str, Any] | None = None,
    variant: str = "",
    checkpoint: str | None = None,
    seed: int = 0,
) -> list[Map]:
    """One map a layer and head. Of pairs, `target` is what is written, the text itself unless
    given (a checkpoint writes its own), and the variant says which part of the model looks.

    Raises UserError where an architecture has no attention.
    """
    chosen = subject(
        architecture, variant=variant, checkpoint=checkpoint, width=width, params=params,
        depth=depth, options=options,
    )  # fmt: skip
    chosen, model, reading = _model_and_reading(chosen, text, target, seed)
    return attention_of(model, reading, chosen.row.name, chosen.variant, _settings(chosen, text))


def influence_maps(
    architecture: str,
    *,
    text: str = SENTENCE,
    target: str | None = None,
    width: int | None = None,
    params: int | None = None,
    depth: int | None = None,
    options: dict[str, Any] | None = None,
    variant: str = "",
    checkpoint: str | None = None,
    seed: int = 0,
) -> list[Map]:
    """One map: how much each answer changes with each word, rows summing to one. Of pairs, columns
    are the source's words; of a label, there is one row."""
    chosen = subject(
        architecture, variant=variant, checkpoint=checkpoint, width=width, params=params,
        depth=depth, options=options,
    )  # fmt: skip
    chosen, model, reading = _model_and_reading(chosen, text, target, seed)
    settings = _settings(chosen, text)
    return [influence_of(model, reading, chosen.row.name, chosen.variant, settings)]


def maps_of_training(
    architecture: str, *, text: str, steps: int, width: int = 64, depth: int = 2
) -> list[Map]:
    """The maps of one architecture before and after a short training on text."""
    return language_maps([architecture], steps=steps, text=text, width=width, depth=depth)


def language_maps(
    architectures: Sequence[str],
    *,
    steps: int = 300,
    seed: int = 0,
    text: str = SENTENCE,
    width: int = 64,
    depth: int = 2,
    tokenizer: str = "bpe:1000",
    sequence_length: int = 64,
    batch_size: int = 16,
    learning_rate: float = 3e-3,
    data: str | None = None,
) -> list[Map]:
    """Attention and influence before training (variant "initial") and after so many steps of
    predicting the embedded text, or that of `data` (variant "trained"), so that maps are not of
    noise. Raises UserError for an architecture that cannot predict the next token."""
    fields = {"tokenizer": tokenizer, "sequence_length": sequence_length, "data": data}
    task: Any = build_task(parse_task({"kind": "language", **fields}))
    reading = read_as_tokens(task.tokenizer, text)
    found = []
    for name in architectures:
        chosen = subject(name, width=width, depth=depth)
        if (reason := why_not(chosen.row, task.problem)) is not None:
            raise UserError(f"{name} cannot be trained on a text: {reason}")
        found += _before_and_after(
            chosen, task, reading, {"text": text, "width": width, "depth": depth, **fields},
            steps=steps, batch_size=batch_size, learning_rate=learning_rate, seed=seed,
        )  # fmt: skip
    return found


def _before_and_after(
    chosen: Subject,
    task: Task,
    reading: ReadSentence,
    settings: dict[str, Any],
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> list[Map]:
    """The maps of the model as it begins and after its training."""

    def maps(model: Model, variant: str, **own: Any) -> list[Map]:
        model, told = model.double().eval(), {**settings, "weights": variant, "seed": seed, **own}
        return [
            *_attention_of(model, reading, chosen.row.name, variant, told),
            influence_of(model, reading, chosen.row.name, variant, told),
        ]

    model = begin(chosen, task, seed=seed)
    with torch.no_grad():
        loss = float(model.loss(task.training_batch(0, batch_size, seed=seed), task.loss))
    found = maps(model, "initial", steps=0, loss_nats=loss)
    end = fit(
        chosen, task, steps=steps, batch_size=batch_size, learning_rate=learning_rate, seed=seed
    )
    return found + maps(
        end.model, "trained", steps=len(end.losses), loss_nats=end.losses[-1],
        batch_size=batch_size, learning_rate=learning_rate,
    )  # fmt: skip


def attention_of(
    model: Model, reading: ReadSentence, architecture: str, variant: str, settings: dict[str, Any]
) -> list[Map]:
    """The maps of a model at hand, on a sentence as it reads it. Raises UserError for a model
    without attention."""
    maps = _attention_of(model, reading, architecture, variant, settings)
    if not maps:
        raise UserError(f"{architecture} has no attention whose weights could be shown")
    return maps


def _attention_of(
    model: Model, reading: ReadSentence, architecture: str, variant: str, settings: dict[str, Any]
) -> list[Map]:
    with torch.no_grad():
        looks = model.eval().looks(reading.batch)
    maps = []
    for part, layer, weights_BHTC in looks:
        weights_HTC = weights_BHTC[0]
        written, read = _sides(part, reading, *weights_HTC.shape[1:])
        where = "" if part.startswith("looks") else part
        for head, weights_TC in enumerate(weights_HTC.double().cpu().numpy()):
            words = by_words(weights_TC[:, -len(read.word_of) :], written, read)
            maps.append(
                _map("attention", architecture, ", ".join(filter(None, (variant, where))), words,
                     written, read, settings, layer, head)
            )  # fmt: skip
    return maps


def influence_of(
    model: Model, reading: ReadSentence, architecture: str, variant: str, settings: dict[str, Any]
) -> Map:
    """The map of a model at hand, on a sentence as it reads it."""
    with torch.no_grad():
        outputs = model.eval().answer(reading.batch).shape[-1]
    draws = min(_DRAWS, outputs)
    norms_RN = influence(model, reading.batch, draws=draws)
    words = by_words(_to_one(norms_RN), reading.written, reading.read)
    settings = {**settings, "projections": draws, "outputs": outputs}
    return _map("influence", architecture, variant, words, reading.written, reading.read, settings)


def _map(
    measurement: Any,
    architecture: str,
    variant: str,
    weights: np.ndarray,
    written: WordPieces,
    read: WordPieces,
    settings: dict[str, Any],
    layer: int | None = None,
    head: int | None = None,
) -> Map:
    return Map(
        measurement=measurement,
        architecture=architecture,
        variant=variant,
        words=written.words,
        columns=() if written.words == read.words else read.words,
        weights=tuple(tuple(map(float, row)) for row in weights),
        layer=layer,
        head=head,
        settings=settings,
        machine=this_machine(dtype="float64"),
    )


def _to_one(norms_RN: np.ndarray) -> np.ndarray:
    """Rows that sum to one; a row that nothing flows into stays zero."""
    sums_R1 = norms_RN.sum(1, keepdims=True)
    return np.divide(norms_RN, sums_R1, out=np.zeros_like(norms_RN), where=sums_R1 > 0)


def _sides(
    part: str, reading: ReadSentence, rows: int, columns: int
) -> tuple[WordPieces, WordPieces]:
    """The words of rows and of columns."""
    if part.startswith("looks"):  # of a label, several at the words or at the sentences
        sentences = _numbered([f"sentence {number + 1}" for number in range(columns)])
        read = sentences if part == "looks at sentences" else reading.read
        return _numbered([f"look {number + 1}" for number in range(rows)]), read
    if part == "decoder to source":
        return reading.written, reading.read
    if part == "decoder":
        return reading.written, reading.written
    if part == "encoder" or reading.batch.source_BS is None:
        return reading.read, reading.read
    both = _numbered((*reading.read.words, *reading.written.words))  # pairs as one sequence
    return both, both


def _numbered(words: Sequence[str]) -> WordPieces:
    return WordPieces(tuple(words), tuple(range(len(words))))


def _model_and_reading(
    chosen: Subject, text: str, target: str | None, seed: int
) -> tuple[Subject, Model, ReadSentence]:
    if chosen.checkpoint is not None:
        model = chosen.build(1).double()
        return chosen, model, read_as_trained(chosen, model, text)
    chosen, reading = read_as_words(chosen, text, target)
    length = max(len(reading.read.word_of), reading.batch.inputs_BT.shape[1])
    return chosen, chosen.build(length, seed=seed).double(), reading


def _settings(chosen: Subject, text: str) -> dict[str, Any]:
    return {**chosen.settings(1 if chosen.checkpoint else len(text)), "text": text}
