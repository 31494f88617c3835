"""Stamps of time that need no regular step: numbers of any kind, or dates (times.py), which become
seconds since 1970 in UTC."""

import math
from datetime import date, datetime
from typing import Any

from seqarena.core.errors import UserError
from seqarena.data.series import times
from seqarena.data.series.numbers import is_number, parse_number

MICROSECONDS = 1_000_000  # of a second


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
