"""Tables of numbers over time, row by row: CSV, TSV, JSON lines, JSON, Parquet and Arrow.

    long   a column names the series of each row: unique_id,ds,y
    wide   every column of numbers is a series:   date,oslo,bergen

A table has a column of times, found by its name where the configuration names none. Columns of
numbers may be empty, or NA, where a value is missing. A column without any number is left aside,
and the reading says so. Several files are joined: those whose names say splits row below row, any
others as series that the files name.

    T  rows of one series, in the order of the table
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from seqarena.core.errors import UserError
from seqarena.core.words import plural
from seqarena.data.files.find import split_of
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import Row, listed, read_rows, table_format
from seqarena.data.series.numbers import number_of
from seqarena.data.series.times import parse_stamp

REPAIRS = ("order", "duplicates", "gaps", "text")
TIMES = (
    "time", "date", "ds", "timestamp", "datetime", "date_time", "month", "week", "day", "year",
    "quarter",
)  # fmt: skip
_SERIES = ("series", "unique_id", "series_id", "item_id")
_TARGETS = ("target", "y", "value")


class SeriesFields(Protocol):
    """What of a configuration says how tables of numbers are read (tasks/configs.py)."""

    @property
    def time(self) -> str | None: ...
    @property
    def time_format(self) -> str | None: ...
    @property
    def series(self) -> tuple[str, ...]: ...
    @property
    def target(self) -> tuple[str, ...]: ...
    @property
    def covariates(self) -> tuple[str, ...]: ...
    @property
    def encoding(self) -> str: ...
    @property
    def repair(self) -> tuple[str, ...]: ...


class Rows(NamedTuple):
    """The rows of one series as the table has them."""

    name: str  # "" where the table has no column that names series
    stamps_T: np.ndarray  # int64, see data/series/times.py
    values: Mapping[str, np.ndarray]  # column -> float64 [T], NaN where a value is missing
    texts: Mapping[str, tuple[Any, ...]]  # column -> the cells as they are
    places: tuple[str, ...]  # file and line of each row


class NumberTable(NamedTuple):
    """All series of some files, and which columns are what."""

    series: tuple[Rows, ...]
    targets: tuple[str, ...]
    covariates: tuple[str, ...]
    is_time: bool  # False: the stamps are whole numbers


class _Columns(NamedTuple):
    time: str
    series: tuple[str, ...]
    targets: tuple[str, ...]
    covariates: tuple[str, ...]


def read_number_tables(
    files: Sequence[Path],
    fields: SeriesFields,
    reading: Reading | None = None,
    *,
    texts: Sequence[str] = (),
    target_optional: bool = False,
) -> NumberTable:
    """The series of these tables, each with its rows in their order. `texts` are columns whose
    cells are handed on as they are (a label, say).

    Raises UserError with file and line for a column that is not there, text among numbers (unless
    `repair` names it), and what is no time.
    """
    reading = Reading() if reading is None else reading
    joined = len(files) > 1 and not any(split_of(Path(file.name)) for file in files)
    found: dict[str, list[tuple[int, Row]]] = {}
    columns: _Columns | None = None
    kinds: set[bool] = set()
    for file in files:
        if table_format(file) is None:
            raise UserError(
                f"{file}: not a table: numbers over time come as CSV, TSV, JSON, Parquet or Arrow"
            )
        rows = list(read_rows(file, encoding=fields.encoding, reading=reading))
        if not rows:
            raise UserError(f"{file}: no row in it")
        here = _columns(rows, fields, texts, reading, target_optional)
        if columns is not None and here != columns:
            raise UserError(
                f"{file}: its columns are not those of {files[0].name} ({_said(here)} here, "
                f"{_said(columns)} there): give the files one by one"
            )
        columns = here
        for row in rows:
            stamp = parse_stamp(row.fields.get(here.time), row.place, here.time, fields.time_format)
            kinds.add(stamp.is_time)
            if len(kinds) > 1:
                raise UserError(
                    f"{row.place}: {here.time!r} holds {row.fields[here.time]!r}, and rows above "
                    "it hold another kind of time: write all of them as dates, or as numbers"
                )
            name = _name(row, here.series, file.stem if joined and not here.series else "")
            found.setdefault(name, []).append((stamp.value, row))
        reading.read(file, "by time", table_format(file) or "", len(rows))
    assert columns is not None, "no file"
    read = _Numbers("text" in fields.repair)
    numbers = (*columns.targets, *columns.covariates)
    series = tuple(
        Rows(
            name,
            np.array([stamp for stamp, _ in rows], dtype=np.int64),
            {column: read.column(column, (row for _, row in rows)) for column in numbers},
            {column: tuple(row.fields.get(column) for _, row in rows) for column in texts},
            tuple(row.place for _, row in rows),
        )
        for name, rows in found.items()
    )
    if read.repaired:
        reading.note(f"{plural(read.repaired, 'cell')} of text became missing values")
    return NumberTable(series, columns.targets, columns.covariates, kinds == {True})


class _Numbers:
    """Reads cells as numbers, and counts the texts that became missing ones."""

    def __init__(self, repairs: bool) -> None:
        self.repairs = repairs
        self.repaired = 0

    def column(self, name: str, rows: Iterable[Row]) -> np.ndarray:
        """One column, float64 [T]."""
        return np.array([self.number(row, name) for row in rows], dtype=np.float64)

    def number(self, row: Row, name: str) -> float:
        value = row.fields.get(name)
        number = number_of(value)
        if number is not None and not math.isinf(number):
            return number
        if self.repairs:
            self.repaired += 1
            return math.nan
        said = "which is no finite number" if number is not None else "which is no number"
        raise UserError(
            f"{row.place}: {name!r} holds {value!r}, {said}: write one, leave it empty where the "
            "value is missing, or make all such cells missing with --set repair=text"
        )


def _columns(
    rows: Sequence[Row],
    fields: SeriesFields,
    texts: Sequence[str],
    reading: Reading,
    target_optional: bool,
) -> _Columns:
    """Which column is what: as configured, else by usual names, said in the reading."""
    names, place = list(rows[0].fields), rows[0].place
    for setting in ("series", "target", "covariates"):
        for name in getattr(fields, setting):
            if name not in names and not (setting == "target" and target_optional):
                raise _absent(setting, name, names, place)
    time = fields.time or _by_usual_name("time", TIMES, names, reading)
    if time is None:
        raise UserError(
            f"{place}: no column of times: it has {listed(names)} (name one with --set time=NAME)"
        )
    if time not in names:
        raise _absent("time", time, names, place)
    by_name = None if fields.series else _by_usual_name("series", _SERIES, names, reading)
    series = fields.series or ((by_name,) if by_name else ())
    used = {time, *series, *fields.covariates, *texts}
    targets = tuple(name for name in fields.target if name in names)
    if not fields.target:
        targets = _targets([name for name in names if name not in used], rows, reading)
    twice = next((name for name in targets if name in used), None)
    if twice is not None:
        raise UserError(f"{place}: column {twice!r} is named as a target and as something else")
    if not targets and not target_optional:
        raise UserError(
            f"{place}: no column of numbers beside {listed(sorted(used))}: it has {listed(names)}"
        )
    return _Columns(time, tuple(series), targets, tuple(fields.covariates))


def _by_usual_name(
    setting: str, usual: Sequence[str], names: Sequence[str], reading: Reading
) -> str | None:
    """The column by the first usual name that exactly one has."""
    for name in usual:
        fitting = [column for column in names if column.strip().lower() == name]
        if len(fitting) == 1:
            if fitting[0] != setting:
                reading.note(f"{setting}: column {fitting[0]!r}")
            return fitting[0]
    return None


def _targets(names: Sequence[str], rows: Sequence[Row], reading: Reading) -> tuple[str, ...]:
    """The column by a usual name; else every column that has a number."""
    usual = [name for name in names if name.strip().lower() in _TARGETS]
    if len(usual) == 1 and len(names) > 1:
        reading.note(f"target: column {usual[0]!r}; {listed(x for x in names if x not in usual)} "
                     "are left aside")  # fmt: skip
        return (usual[0],)
    numeric = [name for name in names if any(_is_number(row.fields.get(name)) for row in rows)]
    aside = [name for name in names if name not in numeric]
    if aside:
        reading.note(f"{listed(aside)} left aside: without a number")
    return tuple(numeric)


def _is_number(value: Any) -> bool:
    number = number_of(value)
    return number is not None and not math.isnan(number)


def _name(row: Row, columns: Sequence[str], otherwise: str) -> str:
    if not columns:
        return otherwise
    parts = [str(row.fields.get(column) or "").strip() for column in columns]
    if not all(parts):
        raise UserError(f"{row.place}: {listed(columns)}: the name of the series is missing")
    return "/".join(parts)


def _absent(setting: str, name: str, names: Sequence[str], place: str) -> UserError:
    return UserError(
        f"{place}: no column {name!r} ({setting}): it has {listed(names)} (name it with "
        f"--set {setting}=NAME)"
    )


def _said(columns: _Columns) -> str:
    return listed((columns.time, *columns.series, *columns.targets, *columns.covariates))
