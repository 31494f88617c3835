"""Windows in tables: a step a row, and a column a channel.

    window,time,x,y,label         the rows of a window have one name, in any order where there is
    1,0.00,0.1,9.8,walking        a column of time; the label is the same in all of them
    1,0.02,0.3,9.7,walking

A file in a folder that is named by a class, and any file without a column of windows that is read
for prediction, is one window.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqarena.core.errors import UserError
from seqarena.data.files.columns import Wanted, find_columns
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import Row, is_missing, listed, read_rows, text_of
from seqarena.data.series.numbers import is_number, parse_number
from seqarena.data.series.stamps import parse_stamp
from seqarena.data.series.windows.window import SensorWindow, WindowFile

_SAMPLE = 1000  # rows in which a column of numbers is looked for


class WindowColumns(NamedTuple):
    """How a table is read."""

    window: Wanted
    time: Wanted
    label: Wanted
    channels: tuple[str, ...] = ()  # (): every other column of numbers
    encoding: str = "utf-8"
    labelled: bool = True  # False: labels are not looked for


class _Found(NamedTuple):
    """The columns of one table; None where it has none."""

    window: str | None
    time: str | None
    label: str | None
    channels: tuple[str, ...]


def read_table(
    file: Path, columns: WindowColumns, reading: Reading, *, label: str | None = None
) -> WindowFile:
    """The windows of one table, in the order of their first rows. `label`: the file is one window,
    and this its class.

    Raises UserError with file and line for a column that is not there, text where a number is
    needed, two steps of a window at one time, and a window of two labels.
    """
    rows = list(read_rows(file, encoding=columns.encoding, reading=reading))
    if not rows:
        raise UserError(f"{file}: no row in it")
    found = _find(file, rows, columns, reading, whole=label is not None)
    by_window: dict[str, list[Row]] = {}
    for row in rows:
        name = str(file) if found.window is None else text_of(row.fields.get(found.window))
        if not name:
            raise UserError(f"{row.place}: {found.window!r} is empty: every row needs its window")
        by_window.setdefault(name, []).append(row)
    windows = [_window(name, own, found, label) for name, own in by_window.items()]
    return WindowFile(windows, found.channels)


def _find(
    file: Path, rows: Sequence[Row], columns: WindowColumns, reading: Reading, *, whole: bool
) -> _Found:
    names = list(dict.fromkeys(name for row in rows[:_SAMPLE] for name in row.fields))
    place = rows[0].place
    window = None if whole else _one(columns.window, names, place, reading)
    if window is None and not whole and columns.labelled:
        find_columns([columns.window], names, place)  # its own error
    time = _one(columns.time, names, place, reading)
    label = _one(columns.label, names, place, reading) if not whole else None
    if label is None and not whole and columns.labelled:
        find_columns([columns.label], names, place)
    taken = (window, time, label)
    others = [name for name in names if name not in taken and name != columns.label.name]
    if columns.channels:
        absent = [name for name in columns.channels if name not in names]
        if absent:
            raise UserError(f"{place}: no channel {absent[0]!r}: it has {listed(others)}")
        return _Found(window, time, label, columns.channels)
    channels = [name for name in others if _is_of_numbers(rows[:_SAMPLE], name)]
    if not channels:
        raise UserError(
            f"{place}: no column of numbers among {listed(names)}: name the channels with "
            '--set channels=\'["x", "y"]\''
        )
    left_out = [name for name in others if name not in channels]
    if left_out:
        reading.note(f"columns that hold no numbers are left out: {listed(left_out)}")
    return _Found(window, time, label, tuple(channels))


def _one(wanted: Wanted, names: list[str], place: str, reading: Reading) -> str | None:
    """The column, or None where no column is called so; one that was named must be there."""
    try:
        return find_columns([wanted], names, place, reading)[0]
    except UserError:
        if not wanted.is_default:
            raise
        return None


def _is_of_numbers(rows: Sequence[Row], name: str) -> bool:
    """Whether its first cell that is not missing is a number: what is none behind it is a mistake
    that has its line."""
    cells = (row.fields.get(name) for row in rows)
    filled = (cell for cell in cells if not (is_missing(cell) or str(cell).strip() == ""))
    first = next(filled, None)
    return first is not None and is_number(first)


def _window(name: str, rows: Sequence[Row], found: _Found, label: str | None) -> SensorWindow:
    if found.time is not None:
        rows = _in_order(name, rows, found.time)
    values = [[_cell(row.fields, row.place, each) for each in found.channels] for row in rows]
    if label is None:
        label = _label(name, rows, found.label) if found.label else ""
    return SensorWindow(rows[0].place, name, np.array(values, dtype=np.float32), label)


def _cell(fields: Mapping[str, Any], place: str, channel: str) -> float:
    return parse_number(fields.get(channel), place, channel)


def _in_order(name: str, rows: Sequence[Row], time: str) -> list[Row]:
    stamped = [(parse_stamp(row.fields.get(time), row.place, time)[0], row) for row in rows]
    stamped.sort(key=lambda pair: pair[0])
    for (before, _), (after, row) in pairwise(stamped):
        if before == after:
            raise UserError(
                f"{row.place}: a second row of window {name!r} at {time} {row.fields[time]}"
            )
    return [row for _, row in stamped]


def _label(name: str, rows: Sequence[Row], column: str) -> str:
    first = text_of(rows[0].fields.get(column))
    for row in rows:
        label = text_of(row.fields.get(column))
        if not label or not label.strip():
            raise UserError(f"{row.place}: {column!r} is empty: every row needs its window's label")
        if label != first:
            raise UserError(
                f"{row.place}: window {name!r} has the label {label!r} and {first!r} before: one "
                "label a window is needed"
            )
    return str(first)
