"""What the columns of a file mean, by what is in it.

    CoNLL-U, CoNLL-X   ten columns that count the words of a sentence first: the word is the second
    CoNLL-2009         fourteen columns or more that count so
    CoNLL-U Plus       the columns that its comment `# global.columns = ID FORM ...` names
    columns            any others: the word is the first, or the one behind a column that counts;
                       the tag is the last

Columns are between tabs, or between blanks where the first line has no tab; under the name .csv
they are between commas, with quotes as RFC 4180 has them. Quotes are letters otherwise. A header is
the names of known columns on the first line.
"""

import csv
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from seqarena.core.errors import UserError, unknown_name
from seqarena.data.files.opening import plain_suffix
from seqarena.data.files.tables import LONGEST_FIELD

CONLLU_COLUMNS = ("upos", "xpos", "feats", "deprel", "lemma")  # what may be asked for
WORD_NAMES = ("tokens", "words", "token", "word", "form")
TAG_NAME = re.compile(r"(.*[_ ])?(tags?|labels?)", re.IGNORECASE)
DOCUMENT = "-DOCSTART-"
_TREE = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
_TREE_2009 = (
    "id", "form", "lemma", "plemma", "upos", "xpos", "feats", "pfeats", "head", "phead", "deprel",
    "pdeprel", "fillpred", "pred",
)  # fmt: skip
_COLUMNS = re.compile(r"#\s*global\.columns\s*=\s*(\S.*)")
ID = re.compile(r"\d+([-.]\d+)?")

Line = tuple[int, str]  # number from 1, text


class AskedColumns(NamedTuple):
    """What the user says of a file.

    `layout` is conllu, bio (columns of any kind) or auto: by the name and what is in the file.
    `column` holds the tags and `word_column` the words: numbers from 1, or names where the format
    or the header has them; None: by what is in the file.
    """

    layout: str = "auto"
    column: str | int | None = None
    word_column: str | int | None = None
    encoding: str = "utf-8"


NOT_ASKED = AskedColumns()


class ColumnLayout(NamedTuple):
    """What the columns of a file mean."""

    name: str
    cut: Callable[[str], list[str]]  # a line into its cells
    between: str  # tabs, blanks, commas
    width: int
    word: int  # from 0
    tag: int
    counts: bool = False  # a column before the word counts the words of a sentence
    has_header: bool = False
    widens: bool = False  # sentences may have more columns than `width`


def shape_of(file: Path, lines: Sequence[Line], asked: AskedColumns) -> ColumnLayout:
    """What the columns of `lines` mean.

    Raises UserError for a file without words, and for a column that it does not have.
    """
    filled = [line for _, line in lines if line.strip()]
    if not filled:
        raise UserError(f"{file}: no tagged sentence in it")
    first = next((line for line in filled if not _may_be_no_word(line)), filled[0])
    cut, between = _cutter(file, first)
    layout = asked.layout
    named = next((found[1] for _, line in lines[:20] if (found := _COLUMNS.match(line))), None)
    by_name = layout == "conllu" or (layout == "auto" and plain_suffix(file) == ".conllu")
    sentences = _first_sentences(lines, cut)
    width = max((len(cells) for cells in sentences[0]), default=0) if sentences else 0
    counts = bool(sentences) and width > 2 and all(_counts(cells) for cells in sentences)
    if named is not None and layout != "bio" and not by_name:
        names = tuple(name.lower() for name in named.split())
        return _tree("CoNLL-U Plus", names, cut, between, asked)
    if by_name or (layout == "auto" and counts and width == len(_TREE)):
        tokens = [cells[0] for sentence in sentences for cells in sentence]
        is_u = by_name or "# sent_id" in "".join(line[:9] for _, line in lines[:5])
        is_u = is_u or any(set(token) & {"-", "."} for token in tokens)
        return _tree("CoNLL-U" if is_u else "CoNLL-X", _TREE, cut, between, asked)
    if layout == "auto" and counts and width >= len(_TREE_2009):
        return _tree("CoNLL-2009", _TREE_2009, cut, between, asked)
    if layout == "auto" and counts and width > len(_TREE):
        names = (*_TREE, *(str(k) for k in range(len(_TREE) + 1, width + 1)))
        return _tree("CoNLL-X with more columns", names, cut, between, asked)
    return _any_columns(file, lines, first, counts, asked)


def _tree(
    form: str,
    names: tuple[str, ...],
    cut: Callable[[str], list[str]],
    between: str,
    asked: AskedColumns,
) -> ColumnLayout:
    """Columns whose meaning the format says."""
    known = [name for name in CONLLU_COLUMNS if name in names]
    others = [name for name in names if name not in (*_TREE, *_TREE_2009)]
    column = str(asked.column or ("upos" if "upos" in names else names[-1])).lower()
    if column.isdecimal() and 1 <= int(column) <= len(names):
        tag = int(column) - 1
    elif column in (*known, *others):
        tag = names.index(column)
    else:
        raise unknown_name(f"column of {form}", column, [*known, *others])
    word = "form" if asked.word_column is None else str(asked.word_column).lower()
    if word.isdecimal() and 1 <= int(word) <= len(names):
        word = names[int(word) - 1]
    if word not in names:
        raise unknown_name(f"column of {form}", word, names)
    return ColumnLayout(
        form, cut, between, len(names), names.index(word), tag,
        counts=names[0] == "id", widens=form == "CoNLL-2009",
    )  # fmt: skip


