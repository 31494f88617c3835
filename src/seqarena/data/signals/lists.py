"""Tables whose rows are recordings or pictures: a path or the bytes themselves, and a label.

path, label            and where they are known speaker and split; paths are relative to the
                       table; `file_name`, as Hugging Face's metadata.csv has it, is a path too
{"bytes": ..., "path": ...}, label     the columns `audio` and `image` of Hugging Face
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from seqarena.core.errors import UserError
from seqarena.data.files.find import SplitFiles, kind_of, list_files, split_files
from seqarena.data.files.opening import read_file
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import Row, listed, read_rows, table_format, text_of
from seqarena.data.signals.members import split_and_class

_SPLITS = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation",
    "validation": "validation", "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip
PATHS = ("path", "file_name", "file", "filename", "filepath")
CONTENTS = {"sound": ("audio", "sound", "wav", "speech"), "picture": ("image", "img", "picture")}


class Listed(NamedTuple):
    """One row."""

    place: str  # file and row, for errors
    name: str  # its path as the row has it, or its place
    content: bytes
    label: str
    speaker: str | None
    split: str | None


def find_signals(
    data: str | Path, kind: str, reading: Reading
) -> tuple[SplitFiles | None, list[Path]]:
    """The tables at `data`, a table or a folder, and the files that are signals themselves.

    Tables beside such files are those named metadata, as Hugging Face has them; others are passed
    over. Raises UserError where neither is there.
    """
    files = list_files(data, (kind, "table"), reading)
    tables = [file for file in files if table_format(file)]
    signals = [file for file in files if kind_of(file) == kind]
    if tables and signals:
        known = [file for file in tables if file.name.lower().startswith("metadata.")]
        for file in tables:
            if file not in known:
                reading.pass_over(file, f"a table beside files of {kind}s: name it to read it")
        tables = known
    if not tables:
        return None, signals
    return split_files(data, tables, reading), []


def read_list(
    file: Path,
    kind: str,
    *,
    label: str = "label",
    others: tuple[str, ...] = (),
    what: str = "label",
    split: str | None = None,
    encoding: str = "utf-8",
    reading: Reading | None = None,
) -> Iterator[Listed]:
    """The rows of a table. A row's split is what it says, else what its path says, else `split`.
    `what` is its answer, in the column `label`, or in one of `others` where it has no such column.

    Raises UserError, with file and row, for a row without path or answer, and for a file that
    cannot be read.
    """
    for number, row in enumerate(read_rows(file, encoding=encoding, reading=reading)):
        name, content = _content(file, row, kind, number, what)
        column = label
        if label not in row.fields:
            column = next((name for name in others if name in row.fields), label)
        text = text_of(row.fields.get(column))
        if text is None or not text.strip():
            raise _missing(row, kind, column, what)
        said = text_of(row.fields.get("split")) or None
        if said is not None and said.lower() not in _SPLITS:
            raise UserError(f"{row.place}: split {said!r}: use train, validation or test")
        own = _SPLITS[said.lower()] if said else None
        speaker = text_of(row.fields.get("speaker")) or None
        yield Listed(
            row.place, name, content, text, speaker, own or split_and_class(name)[0] or split
        )


def _content(file: Path, row: Row, kind: str, number: int, what: str) -> tuple[str, bytes]:
    """The name and the bytes of a row's signal. Raises UserError where it has none."""
    small = {str(name).lower(): name for name in reversed(list(row.fields))}
    columns = [small[name] for name in (*PATHS, *CONTENTS[kind]) if name in small]
    value = next((v for name in columns if (v := row.fields[name]) not in (None, "")), None)
    path: Any = value
    if isinstance(value, Mapping):
        path, value = value.get("path"), value.get("bytes")
    if isinstance(value, bytes):
        return path if isinstance(path, str) else f"{number:09}", value
    if not isinstance(path, str) or not path:
        raise _missing(row, kind, "path", what)
    place = file.parent / path
    if not os.path.isfile(place):  # Path.is_file raises for a name that is too long
        shown = str(place).replace("\n", "\\n")
        raise UserError(f"{row.place}: {shown} cannot be read: no such file")
    return path, read_file(place, f"{row.place}: {place}")


def _missing(row: Row, kind: str, name: str, what: str) -> UserError:
    one = "recording" if kind == "sound" else "picture"
    advice = "" if name == "path" else f": name the column with --set {what}=NAME"
    return UserError(
        f"{row.place}: no {name}: each {one} needs a path and a {what}; it has "
        f"{listed(row.fields)}{advice}"
    )
