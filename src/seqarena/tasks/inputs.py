"""Other data for a trained model, in the forms that training reads: what is scored, and inputs
alone, whose answers are left aside.

Of inputs a table gives one a row; any other file one a line, blank ones included.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from seqarena.core.errors import UserError
from seqarena.core.words import plural
from seqarena.data.files.find import find_files, split_of
from seqarena.data.files.opening import read_lines
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import listed, read_rows, table_format, text_of


def read_inputs(
    file: Path, fields: Sequence[str], *, encoding: str = "utf-8", format: str | None = None
) -> Iterator[str]:
    """The texts of `fields` of every row with tabs between, or the lines of a file that is no
    table. `format` None: by the file's name, or by a first line that names the fields.

    Raises UserError with file and line for a row that lacks a field, and as the reader does.
    """
    format = format or table_format(file)
    if format is None and names_fields(file, fields, encoding):
        format = "tsv"
    if format is None:
        yield from (line for _, line in read_lines(file, encoding))
        return
    for place, row in read_rows(file, format, encoding=encoding):
        missing = next((name for name in fields if name not in row), None)
        if missing is not None:
            raise UserError(
                f"{place}: no field {missing!r}: it has {listed(row)} (say which one holds the "
                "input as in training, with --set)"
            )
        yield "\t".join((text_of(row[name]) or "").replace("\t", " ") for name in fields)


def names_fields(file: Path, fields: Sequence[str], encoding: str = "utf-8") -> bool:
    """Whether the first line is a header of tabs with these fields."""
    first = next((line for _, line in read_lines(file, encoding)), "")
    return "\t" in first and set(fields) <= {name.strip() for name in first.split("\t")}


def files_to_score(
    data: str | Path, reading: Reading, kinds: tuple[str | None, ...] = ("table", "text", None)
) -> tuple[Path, ...]:
    """The test files that `data` names, or all where none is for testing; `reading` says which.

    Raises UserError when nothing is there that can be read.
    """
    seen: list[Path] = []

    def keep(file: Path) -> bool:
        seen.append(file)
        return True

    try:
        found = find_files(data, kinds, reading, keep)
        every, test = (*found.train, *found.validation, *found.test), found.test
    except UserError:
        if not seen:  # else it is training data that are missing, and nothing is trained here
            raise
        every, test = tuple(seen), tuple(file for file in seen if split_of(file) == "test")
    if test and len(every) > len(test):
        reading.note(f"{data}: its test split is scored, {plural(len(test), 'file')}")
    elif len(every) > 1:
        reading.note(f"{data}: all {len(every):,} files are scored: none is named a test alone")
    return test or every


def unknown_answer(place: str, what: str, answer: str, known: Sequence[str]) -> UserError:
    """The error for a class or tag that a model cannot give."""
    shown = ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")
    return UserError(f"{place}: the model knows no {what} {answer!r}: it knows {shown}")
