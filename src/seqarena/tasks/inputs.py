"""Inputs out of files in the forms that training reads, for prediction: answers are left aside.

A table gives an input a row, a folder one a text, and any other file one a line, blank ones
included.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from seqarena.core.errors import UserError
from seqarena.data.files.columns import Wanted, find_columns, rows_with_columns
from seqarena.data.files.find import list_files
from seqarena.data.files.opening import read_lines, read_text
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import table_format, text_of


def read_inputs(
    file: Path,
    wanted: Sequence[Wanted],
    *,
    encoding: str = "utf-8",
    format: str | None = None,
    nested: str = "",
) -> Iterator[str]:
    """The texts of the columns `wanted` of every row, with tabs between, or lines. `format` None:
    by the file's name, or by a first line that names the columns.

    Raises UserError with file and line for a column that is not there, and as the reader does.
    """
    if file.is_dir():
        texts = list_files(file, ("text", None), Reading())
        yield from (read_text(each, encoding).replace("\t", " ") for each in texts)
        return
    format = format or table_format(file)
    if format is None and names_columns(file, wanted, encoding):
        format = "tsv"
    if format is None:
        yield from (line for _, line in read_lines(file, encoding))
        return
    rows = rows_with_columns(file, wanted, format=format, encoding=encoding, nested=nested)
    for _, values in rows:
        yield "\t".join((text_of(value) or "").replace("\t", " ") for value in values)


def names_columns(file: Path, wanted: Sequence[Wanted], encoding: str = "utf-8") -> bool:
    """Whether the first line is a header of tabs with these columns."""
    first = next((line for _, line in read_lines(file, encoding)), "")
    names = [name.strip().strip('"') for name in first.split("\t")]
    try:
        return len(names) > 1 and bool(find_columns(wanted, names, str(file)))
    except UserError:
        return False


def unknown_answer(place: str, what: str, answer: str, known: Sequence[str]) -> UserError:
    """The error for a class or tag that a model cannot give."""
    shown = ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")
    return UserError(f"{place}: the model knows no {what} {answer!r}: it knows {shown}")
