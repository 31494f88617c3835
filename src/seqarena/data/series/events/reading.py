"""Histories out of tables: a row an event, with the columns entity and time, and any fields.

    entity,time,event,amount
    ada,2024-05-31 08:15,buy,12.50
    ada,2024-05-31 09:40,return,

The rows of an entity may lie anywhere in a file. Times are numbers, or dates (series/stamps.py).
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqarena.core.errors import UserError
from seqarena.data.files.columns import Wanted, find_columns
from seqarena.data.files.examples import read_splits
from seqarena.data.files.find import find_files
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import Row, read_rows, table_format, text_of
from seqarena.data.series.events.history import History
from seqarena.data.series.numbers import MISSING
from seqarena.data.series.stamps import parse_stamp

_COME_AS = (
    "events come as a table of a row an event (CSV, JSON lines, Parquet), with the columns entity "
    "and time"
)


class EventColumns(NamedTuple):
    """How a table is read. `needed` are found by usual names, too, must be filled, and are called
    by the names that are wanted."""

    entity: Wanted
    time: Wanted
    needed: tuple[Wanted, ...] = ()
    encoding: str = "utf-8"


class Histories(NamedTuple):
    """The histories of each split (train, validation, test), and whether their times are dates."""

    parts: list[list[History]]
    dates: bool


def load_histories(data: str, columns: EventColumns, reading: Reading) -> Histories:
    """The histories that files hold, by split. Raises UserError with file and line for what cannot
    be read, and for files whose times are numbers here and dates there."""
    files = find_files(data, ("table", None), reading, keep=_is_table)
    found: list[Histories] = []

    def read(file: Path) -> list[History]:
        found.append(read_history_file(file, columns, reading))
        if found[-1].dates != found[0].dates:
            raise UserError(f"{file}: its times are numbers and those before dates, or so turned")
        return found[-1].parts[0]

    parts = read_splits(
        files,
        read,
        reading,
        format_of=lambda file: table_format(file) or "",
        key=lambda history: repr((history.entity, history.times_T.tolist(), history.fields)),
    )
    return Histories(parts, found[0].dates)


def read_history_file(file: Path, columns: EventColumns, reading: Reading) -> Histories:
    """The histories of one file, in the order of their first rows."""
    if not _is_table(file):
        raise UserError(f"{file}: {_COME_AS}")
    rows = read_rows(file, encoding=columns.encoding, reading=reading)
    by_entity: dict[str, list[tuple[float, Row]]] = {}
    dates: bool | None = None
    entity = time = ""
    names: dict[str, str] = {}  # of the file -> as they are wanted
    for row in rows:
        if not entity:
            wanted = [columns.entity, columns.time, *columns.needed]
            entity, time, *found = find_columns(wanted, list(row.fields), row.place, reading)
            names = {name: each.name for name, each in zip(found, columns.needed)}
        owner = _filled(row, entity)
        stamp, is_date = parse_stamp(row.fields.get(time), row.place, time)
        if dates is not None and is_date != dates:
            kinds = ("a number", "a date") if is_date else ("a date", "a number")
            raise UserError(f"{row.place}: {time!r} is {kinds[1]}, and {kinds[0]} before")
        dates = is_date
        for name in names:
            _filled(row, name)
        by_entity.setdefault(owner, []).append((stamp, row))
    if not by_entity:
        raise UserError(f"{file}: no row in it")
    leave_out = (entity, time)
    histories = [_history(owner, events, names, leave_out) for owner, events in by_entity.items()]
    return Histories([histories, [], []], bool(dates))


def _is_table(file: Path) -> bool:
    return table_format(file) is not None


def _filled(row: Row, name: str) -> str:
    text = _text(row.fields.get(name))
    if text is None:
        raise UserError(f"{row.place}: {name!r} is empty: every row needs it")
    return text


def _text(value: Any) -> str | None:
    text = text_of(value)
    return None if text is None or text.strip().lower() in MISSING else text.strip()


def _history(
    entity: str,
    events: list[tuple[float, Row]],
    names: dict[str, str],
    leave_out: tuple[str, str],
) -> History:
    events = sorted(events, key=lambda pair: pair[0])
    columns = dict.fromkeys(name for _, row in events for name in row.fields)
    return History(
        entity,
        tuple(row.place for _, row in events),
        np.array([stamp for stamp, _ in events]),
        {
            names.get(name, name): tuple(_text(row.fields.get(name)) for _, row in events)
            for name in columns
            if name not in leave_out
        },
    )
