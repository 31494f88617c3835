"""Sentences with tags in tables (data/files/tables.py).

    a sentence a row   a list of words and a list of tags, as Hugging Face has them; in CSV the
                       lists are written as Python or JSON writes them, or with blanks between
    a word a row       and a column that says the sentence, in each row or in its first alone

The tags are in the one column whose name ends in `tags`, `tag`, `labels` or `label`, unless the
column is named. Numbers become names where the file has them.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from seqarena.core.errors import UserError
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import Row, listed, read_rows, table_format, text_of
from seqarena.data.text.annotated.shapes import DOCUMENT, WORD_NAMES, AskedColumns, tag_columns
from seqarena.data.text.annotated.words import Found, filled

_TEXT_NAMES = ("text", "sentence")
_SENTENCE_NAMES = (
    "sentence_id", "sentence id", "sentence #", "sentence_idx", "sent_id", "sentence",
)  # fmt: skip
_NO_COMMA = re.compile(r"""['"]\s+['"]""")  # how numpy prints a list


class _Columns(NamedTuple):
    """The columns of a table."""

    words: str
    tags: str
    sentence: str | None


def holds_rows(file: Path, asked: AskedColumns) -> bool:
    """Whether a file is a table that says its sentences, and not columns with empty lines."""
    form = table_format(file)
    if form not in ("csv", "tsv"):
        return form is not None
    try:
        row = next(read_rows(file, encoding=asked.encoding), None)
        columns = None if row is None else _columns(row, asked)
    except UserError:
        return False
    if row is None or columns is None:
        return False
    value = str(row.fields[columns.tags]).strip()
    return columns.sentence is not None or value.startswith("[") or len(value.split()) > 1


def read_tagged_rows(
    file: Path, asked: AskedColumns, reading: Reading | None = None
) -> Iterator[Found]:
    """The words and tags of a table; a sentence ends where the word is None.

    Raises UserError, with file and row, for columns that are missing or may be several, and for a
    row that has not as many tags as words.
    """
    rows = read_rows(file, encoding=asked.encoding, reading=reading)
    first = next(rows, None)
    if first is None:
        return
    columns = _columns(first, asked)
    if reading is not None and None in (asked.column, asked.word_column):
        reading.note(f"words from {columns.words!r}, tags from {columns.tags!r}")
    value = first.fields[columns.tags]
    if reading is not None and _is_number(value[0] if isinstance(value, list) and value else value):
        reading.note("the tags are numbers, and the file does not name them")
    in_rows = isinstance(value, list) or len(str(value).split()) > 1 or str(value).startswith("[")
    if not in_rows and columns.sentence is None:
        raise UserError(
            f"{first.place}: no column says which sentence a word is of: it has "
            f"{listed(first.fields)} (lists of words and tags are read too)"
        )
    read = _sentence_a_row if in_rows else _word_a_row
    yield from read(chain([first], rows), columns)


def _columns(row: Row, asked: AskedColumns) -> _Columns:
    """Raises UserError where the names leave open which columns are meant."""
    named = asked.column
    tags = tag_columns(list(row.fields)) if named is None else [_named(row, named)]
    if len(tags) != 1:
        what = "no column of tags" if not tags else f"{listed(tags)} may be the tags"
        raise UserError(
            f"{row.place}: {what}: name theirs with --set column=NAME; it has {listed(row.fields)}"
        )
    small = {str(name).lower(): name for name in reversed(list(row.fields))}
    if asked.word_column is not None:
        words = _named(row, asked.word_column)
    else:
        known = [small[name] for name in (*WORD_NAMES, *_TEXT_NAMES) if name in small]
        known = [name for name in known if name != tags[0]]
        if not known:
            raise UserError(
                f"{row.place}: no column of words: name theirs with --set word_column=NAME; it "
                f"has {listed(row.fields)}"
            )
        words = known[0]
    sentences = [small[name] for name in _SENTENCE_NAMES if name in small]
    return _Columns(words, tags[0], next((n for n in sentences if n not in (words, tags[0])), None))


def _named(row: Row, asked: str | int) -> str:
    found = [name for name in row.fields if str(name).lower() == str(asked).lower()]
    if str(asked) in row.fields:
        return str(asked)
    if len(found) != 1:
        raise UserError(f"{row.place}: no column {asked!r}: it has {listed(row.fields)}")
    return found[0]


def _sentence_a_row(rows: Iterator[Row], columns: _Columns) -> Iterator[Found]:
    for row in rows:
        words, tags = (_list_of(row, name) for name in (columns.words, columns.tags))
        if any(isinstance(tag, list | dict) for tag in tags):
            raise UserError(
                f"{row.place}: {columns.tags!r} holds lists or objects, as places in a text are "
                "written: a tag for each word is needed"
            )
        if len(words) != len(tags):
            raise UserError(
                f"{row.place}: {len(words)} words in {columns.words!r} and {len(tags)} tags in "
                f"{columns.tags!r}"
            )
        if list(words) != [DOCUMENT]:
            for word, tag in zip(words, tags):
                yield row.place, *_pair(word, tag, row.place)
        yield row.place, None, ""


def _word_a_row(rows: Iterator[Row], columns: _Columns) -> Iterator[Found]:
    assert columns.sentence is not None
    current: str | None = None
    for row in rows:
        sentence = text_of(_value(row.fields, columns.sentence, row.place))
        if sentence is not None and sentence.strip() and sentence != current:
            yield row.place, None, ""
            current = sentence
        word, tag = (_value(row.fields, name, row.place) for name in columns[:2])
        if word != DOCUMENT:
            yield row.place, *_pair(word, tag, row.place)


def _value(fields: Mapping[str, Any], name: str, place: str) -> Any:
    if name not in fields:
        raise UserError(f"{place}: no field {name!r}: it has {listed(fields)}")
    return fields[name]


def _list_of(row: Row, name: str) -> Sequence[Any]:
    value = _value(row.fields, name, row.place)
    if isinstance(value, list):
        return value
    if not isinstance(value, str):
        raise UserError(f"{row.place}: {name!r} holds {type(value).__name__}: a list is needed")
    text = value.strip()
    if not text.startswith("["):
        return text.split()
    found = None if _NO_COMMA.search(text) else _literal(text)
    if not isinstance(found, list):
        raise UserError(f"{row.place}: {name!r} is not a list that can be read: {text[:40]!r}")
    return found


def _literal(text: str) -> Any:
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return None


def _pair(word: Any, tag: Any, place: str) -> tuple[str, str]:
    word_text, tag_text = text_of(word), text_of(tag)
    if tag is None or (_is_number(tag) and tag < 0):
        raise UserError(f"{place}: {word_text!r} has no tag ({tag}): leave such sentences out")
    return filled(word_text or "", tag_text or "", place)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
