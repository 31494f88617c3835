"""Sentences whose words carry tags: CoNLL-U, columns, or the roles of names in Python code.

    conllu   ten columns by tabs (universaldependencies.org/format.html); comments start with #;
             lines of several words (ids n-m) and of words that are not written (n.m) are skipped
    bio      two columns or more by tabs, the word first; the tag is the last, or one chosen

An empty line ends a sentence in either; one of blanks alone does so too.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from seqarena.core.errors import UserError, unknown_name
from seqarena.data.sources import Splits, complete, find_split_files, plain_suffix, read_lines

_CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
CONLLU_COLUMNS = ("upos", "xpos", "feats", "deprel", "lemma")  # what may be asked for


class Sentence(NamedTuple):
    """Words and the tag of each."""

    words: tuple[str, ...]
    tags: tuple[str, ...]


class Tagged(NamedTuple):
    """Sentences by split, and the tags that the training files have, in order."""

    splits: Splits
    tags: tuple[str, ...]
    origin: str


def load_tagged(
    data: str | None = None, *, layout: str = "auto", column: str | int | None = None
) -> Tagged:
    """The sentences at `data`, a file, folder or pattern (data/sources.py); None is Python code.

    `layout` is conllu, bio or auto: by the name's end. `column` is one of CONLLU_COLUMNS [upos],
    or a number from 1 [the last]. Raises UserError, with file and line, for columns that are
    missing and for tags that training does not have.
    """
    if data is None:
        from seqarena.data.text.python_roles import ORIGIN, python_sentences

        train, origin = python_sentences(), ORIGIN
        return Tagged(complete(train, [], []), _tags_of(train), origin)
    found = find_split_files(data)
    train = _sentences(found.train, layout, column)
    tags = _tags_of(train)
    others = (_sentences(files, layout, column, tags) for files in (found.validation, found.test))
    return Tagged(complete(train, *others), tags, str(data))


def read_sentences(
    file: Path,
    *,
    layout: str = "auto",
    column: str | int | None = None,
    known: Collection[str] | None = None,
) -> list[Sentence]:
    """The sentences of one file. With `known`, any other tag is an error."""
    if layout == "auto":
        layout = "conllu" if plain_suffix(file) == ".conllu" else "bio"
    lines = _conllu(file, column) if layout == "conllu" else _columns(file, column)
    sentences: list[Sentence] = []
    words: list[str] = []
    tags: list[str] = []
    for number, word, tag in lines:
        if word is not None:
            if known is not None and tag not in known:
                raise UserError(
                    f"{file}, line {number}: tag {tag!r} is not in the training data, so no model "
                    "can learn it: correct it, or add such examples to the training file"
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


def _sentences(
    files: tuple[Path, ...],
    layout: str,
    column: str | int | None,
    known: Collection[str] | None = None,
) -> list[Sentence]:
    return [
        sentence
        for file in files
        for sentence in read_sentences(file, layout=layout, column=column, known=known)
    ]


def _tags_of(sentences: list[Sentence]) -> tuple[str, ...]:
    return tuple(sorted({tag for sentence in sentences for tag in sentence.tags}))


def _conllu(file: Path, column: str | int | None) -> Iterator[tuple[int, str | None, str]]:
    """(line, word, tag); the word is None where a sentence ends."""
    name = str(column or "upos")
    if name not in CONLLU_COLUMNS:
        raise unknown_name("column of CoNLL-U", name, CONLLU_COLUMNS)
    for number, line in read_lines(file):
        place = f"{file}, line {number}"
        if not line.strip():
            yield number, None, ""
            continue
        if line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != len(_CONLLU):
            raise UserError(
                f"{place}: {_counted(fields)} where CoNLL-U has {len(_CONLLU)}, with tabs between"
            )
        if set(fields[0]) & {"-", "."}:
            continue
        if not fields[0].isdecimal():
            raise UserError(f"{place}: the id {fields[0]!r} is not a number, n-m or n.m")
        tag = fields[_CONLLU.index(name)]
        yield number, *_filled(fields[1], tag, place)


def _columns(file: Path, column: str | int | None) -> Iterator[tuple[int, str | None, str]]:
    """The same of a word and its tags in columns."""
    width = 0
    for number, line in read_lines(file):
        place = f"{file}, line {number}"
        if not line.strip():
            yield number, None, ""
            continue
        fields = line.split("\t")
        if len(fields) < 2:
            raise UserError(f"{place}: {line[:40]!r} has no tab: a word and its tag are needed")
        width = width or len(fields)
        if len(fields) != width:
            raise UserError(f"{place}: {_counted(fields)} where the lines before have {width}")
        yield number, *_filled(fields[0], fields[_place(column, width, place)], place)


def _place(column: str | int | None, width: int, place: str) -> int:
    """Where the tag stands, from 0."""
    if column is None:
        return width - 1
    if not (str(column).isdecimal() and 2 <= int(column) <= width):
        raise UserError(
            f"{place}: column {column!r} holds no tag: name one by its number, 2 to {width}"
        )
    return int(column) - 1


def _filled(word: str, tag: str, place: str) -> tuple[str, str]:
    for value, what in ((word, "word"), (tag, "tag")):
        if not value.strip():
            raise UserError(f"{place}: the {what} is empty")
    return word, tag.strip()


def _counted(fields: list[str]) -> str:
    return "1 column" if len(fields) == 1 else f"{len(fields)} columns"
