"""Where text comes from: texts, tables and sequences in a file or a folder, or the default inside
Python.

    text       .txt, .md and files of unknown kind: one document a file
    tables     csv, tsv, jsonl, json, parquet, arrow: the strings of `text_field`, a document each
    sequences  FASTA: a document each, without the lines that begin with >

Documents are joined by one empty line. Empty documents add nothing and are left out. Where the
names of files or folders say splits, the text comes in those parts (data/files/find.py); else it is
one, and cut by position.
"""

import hashlib
import json
import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqarena.core.errors import UserError
from seqarena.data.files.columns import Wanted, rows_with_columns
from seqarena.data.files.examples import read_splits
from seqarena.data.files.find import find_files, kind_of
from seqarena.data.files.opening import read_lines, read_text
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import table_format
from seqarena.data.splits import TextSplits, complete_text, split_text

MINIMUM_CHARACTERS = 64
DOCUMENT_SEPARATOR = "\n\n"
_KINDS = ("table", "text", "file of sequences", None)
_COMPARED = 40  # characters: shorter lines repeat by chance


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """One text and where it came from; `parts` where the files say splits, "" for one that they
    lack. `sha256` is of the text in UTF-8, or of its parts; `num_bytes` is of the text."""

    name: str
    origin: str
    text: str
    num_documents: int
    num_bytes: int
    sha256: str
    parts: TextSplits | None = None
    reading: Reading | None = None


def load_corpus(
    path: str | Path | None = None,
    *,
    text_field: str = "text",
    encoding: str = "utf-8",
    reading: Reading | None = None,
) -> Corpus:
    """The corpus at `path`, or the embedded default for None. `reading` takes what is read.

    Raises UserError when the source is missing, empty, binary, not in the encoding or too short, or
    when a line or a column is not what it should be.
    """
    if path is None:
        return embedded_corpus()
    reading = Reading() if reading is None else reading
    files = find_files(path, _KINDS, reading)
    documents = read_splits(
        files,
        lambda file: read_documents(file, text_field, encoding, reading),
        reading,
        format_of=_format,
        key=lambda document: document,
        skip_empty=True,
    )
    path = Path(path).expanduser()
    kind = f"{_format(path)} file" if path.is_file() else "folder" if path.is_dir() else "files"
    return _corpus(path.resolve().name, f"{kind} {path}", documents, str(path), reading)


def read_documents(
    file: Path, text_field: str, encoding: str, reading: Reading | None = None
) -> Iterator[str]:
    """The documents of one file that are not empty. Raises UserError as `load_corpus`."""
    if table_format(file) is not None:
        found = _of_table(file, text_field, encoding, reading)
    elif kind_of(file) == "file of sequences":
        found = _of_fasta(file, encoding, reading)
    else:
        found = iter([read_text(file, encoding, reading)])
        if reading is not None:
            _note_table(file, encoding, reading)
    return (document for document in found if document)


def split_corpus(
    corpus: Corpus,
    validation_fraction: float,
    test_fraction: float | Literal["validation"],
) -> tuple[TextSplits, str]:
    """The text by split and how that came about: as the files say, and by position for a split
    that they lack. Raises UserError when a part would be empty."""
    if corpus.parts is None:
        splits = split_text(corpus.text, validation_fraction, test_fraction)
        how = "cut by position in the text"
    else:
        splits, how = complete_text(corpus.parts, validation_fraction, test_fraction)
    return splits, f"{corpus.reading.how}; {how}" if corpus.reading else how


def repeated_lines(splits: TextSplits) -> dict[str, dict[str, int]]:
    """How many different long lines of validation and of test are in the training text too, and
    how many there are."""
    train, validation, test = ({line for line in part.split("\n") if len(line) >= _COMPARED}
                               for part in splits)  # fmt: skip
    return {
        "validation": {"repeated": len(validation & train), "of": len(validation)},
        "test": {"repeated": len(test & train), "of": len(test)},
    }


