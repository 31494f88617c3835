"""Pairs of texts from files: translation, summarising, commands and what they mean.

    train.de(.gz), train.en(.gz)   line n of one belongs to line n of the other; the suffixes are
                                   the names of source and target, or .src and .tgt
    .tsv                           source TAB target; a first line that has both names is a header
                                   and says which columns they are
    .jsonl, .ndjson                one object a line, with a field for each
    any other text                 `IN: source OUT: target` (SCAN, Lake and Baroni 2018), or TSV

Lines that are blank (on both sides) are skipped. Which files are train, validation and test: see
sources.py.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from seqarena.core.errors import UserError
from seqarena.data.sources import (
    SplitFiles,
    Splits,
    complete,
    find_split_files,
    json_objects,
    plain_suffix,
    read_lines,
)

_JSON_SUFFIXES = (".jsonl", ".ndjson")


class Pair(NamedTuple):
    """A text and what it is to become."""

    source: str
    target: str


class PairCorpus(NamedTuple):
    """Pairs by split and where they came from; `sha256` is of all of them in their order."""

    name: str
    origin: str
    splits: Splits
    sha256: str


class _Sides(NamedTuple):
    source: str
    target: str
    encoding: str


def load_pairs(
    data: str | Path, *, source: str, target: str, encoding: str = "utf-8"
) -> PairCorpus:
    """The pairs that `data` names. `source` and `target` are suffixes, columns or fields.

    Raises UserError with file and line for a line without its counterpart, an empty side, bad
    JSON, or a file that is in none of the forms above.
    """
    sides = _Sides(source, target, encoding)
    found = [
        [pair for file in files for pair in _read(file, sides)] for files in _find(data, sides)
    ]
    if not found[0]:
        raise UserError(f"{data}: no pair in the training data")
    return corpus_of(Path(data).resolve().name, f"pairs {data}", complete(*found))


def read_pairs(file: Path, *, source: str, target: str, encoding: str = "utf-8") -> Iterator[Pair]:
    """The pairs of one file; of two files that belong together, it is that of the sources."""
    return _read(file, _Sides(source, target, encoding))


def corpus_of(name: str, origin: str, splits: Splits) -> PairCorpus:
    """The corpus, with the digest of its pairs."""
    content = json.dumps(splits, ensure_ascii=False).encode()
    return PairCorpus(name, origin, splits, hashlib.sha256(content).hexdigest())


def _find(data: str | Path, sides: _Sides) -> SplitFiles:
    """The files of each split; of two files that belong together, that of the source."""
    files = find_split_files(data)
    for suffix in (f".{sides.source}".lower(), ".src"):
        if any(plain_suffix(file) == suffix for file in files.train):
            if len(files.train) > 1 or files.validation or files.test:
                return find_split_files(data, (suffix,))
            return files
    targets = (f".{sides.target}".lower(), ".tgt")
    orphan = next((file for file in files.train if plain_suffix(file) in targets), None)
    if orphan is not None:
        raise UserError(
            f"{orphan}: a file of targets without one of sources "
            f"({orphan.name.removesuffix('.gz')} with .{sides.source} or .src at the end)"
        )
    return files


def _read(file: Path, sides: _Sides) -> Iterator[Pair]:
    suffix = plain_suffix(file)
    if suffix in (f".{sides.source}".lower(), ".src"):
        return _two_files(file, sides)
    if suffix in _JSON_SUFFIXES:
        return _json_lines(file, sides)
    if suffix != ".tsv" and _first_line(file, sides.encoding).startswith("IN:"):
        return _commands(file, sides)
    return _columns(file, sides)


def _two_files(file: Path, sides: _Sides) -> Iterator[Pair]:
    other = _counterpart(file, sides)
    count = 0
    both = zip_longest(read_lines(file, sides.encoding), read_lines(other, sides.encoding))
    for count, (left, right) in enumerate(both, start=1):
        if left is None or right is None:
            break
        if left[1].strip() or right[1].strip():
            empty = file if not left[1].strip() else other
            yield _checked(left[1], right[1], f"{empty}, line {count}")
    else:
        return
    lines = [sum(1 for _ in read_lines(each, sides.encoding)) for each in (file, other)]
    raise UserError(
        f"{file}, line {count}: {file.name} has {lines[0]:,} lines and {other.name} "
        f"{lines[1]:,}: line n of one must belong to line n of the other"
    )


def _counterpart(file: Path, sides: _Sides) -> Path:
    """The file of targets beside a file of sources."""
    stem = file.name.removesuffix(".gz")
    stem = stem[: -len(Path(stem).suffix)]
    suffix = "tgt" if plain_suffix(file) == ".src" and sides.source != "src" else sides.target
    wanted = [file.with_name(f"{stem}.{suffix}{packed}") for packed in ("", ".gz")]
    for other in wanted:
        if other.is_file():
            return other
    raise UserError(f"{file}: its other half {wanted[0].name}(.gz) is not there")


def _json_lines(file: Path, sides: _Sides) -> Iterator[Pair]:
    for place, entry in json_objects(file, read_lines(file, sides.encoding)):
        for field in (sides.source, sides.target):
            if not isinstance(entry.get(field), str):
                raise UserError(
                    f"{place}: no text in field {field!r} (it has {_listed(entry)}): name the "
                    "fields with --set source=NAME --set target=NAME"
                )
        yield _checked(entry[sides.source], entry[sides.target], place)


def _columns(file: Path, sides: _Sides) -> Iterator[Pair]:
    columns = (0, 1)
    for number, line in read_lines(file, sides.encoding):
        cells = line.split("\t")
        if number == 1 and {sides.source, sides.target} <= set(cells):
            columns = (cells.index(sides.source), cells.index(sides.target))
            continue
        if not line.strip():
            continue
        if len(cells) <= max(columns):
            raise UserError(
                f"{file}, line {number}: {len(cells)} column(s) where source TAB target is needed "
                f"(or files .{sides.source} and .{sides.target}, JSON lines, or IN: ... OUT: ...)"
            )
        yield _checked(cells[columns[0]], cells[columns[1]], f"{file}, line {number}")


def _commands(file: Path, sides: _Sides) -> Iterator[Pair]:
    for number, line in read_lines(file, sides.encoding):
        if not line.strip():
            continue
        before, out, after = line.partition(" OUT:")
        if not (before.startswith("IN:") and out):
            raise UserError(f"{file}, line {number}: IN: source OUT: target is needed")
        yield _checked(before.removeprefix("IN:"), after, f"{file}, line {number}")


def _checked(source: str, target: str, place: str) -> Pair:
    pair = Pair(source.strip(), target.strip())
    for name, text in pair._asdict().items():
        if not text:
            raise UserError(f"{place}: the {name} is empty: every line needs both sides")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UserError(f"{place}: the {name} holds half a surrogate pair") from error
    return pair


def _first_line(file: Path, encoding: str) -> str:
    return next((line for _, line in read_lines(file, encoding) if line.strip()), "")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
