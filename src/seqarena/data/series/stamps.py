"""Stamps of time that need no regular step: numbers of any kind, or dates (times.py), which become
seconds since 1970 in UTC; and cells of numbers beside them."""

import math
from datetime import date, datetime
from typing import Any

from seqarena.core.errors import UserError
from seqarena.data.files.tables import is_missing
from seqarena.data.series import times

MICROSECONDS = 1_000_000  # of a second
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
    if isinstance(value, datetime | date) or not is_number(value):
        try:
            return times.parse_stamp(value, place, column).value / MICROSECONDS, True
        except UserError as error:
            raise UserError(
                f"{place}: {column!r} holds {str(value).strip()!r}: a number is needed, or a date "
                "as 2024-05-31 or 2024-05-31T08:15:00"
            ) from error
    number = parse_number(value, place, column)
    if math.isnan(number):
        raise UserError(f"{place}: {column!r} is empty: every row needs its time")
    return number, False
