"""Where text comes from: a file, a folder, JSON lines, Parquet, or the default inside Python.

Documents are joined by one empty line. Empty documents add nothing and are left out. Text is
UTF-8; a byte order mark at the head of a file is not part of the text.
"""

import hashlib
import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqarena.core.errors import UserError, missing_extra
from seqarena.data.sources import json_objects

TEXT_SUFFIXES = (".txt", ".text", ".md", ".markdown", ".rst")  # what is read from a folder
JSON_LINES_SUFFIXES = (".jsonl", ".ndjson")
MINIMUM_CHARACTERS = 64
DOCUMENT_SEPARATOR = "\n\n"


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """One text and where it came from. `sha256` and `num_bytes` are of its UTF-8 form."""

    name: str
    origin: str
    text: str
    num_documents: int
    num_bytes: int
    sha256: str


def load_corpus(path: str | Path | None = None, *, text_field: str = "text") -> Corpus:
    """The corpus at `path`, or the embedded default for None.

    A folder gives every file with one of TEXT_SUFFIXES below it, in the order of their relative
    paths. JSON lines and Parquet give the strings of `text_field`. Any other file is plain text.

    Raises UserError when the source is missing, empty, binary, not UTF-8 or too short, or when a
    line or a column is not what it should be.
    """
    if path is None:
        return embedded_corpus()
    path = Path(path).expanduser()
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    if path.is_dir():
        documents, kind = _folder_documents(path), "folder"
    elif path.suffix.lower() in JSON_LINES_SUFFIXES:
        documents, kind = _json_lines_documents(path, text_field), "JSON lines"
    elif path.suffix.lower() == ".parquet":
        documents, kind = _parquet_documents(path, text_field), "Parquet"
    else:
        documents, kind = [_read_text(path)], "text file"
    return _corpus(path.resolve().name, f"{kind} {path}", documents, place=str(path))


def embedded_corpus() -> Corpus:
    """The Python language reference that ships inside Python: about 465 KB of English prose.

    Its wording differs a little between versions of Python, hence the version in its origin and
    the digest that every record carries.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise UserError(
            "this Python comes without pydoc_data, the default text: name a text file instead"
        ) from error
    origin = f"pydoc_data.topics of Python {platform.python_version()}"
    documents = [topics[name] for name in sorted(topics)]
    return _corpus("python-reference", origin, documents, place="the embedded text")


def _corpus(name: str, origin: str, documents: Iterable[str], place: str) -> Corpus:
    kept = [document for document in documents if document]
    text = DOCUMENT_SEPARATOR.join(kept)
    if not text.strip():
        raise UserError(f"{place}: no text in it, only empty documents or blanks")
    if len(text) < MINIMUM_CHARACTERS:
        raise UserError(
            f"{place}: only {len(text)} characters of text: "
            f"at least {MINIMUM_CHARACTERS} are needed"
        )
    encoded = text.encode()
    return Corpus(
        name=name,
        origin=origin,
        text=text,
        num_documents=len(kept),
        num_bytes=len(encoded),
        sha256=hashlib.sha256(encoded).hexdigest(),
    )


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    nul = content.find(b"\0")
    if nul >= 0:
        raise UserError(f"{path}: a binary file (NUL at byte {nul}): UTF-8 text is needed")
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not UTF-8 at byte {error.start} (0x{content[error.start]:02x}): "
            "convert it to UTF-8 first"
        ) from error


def _folder_documents(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.suffix.lower() in TEXT_SUFFIXES]
    files = sorted(
        (path for path in files if path.is_file()),
        key=lambda path: path.relative_to(folder).as_posix(),
    )
    if not files:
        raise UserError(f"{folder}: no text files ({', '.join(TEXT_SUFFIXES)}) in this folder")
    return [_read_text(path) for path in files]


def _json_lines_documents(path: Path, text_field: str) -> Iterator[str]:
    # split on "\n" alone: str.splitlines would also cut at U+2028, which JSON strings may hold
    lines = enumerate(_read_text(path).split("\n"), start=1)
    for place, entry in json_objects(path, lines):
        if text_field not in entry:
            raise UserError(f"{place}: no field {text_field!r}: it has {_listed(entry)}")
        yield _checked_string(entry[text_field], f"{place}: field {text_field!r}")


def _parquet_documents(path: Path, text_field: str) -> Iterator[str]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise missing_extra("pyarrow", "parquet", "reading Parquet") from error
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            columns = file.schema_arrow.names
            if text_field not in columns:
                raise UserError(f"{path}: no column {text_field!r}: it has {_listed(columns)}")
            values = file.read(columns=[text_field]).column(0).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a readable Parquet file") from error
    for number, value in enumerate(values, start=1):
        yield _checked_string(value, f"{path}, row {number}: column {text_field!r}")


def _checked_string(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise UserError(f"{place} holds {type(value).__name__}: a string is needed")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"{place} holds half a surrogate pair at character {error.start}"
        ) from error
    return value


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
