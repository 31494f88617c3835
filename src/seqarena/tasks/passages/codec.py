"""Passages and questions as people give them, to answers."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import regex
import torch
from torch import Tensor

from seqarena.core.batch import END, IGNORE, Batch
from seqarena.core.errors import UserError
from seqarena.data.files.columns import Wanted
from seqarena.data.files.opening import read_lines
from seqarena.data.files.tables import table_format
from seqarena.data.text.passages.squad import SpanQuestion, read_squad
from seqarena.tasks.base import Answer, Codec
from seqarena.tasks.passages.configs import ReadingConfig
from seqarena.tasks.passages.windows import (
    EncodedQuestion,
    PassageEncoder,
    as_batch,
    best_answers,
)

NO_ANSWER = "(no answer)"
_LAST_SENTENCE = regex.compile(
    r"(?s)(.*(?:[|\n]|[\p{Sentence_Terminal}](?:(?=\s)|(?<=[\p{Sentence_Terminal}--[.!?]]))))"
    r"\s*(\S.*)",
    regex.VERSION1,
)


class ReadingCodec(Codec):
    """A passage and a question -> the part of the passage that answers it, as it stands there."""

    prompt = (
        "a passage and a question: a tab between them, or the question as the last sentence: "
        "'Anna lost the red lamp on Monday. What did Anna lose?'"
    )

    def __init__(
        self, config: ReadingConfig, encoder: PassageEncoder, *, may_be_none: bool
    ) -> None:
        self.config = config
        self.encoder = encoder
        self.may_be_none = may_be_none
        self._questions: list[EncodedQuestion] = []

    @classmethod
    def from_artifacts(cls, config: ReadingConfig, artifacts: Mapping[str, str]) -> "ReadingCodec":
        encoder = PassageEncoder.from_artifacts(config, artifacts)
        return cls(config, encoder, may_be_none=artifacts["may_be_none"] == "yes")

    def encode(self, items: Sequence[str]) -> Batch:
        """Every window of every item. Raises UserError for a question without a passage."""
        self._questions = [self.encoder.encode(split_item(item)) for item in items]
        batch = as_batch([window for q in self._questions for window in q.windows])
        return batch._replace(targets_BT=torch.full_like(batch.targets_BT, IGNORE))

    def inputs(self, config: Any, file: Path) -> Iterator[str]:
        """Passage and question of every entry of a table or of a file of SQuAD; or lines."""
        if not table_format(file):
            return (line for _, line in read_lines(file, config.encoding))
        wanted = [Wanted.of(config, setting) for setting in ("context", "question")]
        found = read_squad(file, wanted, encoding=config.encoding)
        return (f"{_one_line(q.context)}\t{_one_line(q.question)}" for q in found)

    def read_words(self, batch: Batch) -> list[str]:
        words = self.encoder.vocabulary.words
        return ["end" if token == END else words[token] for token in batch.inputs_BT[0].tolist()]

    def decode(self, outputs: Tensor, batch: Batch) -> list[Answer]:
        """Of the last `encode`, whose passages spell the answers."""
        found = best_answers(
            outputs, self._questions, most=self.config.max_answer, may_be_none=self.may_be_none
        )
        return [answer if answer.text else answer._replace(text=NO_ANSWER) for answer in found]


def split_item(item: str) -> SpanQuestion:
    """The passage and the question of one text. Raises UserError where one is missing."""
    if "\t" in item:
        context, _, question = item.partition("\t")
    else:
        found = _LAST_SENTENCE.fullmatch(item.rstrip())
        context, question = found.groups() if found else ("", item)
    context = context.strip().removesuffix("|").rstrip()
    if not context or not question.strip():
        raise UserError(f"{item[:60]!r}: no passage before the question: expected "
                        f"{ReadingCodec.prompt}")  # fmt: skip
    return SpanQuestion(context, question.strip(), (), "")


def _one_line(text: str) -> str:
    return " ".join(text.split())
