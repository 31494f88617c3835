"""Sentences whose words carry tags: columns of many kinds, tables, or the roles of names in Python
code. What is read: data/text/annotated/shapes.py for columns, data/text/annotated/rows.py for
tables; which files are training, validation and test: data/files/find.py.
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from seqarena.core.errors import UserError
from seqarena.data.files.examples import Splits, complete, read_splits
from seqarena.data.files.find import SplitFiles, kind_of, list_files, split_files
from seqarena.data.files.opening import plain_name
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import table_format
from seqarena.data.text.annotated.rows import holds_rows, read_tagged_rows
from seqarena.data.text.annotated.shapes import NOT_ASKED, AskedColumns
from seqarena.data.text.annotated.words import Found, read_columns

_WORDS = "file of tagged words"
_LABEL_LIST = re.compile(
    r"(labels?|tags?|tag_?set|label_?list|label2id|id2label|classes)(\.(txt|json|tsv|csv))?",
    re.IGNORECASE,
)


class Sentence(NamedTuple):
    """Words and the tag of each."""

    words: tuple[str, ...]
    tags: tuple[str, ...]


class Tagged(NamedTuple):
    """Sentences by split, and the tags that the training files have, in order."""

    splits: Splits
    tags: tuple[str, ...]
    origin: str
    reading: Reading | None = None  # None: no files


def load_tagged(data: str | None = None, asked: AskedColumns = NOT_ASKED) -> Tagged:
    """The sentences at `data`, a file, folder or pattern (data/files/find.py); None is Python code.

    Raises UserError, with file and line, for columns that are missing and for tags that training
    does not have.
    """
    if data is None:
        from seqarena.data.text.python_roles import ORIGIN, python_sentences

        train, origin = python_sentences(), ORIGIN
        return Tagged(complete(train, [], []), _tags_of(train), origin)
    reading = Reading()
    parts = tagged_parts(data, asked, reading)
    known = _tags_of(parts[0])
    return Tagged(complete(*parts, reading=reading), known, str(data), reading)


def tagged_parts(
    data: str, asked: AskedColumns, reading: Reading, known: Collection[str] = ()
) -> list[list[Sentence]]:
    """The sentences of each split that the data have. A tag that neither a training file has nor
    `known` is an error; of what is scored none is learnt."""
    files = _files(data, reading)
    tags = set(known)
    formats: dict[Path, str] = {}

    def read(file: Path) -> list[Sentence]:
        formats[file], found = _open(file, asked, reading)
        teaches = file in files.train and not reading.to_score
        sentences = _gathered(file, found, None if teaches else tags)
        if teaches:
            tags.update(tag for sentence in sentences for tag in sentence.tags)
        return sentences

    return read_splits(
        files, read, reading, format_of=lambda file: formats[file], key=lambda sentence: sentence
    )


def read_sentences(
    file: Path, asked: AskedColumns = NOT_ASKED, reading: Reading | None = None
) -> list[Sentence]:
    """The sentences of one file."""
    _, found = _open(file, asked, reading)
    return _gathered(file, found, None)


def _open(file: Path, asked: AskedColumns, reading: Reading | None) -> tuple[str, Iterator[Found]]:
    """(name of the format, places, words and tags)."""
    if asked.layout == "auto" and holds_rows(file, asked):
        return str(table_format(file)), read_tagged_rows(file, asked, reading)
    return read_columns(file, asked, reading)


def _gathered(file: Path, found: Iterator[Found], known: Collection[str] | None) -> list[Sentence]:
    sentences: list[Sentence] = []
    words: list[str] = []
    tags: list[str] = []
    for place, word, tag in found:
        if word is not None:
            if known is not None and tag not in known:
                raise UserError(
                    f"{place}: tag {tag!r} is not in the training data, so no model can learn it: "
                    "correct it, or add such examples to the training file"
                )
            words.append(word)
            tags.append(tag)
        elif words:
            sentences.append(Sentence(tuple(words), tuple(tags)))
            words, tags = [], []
    if words:
        sentences.append(Sentence(tuple(words), tuple(tags)))
    if not sentences:
        raise UserError(f"{file}: no tagged sentence in it")
    return sentences


def _files(data: str, reading: Reading) -> SplitFiles:
    """The files that hold sentences: neither lists of labels, nor plain texts beside columns."""
    kinds = (_WORDS, "table", "text", None)
    found = list_files(data, kinds, reading)
    if found == [Path(data).expanduser()]:
        return split_files(data, found, reading)
    has_columns = any(kind_of(file) == _WORDS for file in found)
    kept = []
    for file in found:
        if _LABEL_LIST.fullmatch(plain_name(file)):
            reading.pass_over(file, "a list of labels")
        elif has_columns and kind_of(file) == "text":
            reading.pass_over(file, "a text beside files of tagged words")
        else:
            kept.append(file)
    return split_files(data, kept, reading)


def _tags_of(sentences: list[Sentence]) -> tuple[str, ...]:
    return tuple(sorted({tag for sentence in sentences for tag in sentence.tags}))
