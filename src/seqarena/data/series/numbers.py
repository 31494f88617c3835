"""Cells of a table as numbers: what is one, and what says that a value is missing."""

import math
from typing import Any

from seqarena.core.errors import UserError
from seqarena.data.files.tables import is_missing

# In small letters. Statistical offices write a dot.
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-", "."})


def number_of(value: Any) -> float | None:
    """A cell as a number, NaN where it is missing; None for a text. Python would read 1_000 as a
    thousand; here it is a text."""
    if is_missing(value):
        return math.nan
    if isinstance(value, str):
        value = value.strip()
        if value.lower() in MISSING:
            return math.nan
        if "_" in value:
            return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def parse_number(value: Any, place: str, column: str) -> float:
    """A cell as a finite number, NaN where it is missing. Raises UserError for anything else."""
    number = number_of(value)
    if number is None:
        raise UserError(f"{place}: {column!r} holds {value!r}, which is no number")
    if math.isinf(number):
        raise UserError(f"{place}: {column!r} holds {value!r}: a finite number is needed")
    return number


def is_number(value: Any) -> bool:
    """Whether a cell is a finite number, or missing."""
    number = number_of(value)
    return number is not None and not math.isinf(number)
