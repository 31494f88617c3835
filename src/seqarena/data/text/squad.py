"""Questions whose answers are places in a text, in the form of SQuAD (Rajpurkar et al. 2016).

{"data": [{"paragraphs": [{"context": ..., "qas": [{"question": ..., "answers": [
    {"text": ..., "answer_start": ...}]}]}]}]}         as it is published
{"context": ..., "question": ..., "answers": {"text": [...], "answer_start": [...]}}
                                                       a row, as Hugging Face has it
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from seqarena.core.errors import UserError
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import listed, read_rows


class SpanAnswer(NamedTuple):
    """A part of the context, and the character from 0 at which it begins."""

    text: str
    start: int


class SpanQuestion(NamedTuple):
    """One question about a context."""

    context: str
    question: str
    answers: tuple[SpanAnswer, ...]  # empty where the context does not answer it
    place: str  # file and entry, for errors


def is_squad(fields: Mapping[str, Any]) -> bool:
    """Whether a row is one of SQuAD."""
    answers = fields.get("answers")
    return "paragraphs" in fields or (isinstance(answers, dict) and "answer_start" in answers)


def read_squad(
    file: Path, *, encoding: str = "utf-8", reading: Reading | None = None
) -> Iterator[SpanQuestion]:
    """The questions of a file. Raises UserError, with file and entry, for what is not in the form,
    and for an answer that begins outside of its context."""
    for row in read_rows(file, encoding=encoding, reading=reading):
        if "paragraphs" not in row.fields:
            yield _question(row.fields, _text(row.fields, "context", row.place), row.place)
            continue
        for paragraph in _objects(row.fields, "paragraphs", row.place):
            context = _text(paragraph, "context", row.place)
            for asked in _objects(paragraph, "qas", row.place):
                yield _question(asked, context, row.place)


def _question(fields: Mapping[str, Any], context: str, place: str) -> SpanQuestion:
    question = _text(fields, "question", place)
    answers = fields.get("answers")
    if isinstance(answers, dict):
        texts, starts = answers.get("text"), answers.get("answer_start")
        if not (isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts)):
            raise UserError(f"{place}: 'answers' needs as many of 'text' as of 'answer_start'")
        answers = [{"text": t, "answer_start": s} for t, s in zip(texts, starts)]
    found = []
    for answer in _objects({"answers": answers}, "answers", place):
        text, start = _text(answer, "text", place), answer.get("answer_start")
        if not isinstance(start, int) or not 0 <= start <= len(context):
            raise UserError(
                f"{place}: 'answer_start' is {start!r}: a place in the context is needed"
            )
        found.append(SpanAnswer(text, start))
    return SpanQuestion(context, question, tuple(found), place)


def _objects(fields: Mapping[str, Any], name: str, place: str) -> list[dict[str, Any]]:
    value = fields.get(name)
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise UserError(f"{place}: {name!r} is no list of objects: it has {listed(fields)}")
    return value


def _text(fields: Mapping[str, Any], name: str, place: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise UserError(f"{place}: {name!r} holds no text: it has {listed(fields)}")
    return value
