"""Stamps of time: numbers, or dates as ISO 8601 writes them, and cells of numbers beside them.

A date becomes its seconds since 1970 in UTC; one without a zone is taken as UTC.
"""

import math
from datetime import UTC, date, datetime
from typing import Any

from seqarena.core.errors import UserError
from seqarena.data.files.tables import is_missing

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-"})  # in small letters


def parse_number(value: Any, place: str, column: str) -> float:
    """A cell as a number, NaN where it is missing. Raises UserError for anything else."""
    if is_missing(value):
        return math.nan
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in MISSING:
            return math.nan
        value = text
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise UserError(f"{place}: {column!r} holds {value!r}, which is no number") from error
    if math.isinf(number):
        raise UserError(f"{place}: {column!r} holds {value!r}: a finite number is needed")
    return number


def is_number(value: Any) -> bool:
    """Whether a cell is a number, or missing."""
    try:
        parse_number(value, "", "")
    except UserError:
        return False
    return True


def parse_stamp(value: Any, place: str, column: str) -> tuple[float, bool]:
    """The time in a cell and whether it is a date. Raises UserError for what is neither a number
    nor a date, and for none."""
    if isinstance(value, datetime | date):
        return _seconds(value), True
    if isinstance(value, str):
        text = value.strip()
        if not is_number(text):
            try:
                return _seconds(datetime.fromisoformat(text)), True
            except ValueError as error:
                raise UserError(
                    f"{place}: {column!r} holds {text!r}: a number is needed, or a date as "
                    "2024-05-31 or 2024-05-31T08:15:00"
                ) from error
    number = parse_number(value, place, column)
    if math.isnan(number):
        raise UserError(f"{place}: {column!r} is empty: every row needs its time")
    return number, False


def _seconds(moment: datetime | date) -> float:
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()
