"""Questions whose answers are parts of a passage, in the form of SQuAD (Rajpurkar et al. 2016; with
questions that the passage does not answer, Rajpurkar et al. 2018).

{"data": [{"paragraphs": [{"context": ..., "qas": [{"id": ..., "question": ..., "answers": [
    {"text": ..., "answer_start": ...}]}]}]}]}         as it is published
{"context": ..., "question": ..., "answers": {"text": [...], "answer_start": [...]}}
                                                       a row, as Hugging Face has it; in CSV the
                                                       answers are such an object as a text
{"context": ..., "question": ..., "answer": ..., "answer_start": ...}
                                                       a row with one answer

Answers that are texts alone are looked for, and the first place is taken. No answer (an empty list,
an empty cell, `is_impossible`): the passage does not answer the question.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seqarena.core.errors import UserError
from seqarena.core.words import plural
from seqarena.data.files.columns import Wanted, find_columns
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import Row, is_missing, listed, read_rows

COLUMNS = tuple(Wanted(name, name, is_default=True) for name in ("context", "question", "answers"))
_START = "answer_start"
_ARRAY = re.compile(r"array\((\[.*?\])(?:, dtype=[\w.<>']+)?\)", re.DOTALL)  # as NumPy prints it
_SHOWN = 40  # characters of a text in an error


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
    key: str = ""  # its id in the file


def is_squad(fields: Mapping[str, Any]) -> bool:
    """Whether a row is one of SQuAD."""
    answers = fields.get("answers")
    if isinstance(answers, str) and answers.lstrip().startswith(("{", "[")):
        answers = _literal(answers)
    return (
        "paragraphs" in fields
        or (isinstance(answers, dict) and _START in answers)
        or ("context" in fields and _START in fields)
    )


def read_squad(
    file: Path,
    wanted: Sequence[Wanted] = COLUMNS,
    *,
    encoding: str = "utf-8",
    reading: Reading | None = None,
) -> Iterator[SpanQuestion]:
    """The questions of a file. `wanted` are the columns of a table: context, question and answers,
    or the first two, where no answer is needed.

    Raises UserError, with file and entry or id, for what is not in the form, and for an answer that
    is not in its context.
    """
    columns: list[str] = []
    looked_for = 0
    for row in read_rows(file, encoding=encoding, reading=reading):
        if "paragraphs" in row.fields:
            yield from _paragraphs(row, with_answers=len(wanted) == len(COLUMNS))
            continue
        columns = columns or find_columns(wanted, list(row.fields), row.place, reading)
        context, question, *answers = (row.fields.get(column) for column in columns)
        place, key = _named(row.fields, row.place)
        found, unplaced = _answers(answers[0], row.fields, place) if answers else ([], 0)
        looked_for += unplaced
        yield _question(context, question, found, place, key)
    if looked_for and reading is not None:
        reading.note(f"{plural(looked_for, 'answer')} without a place: where each stands first")


def _paragraphs(row: Row, *, with_answers: bool) -> Iterator[SpanQuestion]:
    for paragraph in _objects(row.fields, "paragraphs", row.place):
        context = _text(paragraph, "context", row.place)
        for asked in _objects(paragraph, "qas", row.place):
            place, key = _named(asked, row.place)
            none = not with_answers or asked.get("is_impossible") is True
            found, _ = ([], 0) if none else _answers(asked.get("answers"), asked, place)
            yield _question(context, _text(asked, "question", place), found, place, key)


def _named(fields: Mapping[str, Any], place: str) -> tuple[str, str]:
    """The place with the question's id, and the id."""
    key = fields.get("id")
    return (place, "") if is_missing(key) else (f"{place}, id {key}", str(key))


Unplaced = tuple[str, int | None]  # the text of an answer, and where it begins, if that is said


def _answers(value: Any, fields: Mapping[str, Any], place: str) -> tuple[list[Unplaced], int]:
    """The answers, and how many of them come without a place."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        value = _literal(value)
    if fields.get("is_impossible") is True or is_missing(value) or value == "":
        return [], 0
    if isinstance(value, dict):
        value = _of_lists(value, place)
    elif not isinstance(value, list):
        start = fields.get(_START)
        value = [str(value) if is_missing(start) else {"text": str(value), _START: start}]
    found: list[Unplaced] = []
    for each in value:
        if isinstance(each, dict):
            found.append((_text(each, "text", place), _start(each.get(_START), place)))
        elif isinstance(each, str):
            found.append((each, None))
        else:
            raise UserError(f"{place}: the answer {each!r} is neither a text nor an object")
    return found, sum(start is None for _, start in found)


def _of_lists(answers: Mapping[str, Any], place: str) -> list[Any]:
    texts, starts = answers.get("text"), answers.get(_START)
    if isinstance(texts, str):
        return [{"text": texts, _START: starts}]
    if isinstance(texts, list) and starts is None:
        return texts
    if not (isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts)):
        raise UserError(f"{place}: 'answers' needs as many of 'text' as of 'answer_start'")
    return [{"text": text, _START: start} for text, start in zip(texts, starts)]


def _literal(text: str) -> Any:
    """The object that a text spells in JSON or as Python prints it; else the text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(_ARRAY.sub(r"\1", text))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _start(value: Any, place: str) -> int:
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _no_place(value, place)
    return value


def _no_place(value: Any, place: str) -> UserError:
    return UserError(f"{place}: 'answer_start' is {value!r}: a place in the context is needed")


def _question(
    context: Any, question: Any, answers: Sequence[Unplaced], place: str, key: str
) -> SpanQuestion:
    for name, text in (("context", context), ("question", question)):
        if not isinstance(text, str) or not text.strip():
            raise UserError(f"{place}: the {name} is empty: fill it in, or leave the question out")
    found = tuple(_placed(context, text, start, place) for text, start in answers)
    return SpanQuestion(context, question, found, place, key)


def _placed(context: str, text: str, start: int | None, place: str) -> SpanAnswer:
    """Raises UserError for an answer that does not stand at that place of its context."""
    if not text.strip():
        raise UserError(f"{place}: an answer is empty: leave it out where there is none")
    first = context.find(text)
    if start is None:
        start = first
    elif start > len(context):
        raise _no_place(start, place)
    if start >= 0 and context.startswith(text, start):
        return SpanAnswer(text, start)
    shown = repr(text[:_SHOWN])
    if first < 0:
        raise UserError(f"{place}: the answer {shown} is not in its context: give a part of it")
    there = repr(context[start : start + min(len(text), _SHOWN)])
    raise UserError(
        f"{place}: the answer {shown} is not at character {start} of its context, where {there} "
        f"stands: 'answer_start' {first} is needed, where it stands first"
    )


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
