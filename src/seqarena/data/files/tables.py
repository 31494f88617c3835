"""Tables: rows of named fields from CSV, TSV, JSON lines, JSON, Parquet and Arrow.

    csv            a header, then rows; the separator is a comma, or where the header has none a
                   semicolon, tab or bar; quotes as RFC 4180 has them
    tsv            the same with tabs; quotes are letters of the text, unless the file is quoted
                   throughout as spreadsheets and pandas write it
    jsonl, ndjson  one object a line
    json           a list of objects, or an object whose field `data` is one; a string in place of
                   an object is its field `text`, in JSON lines too
    parquet        columns; class names from the schema's Hugging Face features where it has them
    arrow          what `datasets` saves to disk; class names from dataset_info.json

Equal rows are equal in every format: line ends inside a value become "\\n".
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from seqarena.core.errors import UserError
from seqarena.data.files.columnar import read_arrow, read_parquet
from seqarena.data.files.opening import plain_suffix, read_lines, read_text
from seqarena.data.files.reading import Reading

_MOST_NAMES = 20  # of columns, that an error lists
LONGEST_FIELD = 2**31 - 1  # characters of a cell of CSV: what C's long holds everywhere
TABLE_FORMATS = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".json": "json", ".parquet": "parquet", ".arrow": "arrow",
}  # fmt: skip


class Row(NamedTuple):
    """One row: its fields by name, and file and line for errors."""

    place: str
    fields: Mapping[str, Any]


def table_format(file: Path) -> str | None:
    """The format of a table by the file's name; None for other files."""
    return TABLE_FORMATS.get(plain_suffix(file))


def read_rows(
    file: Path,
    format: str | None = None,
    *,
    encoding: str = "utf-8",
    reading: Reading | None = None,
    choose: Callable[[list[str]], list[str]] | None = None,
) -> Iterator[Row]:
    """The rows of a table. `format` None: by the file's name. `choose` picks the columns that are
    read of those there are, where a format has columns.

    Raises UserError with file and line for a header that names a field twice, for a row that does
    not fit its header, and for what is not in the format.
    """
    format = format or table_format(file)
    if format not in _READERS:
        raise UserError(f"{file}: not a table: {', '.join(TABLE_FORMATS)} are read")
    if choose is not None and format in _COLUMNAR:
        found = _COLUMNAR[format](file, choose)
    else:
        found = _READERS[format](file, encoding, reading)
    for place, fields in found:
        yield Row(place, {name: _cleaned(value, place, name) for name, value in fields.items()})


def text_of(value: Any) -> str | None:
    """The text of a value, the same in every format: numbers as Python writes them; None for a
    value that is missing or is no text (a list, an object, bytes)."""
    if isinstance(value, list | dict | bytes) or is_missing(value):
        return None
    return str(value)


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing: None, or NaN."""
    return value is None or value != value


def listed(names: Iterable[str]) -> str:
    """Names for an error, the first of many."""
    texts = list(map(str, names))
    more = f" and {len(texts) - _MOST_NAMES:,} more" if len(texts) > _MOST_NAMES else ""
    return ", ".join(texts[:_MOST_NAMES]) + more or "none"


def read_cells(
    file: Path,
    *,
    tabs: bool,
    header: bool = True,
    encoding: str = "utf-8",
    reading: Reading | None = None,
) -> Iterator[tuple[str, list[str]]]:
    """(place for errors, cells) of each row of CSV or, with `tabs`, of TSV that is not blank.

    `header`: the first row is one, which says how a table of tabs is quoted. Raises UserError for
    quotes that do not close.
    """
    lines = [line for _, line in read_lines(file, encoding, reading)]
    if len(lines) == 1:
        lines = lines[0].split("\r")  # the line ends of old Macs
    separator = "\t" if tabs else _separator(file, lines, reading)
    quoted = not tabs or _is_quoted(lines, header)
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(
        (line + "\n" for line in lines),
        delimiter=separator,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        strict=True,
    )
    try:
        for row in reader:
            if "".join(row).strip():
                yield f"{file}, line {reader.line_num}", row
    except csv.Error as error:
        raise UserError(f"{file}, line {reader.line_num}: not a table: {error}") from error


def with_header(cells: Iterable[tuple[str, list[str]]]) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows by the names of the first of them."""
    names: list[str] | None = None
    header: list[str] = []
    for place, row in cells:
        if names is None:
            names = _checked_header([name.strip() for name in row], place)
            header = row
        elif len(row) != len(names):
            raise UserError(f"{place}: {len(row)} fields, but the header names {len(names)}")
        elif row == header:
            raise UserError(f"{place}: the header again: remove it where files were joined")
        else:
            yield place, dict(zip(names, row))