def without_repeated_lines(splits: TextSplits) -> tuple[TextSplits, int]:
    """The splits without the long lines of training that validation or test have too, and how many
    those were. Raises UserError where nothing is left to train on."""
    held_out = {line for part in splits[1:] for line in part.split("\n") if len(line) >= _COMPARED}
    lines = splits.train.split("\n")
    kept = [line for line in lines if line not in held_out]
    if not any(kept):
        raise UserError(
            "validation and test hold every line of the training text: nothing is left to train on "
            "without them; leave --drop-overlap out"
        )
    return splits._replace(train="\n".join(kept)), len(lines) - len(kept)


def embedded_corpus() -> Corpus:
    """The Python language reference that ships inside Python: about 373 KB of English prose.

    Its topics repeat each other: a long line that an earlier topic has is left out, so that what is
    tested was not trained on.
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
    documents = _without_repeats(topics[name] for name in sorted(topics))
    return _corpus("python-reference", origin, [documents, [], []], "the embedded text")


def _without_repeats(documents: Iterable[str]) -> list[str]:
    """The documents, each long line where it stands first."""
    seen: set[str] = set()
    kept = []
    for document in documents:
        lines = []
        for line in document.split("\n"):
            if line not in seen:
                lines.append(line)
            if len(line) >= _COMPARED:
                seen.add(line)
        kept.append("\n".join(lines))
    return kept


def _corpus(
    name: str,
    origin: str,
    documents: list[list[str]],
    place: str,
    reading: Reading | None = None,
) -> Corpus:
    parts = TextSplits(*(DOCUMENT_SEPARATOR.join(part) for part in documents))
    text = DOCUMENT_SEPARATOR.join(part for part in parts if part)
    if not text.strip():
        raise UserError(f"{place}: no text in it, only empty documents or blanks")
    if len(text) < MINIMUM_CHARACTERS:
        raise UserError(
            f"{place}: only {len(text)} characters of text: "
            f"at least {MINIMUM_CHARACTERS} are needed"
        )
    by_files = bool(parts.validation or parts.test)
    encoded = text.encode()
    named = json.dumps(parts).encode() if by_files else encoded
    return Corpus(
        name=name,
        origin=origin,
        text=text,
        num_documents=sum(map(len, documents)),
        num_bytes=len(encoded),
        sha256=hashlib.sha256(named).hexdigest(),
        parts=parts if by_files else None,
        reading=reading,
    )


def _format(file: Path) -> str:
    return table_format(file) or ("FASTA" if kind_of(file) == "file of sequences" else "text")


def _note_table(file: Path, encoding: str, reading: Reading) -> None:
    """Says so where a file that is read as text begins as JSON lines or a table does."""
    first = next((line for _, line in read_lines(file, encoding)), "")
    if first.startswith('{"'):
        reading.note(f"{file.name} is read as text, and looks like JSON lines: .jsonl is read so")
    elif first.count("\t") > 1:
        reading.note(f"{file.name} is read as text, and looks like a table: .tsv is read as one")


def _of_table(file: Path, text_field: str, encoding: str, reading: Reading | None) -> Iterator[str]:
    wanted = [Wanted("text_field", text_field, text_field == "text")]
    for place, (value,) in rows_with_columns(file, wanted, encoding=encoding, reading=reading):
        if not isinstance(value, str):
            raise UserError(
                f"{place}: field {text_field!r} holds {type(value).__name__}: a string is needed"
            )
        yield value


def _of_fasta(file: Path, encoding: str, reading: Reading | None) -> Iterator[str]:
    """The sequences, each on one line. Raises UserError for a file that begins with another."""
    if reading is not None:
        reading.note("FASTA: sequences are documents, their headers are left out")
    lines: list[str] = []
    begun = False
    for number, line in read_lines(file, encoding, reading):
        if line.startswith(">"):
            yield "".join(lines)
            lines, begun = [], True
        elif line.strip() and not begun:
            raise UserError(f"{file}, line {number}: FASTA begins with a line that begins with >")
        else:
            lines.append(line.strip())
    yield "".join(lines)
