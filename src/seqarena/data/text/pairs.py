"""Pairs of texts from files: translation, summarising, commands and what they mean.

    train.de(.gz), train.en(.gz)   line n of one belongs to line n of the other; the suffixes are
                                   the names of source and target, or .src and .tgt
    tables                         a column for each, or an object `translation` that has both:
                                   csv, jsonl, json, parquet, arrow (data/files/tables.py)
    .tsv                           the same; without a header, source TAB target
    any other text                 `IN: source OUT: target` (SCAN, Lake and Baroni 2018), or TSV

Lines that are blank (on both sides) are skipped. Which files are train, validation and test:
data/files/find.py.
"""

import hashlib
import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from seqarena.core.errors import UserError
from seqarena.data.files.columns import Wanted, find_columns, rows_with_columns
from seqarena.data.files.examples import Splits, complete, read_splits
from seqarena.data.files.find import SplitFiles, kind_of, list_files, split_files
from seqarena.data.files.opening import PACKED, plain_name, plain_suffix, read_lines
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import read_cells, table_format

_KINDS = ("table", "text", None)
NESTED = "translation"  # the object of Hugging Face's translation data


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
    reading: Reading | None = None


class _Sides(NamedTuple):
    source: Wanted
    target: Wanted
    encoding: str

    @property
    def suffixes(self) -> tuple[tuple[str, str], ...]:
        """Of two files that belong together."""
        named = (f".{self.source.name}".lower(), f".{self.target.name}".lower())
        return (named, (".src", ".tgt"))


def load_pairs(
    data: str | Path,
    *,
    source: str,
    target: str,
    encoding: str = "utf-8",
    by_default: tuple[bool, bool] = (False, False),
) -> PairCorpus:
    """The pairs that `data` names. `source` and `target` are suffixes, columns or fields;
    `by_default`: whether each is the task's own name for it, so that a column with another usual
    name may stand for it.

    Raises UserError with file and line for a line without its counterpart, an empty side, bad
    JSON, or a file that is in none of the forms above.
    """
    reading = Reading()
    found = pair_parts(data, source, target, encoding, by_default, reading)
    splits = complete(*found, reading=reading)
    return corpus_of(Path(data).resolve().name, f"pairs {data}", splits, reading)


def pair_parts(
    data: str | Path,
    source: str,
    target: str,
    encoding: str,
    by_default: tuple[bool, bool],
    reading: Reading,
) -> list[list[Pair]]:
    """The pairs of each split that the data have; otherwise as `load_pairs`."""
    sides = _Sides(
        Wanted("source", source, by_default[0]), Wanted("target", target, by_default[1]), encoding
    )
    return read_splits(
        _find(data, sides, reading),
        lambda file: _read(file, sides, reading),
        reading,
        format_of=lambda file: _format(file, sides),
        key=lambda pair: pair,
    )


def corpus_of(name: str, origin: str, splits: Splits, reading: Reading | None = None) -> PairCorpus:
    """The corpus, with the digest of its pairs."""
    content = json.dumps(splits, ensure_ascii=False).encode()
    return PairCorpus(name, origin, splits, hashlib.sha256(content).hexdigest(), reading)


def _find(data: str | Path, sides: _Sides, reading: Reading) -> SplitFiles:
    """The files of each split; of two files that belong together, that of the source."""
    own_kinds = (kind_of(Path(f"x.{each}")) for each in (sides.source.name, sides.target.name))
    files = list_files(data, (*_KINDS, *own_kinds), reading)
    for of_source, of_target in sides.suffixes:
        sources = [file for file in files if plain_suffix(file) == of_source]
        if sources:
            for file in files:
                if plain_suffix(file) not in (of_source, of_target, f".{sides.target.name}"):
                    reading.pass_over(file, f"neither {of_source} nor {of_target}")
            return split_files(data, sources, reading)
    targets = tuple(of_target for _, of_target in sides.suffixes)
    orphan = next((file for file in files if plain_suffix(file) in targets), None)
    if orphan is not None:
        raise UserError(
            f"{orphan}: a file of targets without one of sources "
            f"({plain_name(orphan)} with .{sides.source.name} or .src at the end)"
        )
    return split_files(data, files, reading)


def _is_source(file: Path, sides: _Sides) -> bool:
    return plain_suffix(file) in [of_source for of_source, _ in sides.suffixes]


def _format(file: Path, sides: _Sides) -> str:
    if _is_source(file, sides):
        return f"lines, with {_counterpart(file, sides).name}"
    if _is_commands(file, sides):
        return "IN: ... OUT: ..."
    return table_format(file) or "tsv"


def _is_commands(file: Path, sides: _Sides) -> bool:
    return table_format(file) is None and _first_line(file, sides).startswith("IN:")


def _read(file: Path, sides: _Sides, reading: Reading) -> Iterator[Pair]:
    if _is_source(file, sides):
        return _two_files(file, sides)
    if _is_commands(file, sides):
        return _commands(file, sides)
    format = table_format(file) or "tsv"
    if format != "tsv" or _has_header(file, sides):
        return _table(file, format, sides, reading)
    return _without_header(file, sides, reading)


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
    """The file of targets that belongs to a file of sources."""
    stem = plain_name(file)
    stem = stem[: -len(Path(stem).suffix)]
    of_src = plain_suffix(file) == ".src" and sides.source.name != "src"
    suffix = "tgt" if of_src else sides.target.name
    wanted = [file.with_name(f"{stem}.{suffix}{packed}") for packed in ("", *PACKED)]
    for other in wanted:
        if other.is_file():
            return other
    raise UserError(f"{file}: its other half {wanted[0].name}(.gz) is not there")


def _table(file: Path, format: str, sides: _Sides, reading: Reading) -> Iterator[Pair]:
    rows = rows_with_columns(
        file,
        [sides.source, sides.target],
        format=format,
        encoding=sides.encoding,
        reading=reading,
        nested=NESTED,
    )
    for place, values in rows:
        for value, each in zip(values, (sides.source, sides.target)):
            if not isinstance(value, str):
                raise UserError(
                    f"{place}: the {each.setting} holds {type(value).__name__}: a text is needed"
                )
        yield _checked(values[0], values[1], place)


def _has_header(file: Path, sides: _Sides) -> bool:
    """Whether the first line of a table of tabs names source and target. Raises UserError where it
    names one of them."""
    names = [cell.strip().strip('"') for cell in _first_line(file, sides).split("\t")]
    wanted = [sides.source, sides.target]
    try:
        find_columns(wanted, names, f"{file}, line 1")
    except UserError:
        if any(each.name in names for each in wanted) and len(names) > 1:
            raise
        return False
    return True


def _without_header(file: Path, sides: _Sides, reading: Reading) -> Iterator[Pair]:
    reading.note(f"{file.name} has no header: source is its first column, target its second")
    for place, cells in read_cells(file, tabs=True, header=False, encoding=sides.encoding):
        if len(cells) < 2:
            raise UserError(
                f"{place}: 1 column where source TAB target is needed (or files "
                f".{sides.source.name} and .{sides.target.name}, a table with columns "
                f"{sides.source.name} and {sides.target.name}, or IN: ... OUT: ...)"
            )
        yield _checked(cells[0], cells[1], place)


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
    return pair


def _first_line(file: Path, sides: _Sides) -> str:
    lines = read_lines(file, sides.encoding)
    return next((line for _, line in lines if line.strip()), "")