def _separator(file: Path, lines: Sequence[str], reading: Reading | None) -> str:
    """Of CSV: a comma, or what the header has instead."""
    header = next((line for line in lines if line.strip()), "")
    separator = "," if "," in header else next((mark for mark in ";\t|" if mark in header), ",")
    if separator != "," and reading is not None:
        names = {";": "semicolons", "\t": "tabs", "|": "bars"}
        reading.note(f"{file.name} is separated by {names[separator]}")
    return separator


def _is_quoted(lines: Sequence[str], header: bool) -> bool:
    """Whether a table of tabs is quoted as RFC 4180 says: its header is, or writing what was read
    so gives the same lines. Else quotes are letters of the text."""
    if not any('"' in line for line in lines):
        return False
    csv.field_size_limit(LONGEST_FIELD)
    text = "".join(line + "\n" for line in lines if line.strip())
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter="\t", strict=True) if row]
    except csv.Error:
        return False
    if header and len({len(row) for row in rows}) > 1:
        return False
    if header and text.startswith('"'):
        return True
    return any(_written(rows, quoting) == text for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL))


def _written(rows: list[list[str]], quoting: Literal[0, 1]) -> str:
    written = io.StringIO()
    csv.writer(written, delimiter="\t", lineterminator="\n", quoting=quoting).writerows(rows)
    return written.getvalue()


def _checked_header(names: list[str], place: str) -> list[str]:
    twice = [name for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        raise UserError(f"{place}: the header names {twice[0]!r} twice: rename one of the columns")
    return names


def _json_lines(file: Path, encoding: str, reading: Reading | None) -> Iterator[Any]:
    for number, line in read_lines(file, encoding, reading):
        if line.strip():
            place = f"{file}, line {number}"
            yield place, _an_object(parse_json(line, place), place)


def _json(file: Path, encoding: str, reading: Reading | None) -> Iterator[Any]:
    text = read_text(file, encoding, reading)
    try:
        entries = parse_json(text, str(file))
    except UserError:
        first = text.lstrip().partition("\n")[0]
        if not first.startswith("{"):
            raise
        parse_json(first, str(file))  # JSON lines under the name of JSON, or its own error
        if reading is not None:
            reading.note(f"{file.name} holds JSON lines")
        yield from _json_lines(file, encoding, reading)
        return
    if isinstance(entries, dict) and isinstance(entries.get("data"), list):
        entries = entries["data"]
    elif isinstance(entries, dict):
        raise UserError(
            f"{file}: a list of objects is needed, or an object whose field 'data' is one; "
            f"it has {listed(list(entries)[:5])}"
        )
    if not isinstance(entries, list):
        raise UserError(f"{file}: a list of objects is needed, not {type(entries).__name__}")
    for number, entry in enumerate(entries, start=1):
        place = f"{file}, entry {number}"
        yield place, _an_object(entry, place)


def parse_json(text: str, place: str) -> Any:
    """The value of a JSON text. Raises UserError for what is not JSON, for an object that names a
    field twice, and for what is nested too deep to be data."""

    def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) < len(pairs):
            _checked_header([name for name, _ in pairs], place)
        return fields

    try:
        return json.loads(text, object_pairs_hook=object_of)
    except json.JSONDecodeError as error:
        raise UserError(f"{place}: not JSON: {error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise UserError(f"{place}: not data: JSON that is nested too deep") from error
    except ValueError as error:  # a number of thousands of digits
        raise UserError(f"{place}: not data: {error}") from error


def _an_object(entry: Any, place: str) -> dict[str, Any]:
    if isinstance(entry, str):
        return {"text": entry}
    if not isinstance(entry, dict):
        raise UserError(f"{place}: a JSON object is needed, not {type(entry).__name__}")
    return entry


def _cleaned(value: Any, place: str, name: str) -> Any:
    if isinstance(value, str):
        return _cleaned_text(value, place, name)
    if isinstance(value, list):
        return [_cleaned(each, place, name) for each in value]
    if isinstance(value, dict):
        return {key: _cleaned(each, place, name) for key, each in value.items()}
    return value


def _cleaned_text(value: str, place: str, name: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise UserError(
                f"{place}: {name!r} holds half a surrogate pair at character {error.start}"
            ) from error
    if "\0" in value:
        raise UserError(f"{place}: {name!r} holds a NUL")
    return value.replace("\r\n", "\n").replace("\r", "\n") if "\r" in value else value


_COLUMNAR = {"parquet": read_parquet, "arrow": read_arrow}
_READERS: dict[str, Callable[[Path, str, Reading | None], Iterator[tuple[str, dict[str, Any]]]]] = {
    "csv": lambda file, encoding, reading: with_header(
        read_cells(file, tabs=False, encoding=encoding, reading=reading)
    ),
    "tsv": lambda file, encoding, reading: with_header(
        read_cells(file, tabs=True, encoding=encoding, reading=reading)
    ),
    "jsonl": _json_lines,
    "json": _json,
    "parquet": lambda file, _encoding, _reading: read_parquet(file),
    "arrow": lambda file, _encoding, _reading: read_arrow(file),
}
