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
from seqarena.data.text.annotated.shapes import CONLLU_COLUMNS
from seqarena.data.text.annotated.words import Found, read_columns

__all__ = ["CONLLU_COLUMNS", "Sentence", "Tagged", "load_tagged", "read_sentences"]
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


def load_tagged(
    data: str | None = None,
    *,
    layout: str = "auto",
    column: str | int | None = None,
    word_column: str | int | None = None,
    encoding: str = "utf-8",
) -> Tagged:
    """The sentences at `data`, a file, folder or pattern (data/files/find.py); None is Python code.

    `layout` is conllu, bio (columns of any kind) or auto: by the name and what is in the file.
    `column` holds the tags and `word_column` the words: numbers from 1, or names where the file has
    names. Raises UserError, with file and line, for columns that are missing and for tags that
    training does not have.
    """
    if data is None:
        from seqarena.data.text.python_roles import ORIGIN, python_sentences

        train, origin = python_sentences(), ORIGIN
        return Tagged(complete(train, [], []), _tags_of(train), origin)
    reading = Reading()
    parts = tagged_parts(data, reading, (layout, column, word_column, encoding))
    known = _tags_of(parts[0])
    return Tagged(complete(*parts, reading=reading), known, str(data), reading)


def tagged_parts(
    data: str,
    reading: Reading,
    how: tuple[str, str | int | None, str | int | None, str],
    known: Collection[str] = (),
) -> list[list[Sentence]]:
    """The sentences of each split that the data have. `how` is layout, column, word_column and
    encoding of `load_tagged`. A tag that neither a training file has nor `known` is an error; of
    what is scored none is learnt."""
    files = _files(data, reading)
    tags = set(known)
    formats: dict[Path, str] = {}

    def read(file: Path) -> list[Sentence]:
        formats[file], found = _open(file, *how, reading)
        teaches = file in files.train and not reading.to_score
        sentences = _gathered(file, found, None if teaches else tags)
        if teaches:
            tags.update(tag for sentence in sentences for tag in sentence.tags)
        return sentences

    return read_splits(
        files, read, reading, format_of=lambda file: formats[file], key=lambda sentence: sentence
    )


def read_sentences(
    file: Path,
    *,
    layout: str = "auto",
    column: str | int | None = None,
    word_column: str | int | None = None,
    encoding: str = "utf-8",
    known: Collection[str] | None = None,
    reading: Reading | None = None,
) -> list[Sentence]:
    """The sentences of one file. With `known`, any other tag is an error."""
    _, found = _open(file, layout, column, word_column, encoding, reading)
    return _gathered(file, found, known)


def _open(
    file: Path,
    layout: str,
    column: str | int | None,
    word_column: str | int | None,
    encoding: str,
    reading: Reading | None,
) -> tuple[str, Iterator[Found]]:
    """(name of the format, places, words and tags)."""
    if layout == "auto" and holds_rows(file, column, word_column, encoding):
        rows = read_tagged_rows(
            file, column=column, word_column=word_column, encoding=encoding, reading=reading
        )
        return str(table_format(file)), rows
    return read_columns(
        file,
        layout=layout,
        column=column,
        word_column=word_column,
        encoding=encoding,
        reading=reading,
    )


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