def _any_columns(
    file: Path,
    lines: Sequence[Line],
    first: str,
    counts: bool,
    asked: AskedColumns,
) -> ColumnLayout:
    column, word_column = asked.column, asked.word_column
    cut, between = _cutter(file, first)
    number = next((n for n, line in lines if line == first), 1)
    place, cells = f"{file}, line {number}", cut(first)
    names = header_names(cells, column, word_column)
    width = len(cells)
    if width < 2:
        missing = "no tab" if between == "tabs" else f"no {between}"
        missing = "no tab" if between == "blanks" else missing
        raise UserError(f"{place}: {first[:40]!r} has {missing}: a word and its tag are needed")
    word = 1 if counts else 0
    if names is not None and word_column is None:
        word = next(k for k, name in enumerate(names) if name in WORD_NAMES)
    if word_column is not None:
        word = _number_of(word_column, names, width, "word", place)
    if column is not None:
        tag = _number_of(column, names, width, "tag", place)
    elif names is not None:
        tags = tag_columns(names)
        if len(tags) > 1:
            raise UserError(f"{place}: {', '.join(tags)} hold tags: name one with --set column=")
        tag = names.index(tags[0])
    else:
        tag = width - 1
    if tag == word:
        others = f"2 to {width}" if word == 0 else f"1 to {width}, not {word + 1}"
        raise UserError(
            f"{place}: column {column or tag + 1!r} holds no tag: name one by its number, {others}"
        )
    return ColumnLayout("columns", cut, between, width, word, tag, counts, names is not None)


def _number_of(
    asked: str | int, names: Sequence[str] | None, width: int, what: str, place: str
) -> int:
    """The place of a column, from 0, by its number from 1 or its name in the header."""
    if names is not None and str(asked).lower() in names:
        return names.index(str(asked).lower())
    if str(asked).isascii() and str(asked).isdecimal() and 1 <= int(asked) <= width:
        return int(asked) - 1
    first = 2 if what == "tag" else 1
    raise UserError(
        f"{place}: column {asked!r} holds no {what}: name one by its number, {first} to {width}"
        + ("" if names is None else f", or by its name: {', '.join(names)}")
    )


def _cutter(file: Path, line: str) -> tuple[Callable[[str], list[str]], str]:
    """How lines such as this one are cut into cells, and what is between them."""
    if plain_suffix(file) == ".csv" and "\t" not in line:
        mark = ";" if ";" in line and "," not in line else ","
        return (lambda text: _quoted_cells(text, mark)), "commas"
    if "\t" in line:
        return (lambda text: text.split("\t")), "tabs"
    return (lambda text: [cell for cell in text.split(" ") if cell]), "blanks"


def _quoted_cells(line: str, mark: str) -> list[str]:
    csv.field_size_limit(LONGEST_FIELD)
    try:
        return next(csv.reader([line], delimiter=mark), [line])
    except csv.Error:
        return [line]


def _may_be_no_word(line: str) -> bool:
    return line.startswith(("#", DOCUMENT))


def _first_sentences(
    lines: Sequence[Line], cut: Callable[[str], list[str]], most: int = 200
) -> list[list[list[str]]]:
    """The cells of the words of the first sentences; what may be a comment is left out."""
    found: list[list[list[str]]] = [[]]
    for _, line in lines:
        if not line.strip():
            if len(found) > most:
                break
            if found[-1]:
                found.append([])
        elif not _may_be_no_word(line) and DOCUMENT not in (cells := cut(line)):
            found[-1].append(cells)
    return [sentence for sentence in found if sentence]


def _counts(sentence: Sequence[Sequence[str]]) -> bool:
    """Whether the first cells count its words: from 0 or from 1, n-m and n.m between them."""
    tokens = [cells[0] for cells in sentence]
    if not all(token.isascii() and ID.fullmatch(token) for token in tokens):
        return False
    numbers = [int(token) for token in tokens if token.isdecimal() and len(token) < 9]
    return (
        bool(numbers)
        and numbers[0] in (0, 1)
        and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    )


def header_names(
    cells: Sequence[str], column: str | int | None = None, word_column: str | int | None = None
) -> list[str] | None:
    """The names of a header, in small letters; None for a line that is none. A header has a column
    of words and one of tags, by their names or by those that are asked for."""
    names = [cell.strip().lower() for cell in cells]
    has_words = str(word_column).lower() in names or any(name in WORD_NAMES for name in names)
    return names if has_words and (str(column).lower() in names or tag_columns(names)) else None


def tag_columns(names: Sequence[str]) -> list[str]:
    """The columns that hold tags by their names."""
    return [name for name in names if TAG_NAME.fullmatch(name.strip())]
