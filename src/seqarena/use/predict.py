"""Prediction: what a checkpoint answers to a user's inputs, by the task that it knows.

>>> from seqarena.use.predict import Predictor
>>> translate = Predictor("runs/NAME/trials/HASH/checkpoint")  # doctest: +SKIP
>>> translate(["zwei hunde rennen"])  # doctest: +SKIP
[Answer(text='two dogs run', confidence=None)]
"""

import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from seqarena.core.batch import Batch, check_tokens, map_batch
from seqarena.core.errors import UserError
from seqarena.core.runtime import resolve_device
from seqarena.models.search import beam, greedy
from seqarena.tasks.base import WORD_END, Answer
from seqarena.tasks.registry import load_codec, parse_task
from seqarena.use.loading import check_text, load_model, read_as

AT_ONCE = 32  # inputs


class Attempt(NamedTuple):
    """An input and what became of it: an answer, an error, or nothing where it is blank."""

    item: str
    outcome: Answer | UserError | None


class Predictor:
    """A trained model that takes what its task takes: sentences, stories, wav files."""

    def __init__(self, directory: str | Path, *, beam_width: int = 1, device: str = "cpu") -> None:
        """`beam_width` is for tasks whose answers are written; 1 is greedy.

        Raises UserError for a damaged checkpoint and for a task that has nothing to predict.
        """
        checkpoint, model = load_model(Path(directory))
        self.config = parse_task(checkpoint.about["task"])
        self.codec = load_codec(self.config, checkpoint.about["artifacts"])
        if beam_width < 1:
            raise UserError(f"beam {beam_width}: at least 1 hypothesis is kept")
        searches = self.codec.generates or self.codec.beam_width is not None
        if beam_width != 1 and not searches:
            raise UserError("a beam is for tasks whose answers are written, such as translation")
        if beam_width != 1 and not self.codec.generates:
            self.codec.beam_width = beam_width
        self.device = resolve_device(device).name
        self.model = model.to(self.device)
        self.beam_width = beam_width

    def __call__(self, items: Sequence[str]) -> list[Answer]:
        """One answer an input. Raises UserError for an input that cannot be read."""
        return list(self.stream(items))

    def stream(self, items: Sequence[str]) -> Iterator[Answer]:
        """The same, as they come."""
        for first in range(0, len(items), AT_ONCE):
            yield from self._answers(items[first : first + AT_ONCE])

    def attempts(self, items: Iterable[str], at_once: int = 1) -> Iterator[Attempt]:
        """One attempt an input, whatever becomes of it: a blank input gets no answer, and one that
        cannot be read its error. `at_once` inputs are taken before the first is answered."""
        rest = iter(items)
        while chosen := list(itertools.islice(rest, at_once)):
            asked = [item for item in chosen if item.strip()]
            try:
                answers = dict(zip(asked, self._answers(asked))) if asked else {}
            except UserError:  # of one of them: which one, each by itself tells
                answers = {item: self._one(item) for item in asked}
            for item in chosen:
                shown = item.replace(WORD_END, " ").rstrip() if WORD_END in item else item
                yield Attempt(shown, answers.get(item))

    def inputs(self, file: str | Path, settings: Mapping[str, Any] | None = None) -> Iterator[str]:
        """What a file asks, in a form that training reads; answers in it are left aside.
        `settings` of the task say how it is read, where other than in training (text=NAME).

        Raises UserError with file and line.
        """
        config = read_as(self.config, settings or {})
        return self.codec.inputs(config, Path(file).expanduser())

    def rows(
        self, files: Iterable[str | Path], settings: Mapping[str, Any] | None = None
    ) -> Iterator[list[str | float]]:
        """The answers to all that `files` ask, where an answer is rows of a table: the columns'
        names, then the rows, of two texts and numbers behind them. Raises UserError with file and
        line, and where an answer is a text."""
        if not self.codec.table:
            raise UserError(f"a model of task {self.config.kind} answers in texts, not in tables")
        yield list(self.codec.table)
        for file in files:
            items = self.inputs(file, settings)
            while chosen := list(itertools.islice(items, AT_ONCE)):
                for answer in self._answers(chosen):
                    for first, second, *numbers in csv.reader(io.StringIO(answer.text)):
                        yield [first, second, *map(float, numbers)]

    def words(self, item: str) -> str:
        """A text whose words stand between blanks, so that they stay as they are. Raises UserError
        where the task has no words."""
        if not self.codec.takes_words:
            raise UserError(
                f"a model of task {self.config.kind} splits every text by itself: leave out "
                "--pretokenized, which is for tagging"
            )
        return "".join(word + WORD_END for word in item.split())

    def _one(self, item: str) -> Answer | UserError:
        try:
            return self._answers([item])[0]
        except UserError as error:
            return error

    def _answers(self, items: Sequence[str]) -> list[Answer]:
        if not self.codec.takes_paths:
            for item in items:
                check_text(item)
        encoded = self.codec.encode(items)
        batch = self._here(encoded)
        check_tokens(batch._replace(targets_BT=batch.targets_BT[:, :0]), self.model.problem)
        with torch.inference_mode():
            if not self.codec.generates:
                outputs = self.codec.run(lambda b: self.model.answer(self._here(b)), encoded)
            elif self.beam_width == 1:
                outputs = greedy(self.model, batch, self.codec.max_length)
            else:
                outputs = beam(self.model, batch, self.codec.max_length, width=self.beam_width)
        return self.codec.decode(outputs.cpu(), encoded)

    def _here(self, batch: Batch) -> Batch:
        return map_batch(lambda x: x.to(self.device), batch)
