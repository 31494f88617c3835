"""Inputs out of files in the forms that training reads, for prediction: answers are left aside.

A table gives an input a row; any other file an input a line, blank ones included.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from seqarena.core.errors import UserError
from seqarena.data.files.opening import read_lines
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
