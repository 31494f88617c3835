"""Words and tags of a file of columns: one word a line, an empty line between sentences.

`-DOCSTART-` lines are no sentences. A line that begins with # is a comment where a sentence may
begin and it is not shaped as a word with its tag.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from seqarena.core.errors import UserError
from seqarena.data.files.opening import read_lines
from seqarena.data.files.reading import Reading
from seqarena.data.text.annotated.shapes import (
    DOCUMENT,
    ID,
    AskedColumns,
    ColumnLayout,
    Line,
    shape_of,
)

NO_TAG = "-X-"  # the mark of CoNLL-2003 in the columns of a -DOCSTART- line
Found = tuple[str, str | None, str]  # place, word, tag; the word is None where a sentence ends


def read_columns(
    file: Path, asked: AskedColumns, reading: Reading | None = None
) -> tuple[str, Iterator[Found]]:
    """(name of the format, words with their tags) of a file of columns. Raises UserError, with
    file and line, for what is not in the format."""
    lines = list(read_lines(file, asked.encoding, reading))
    shape = shape_of(file, lines, asked)
    if reading is not None and asked.column is None and shape.name == "columns":
        if shape.tag != 1 or shape.word != 0:
            reading.note(
                f"the word is column {shape.word + 1}, the tag column {shape.tag + 1}"
                f" of {shape.width}"
            )
    elif reading is not None and shape.name not in ("columns", "CoNLL-U"):
        reading.note(
            f"{shape.name}: the word is column {shape.word + 1}, the tag column {shape.tag + 1}"
        )
    return shape.name, _words(file, lines, shape, reading)


def filled(word: str, tag: str, place: str) -> tuple[str, str]:
    """A word and its tag. Raises UserError where one is empty, or is the mark for none."""
    for value, what in ((word, "word"), (tag, "tag")):
        if not value.strip():
            raise UserError(f"{place}: the {what} is empty")
    if tag.strip() == NO_TAG:
        raise UserError(
            f"{place}: {NO_TAG!r} is no tag: name the column of the tags, --set column=NUMBER"
        )
    return word, tag.strip()


def _words(
    file: Path, lines: Sequence[Line], shape: ColumnLayout, reading: Reading | None
) -> Iterator[Found]:
    is_comment = _comments(lines, shape)
    begins, header, num_words, seen = True, shape.has_header, 0, set[str]()
    notes: set[str] = set()
    for number, line in lines:
        place = f"{file}, line {number}"
        if not line.strip():
            begins = True
            yield place, None, ""
        elif (begins or shape.counts) and is_comment(line):
            if not shape.counts and _fits(line, shape):
                notes.add("lines such as '# id 1' before a sentence are comments")
        elif header:
            header = False
        elif _is_document(cells := _cells(line, shape, place), shape):
            notes.add(f"lines of {DOCUMENT} are no sentences")
            begins = True
            yield place, None, ""
        else:
            begins = False
            found = _word(cells, shape, place)
            if found is not None:
                seen.add(found[0])
                num_words += 1
                yield place, *found
    if reading is not None:
        for note in sorted(notes):
            reading.note(note)
    if len(seen) == 1 and num_words > 9:
        raise UserError(
            f"{file}: every word is {seen.pop()!r}: name the column of the words, "
            "--set word_column=NUMBER"
        )


def _is_document(cells: Sequence[str], shape: ColumnLayout) -> bool:
    return DOCUMENT in (cells[0], cells[min(shape.word, len(cells) - 1)])


def _word(cells: Sequence[str], shape: ColumnLayout, place: str) -> tuple[str, str] | None:
    """A word and its tag; None for several words at once, and for one that is not written."""
    _check_width(cells, shape, place)
    if shape.counts and not cells[0].isdecimal():
        if ID.fullmatch(cells[0]):
            return None
        raise UserError(f"{place}: the id {cells[0]!r} is not a number, n-m or n.m")
    return filled(cells[shape.word], cells[shape.tag], place)


def _cells(line: str, shape: ColumnLayout, place: str) -> list[str]:
    cells = shape.cut(line)
    if len(cells) < 2 and shape.width < 10 and DOCUMENT not in line:
        missing = {"tabs": "no tab", "commas": "no comma"}.get(shape.between, "one column")
        raise UserError(f"{place}: {line[:40]!r} has {missing}: a word and its tag are needed")
    return cells


def _check_width(cells: Sequence[str], shape: ColumnLayout, place: str) -> None:
    if len(cells) == shape.width or (shape.widens and len(cells) > shape.width):
        return
    found = "1 column" if len(cells) == 1 else f"{len(cells)} columns"
    where = "the lines before have" if shape.name == "columns" else f"{shape.name} has"
    wanted = f"at least {shape.width}" if shape.widens else str(shape.width)
    raise UserError(f"{place}: {found} where {where} {wanted}, with {shape.between} between")


def _comments(lines: Sequence[Line], shape: ColumnLayout) -> Callable[[str], bool]:
    """Which lines at the beginning of a sentence are comments.

    Where a column counts, all that begin with # are. Elsewhere a comment has other columns than a
    word, or looks like `# id 1`, with a last cell that is no tag of any other line.
    """
    if shape.counts:
        return lambda line: line.startswith("#")
    tags: set[str] = set()
    begins = True
    for _, line in lines:
        if not line.strip():
            begins = True
        elif not (begins and line.startswith("#")):
            begins = False
            if _fits(line, shape):
                tags.add(shape.cut(line)[shape.tag].strip())

    def is_comment(line: str) -> bool:
        if not line.startswith("#"):
            return False
        if not _fits(line, shape):
            return True
        cells = shape.cut(line)
        spaced = cells[0].startswith("# ") or (
            shape.between == "blanks" and cells[0] == "#" and (len(cells) > 2 or "=" in cells[-1])
        )
        return spaced and cells[shape.tag].strip() not in tags

    return is_comment


def _fits(line: str, shape: ColumnLayout) -> bool:
    return len(shape.cut(line)) == shape.width
