"""Prediction: what a checkpoint answers to a user's inputs, by the task that it knows.

>>> from seqarena.use.predict import Predictor
>>> translate = Predictor("runs/NAME/trials/HASH/checkpoint")  # doctest: +SKIP
>>> translate(["zwei hunde rennen"])  # doctest: +SKIP
[Answer(text='two dogs run', confidence=None)]
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from seqarena.core.batch import check_tokens, map_batch
from seqarena.core.errors import UserError
from seqarena.core.runtime import resolve_device
from seqarena.models.search import beam, greedy
from seqarena.tasks.base import Answer
from seqarena.tasks.registry import load_codec, parse_task
from seqarena.train.checkpoint import load

_AT_ONCE = 32  # inputs


class Predictor:
    """A trained model that takes what its task takes: sentences, stories, wav files."""

    def __init__(self, directory: str | Path, *, beam_width: int = 1, device: str = "cpu") -> None:
        """`beam_width` is for tasks whose answers are written; 1 is greedy.

        Raises UserError for a damaged checkpoint and for a task that has nothing to predict.
        """
        checkpoint = load(Path(directory))
        self.codec = load_codec(parse_task(checkpoint.about["task"]), checkpoint.about["artifacts"])
        if beam_width != 1 and not self.codec.generates:
            raise UserError("a beam is for tasks whose answers are written, such as translation")
        self.device = resolve_device(device).name
        self.model = checkpoint.model().to(self.device)
        self.beam_width = beam_width

    def __call__(self, items: Sequence[str]) -> list[Answer]:
        """One answer an input. Raises UserError for an input that cannot be read."""
        return list(self.stream(items))

    def stream(self, items: Sequence[str]) -> Iterator[Answer]:
        """The same, as they come."""
        for first in range(0, len(items), _AT_ONCE):
            yield from self._answers(items[first : first + _AT_ONCE])

    def _answers(self, items: Sequence[str]) -> list[Answer]:
        batch = map_batch(lambda x: x.to(self.device), self.codec.encode(items))
        check_tokens(batch._replace(targets_BT=batch.targets_BT[:, :0]), self.model.problem)
        with torch.inference_mode():
            if not self.codec.generates:
                outputs = self.model.answer(batch)
            elif self.beam_width == 1:
                outputs = greedy(self.model, batch, self.codec.max_length)
            else:
                outputs = beam(self.model, batch, self.codec.max_length, width=self.beam_width)
        return self.codec.decode(outputs.cpu(), batch)
