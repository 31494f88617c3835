"""Time stamps, and the step between them: what makes rows a series.

A stamp is a date or time as ISO 8601 writes it (2026-11-27, 2026-11-27T13:00, 2026-11, 2026-Q4,
20261127; slashes for dashes), a time of a table with types, or a whole number that counts steps.
A year alone is a date. Times with an offset become UTC. Stamps are kept as int64: microseconds
since 1970, or the numbers themselves.
"""

import datetime as dt
import math
import re
from typing import Any, Literal, NamedTuple, SupportsInt

import numpy as np

from seqarena.core.errors import UserError

Unit = Literal["microsecond", "business day", "month", "number"]
_MICROSECOND = 1
_SECOND = 1_000_000
_MINUTE, _HOUR, _DAY = 60 * _SECOND, 3600 * _SECOND, 86_400 * _SECOND
_WEEK = 7 * _DAY
_YEAR = re.compile(r"(1[5-9]|2[01])\d\d")  # a number of four digits that is meant as a year
_MONTH = re.compile(r"\d{4}-\d{1,2}")
_QUARTER = re.compile(r"(\d{4})[- ]?[qQ]([1-4])")
_EXAMPLES = "2026-11-27 or 2026-11-27T13:00"
_EPOCH = dt.datetime(1970, 1, 1)


class Stamp(NamedTuple):
    """One time: its number, and whether that counts microseconds or is a number of its own."""

    value: int
    is_time: bool


def parse_stamp(value: Any, place: str, column: str, time_format: str | None = None) -> Stamp:
    """The stamp of a cell. `time_format` is that of strptime, for what ISO 8601 does not know.

    Raises UserError with file and line for what is no time.
    """
    if isinstance(value, dt.datetime):
        return Stamp(_microseconds(value), True)
    if isinstance(value, dt.date):
        return Stamp(_microseconds(dt.datetime(value.year, value.month, value.day)), True)
    text = "" if value is None or value != value else str(value).strip()
    try:
        if time_format is not None:
            return Stamp(_microseconds(dt.datetime.strptime(text, time_format)), True)
        return _parse_iso(text)
    except (ValueError, OverflowError):
        advice = (
            f"it is not in the form {time_format!r}"
            if time_format is not None
            else f"write it as {_EXAMPLES}, or say its form with --set time_format=%d.%m.%Y"
        )
        raise UserError(f"{place}: {column!r} holds {text!r}, which is no time: {advice}") from None


def _parse_iso(text: str) -> Stamp:
    """Raises ValueError for what is no stamp."""
    text = text.replace("/", "-")
    if quarter := _QUARTER.fullmatch(text):
        text = f"{quarter[1]}-{3 * int(quarter[2]) - 2:02d}"
    if _YEAR.fullmatch(text):
        text = f"{text}-01-01"
    elif _MONTH.fullmatch(text):
        year, _, month = text.partition("-")
        text = f"{year}-{int(month):02d}-01"
    elif re.fullmatch(r"-?\d{1,7}|-?\d{9,}", text) or re.fullmatch(r"-?\d+\.0", text):
        return Stamp(int(float(text)) if "." in text else int(text), False)
    elif dashes := re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})(.*)", text):
        text = f"{dashes[1]}-{int(dashes[2]):02d}-{int(dashes[3]):02d}{dashes[4]}"
    return Stamp(_microseconds(dt.datetime.fromisoformat(text)), True)


def _microseconds(time: dt.datetime) -> int:
    if time.tzinfo is not None:
        time = time.astimezone(dt.UTC).replace(tzinfo=None)
    return (time - _EPOCH) // dt.timedelta(microseconds=1)


def stamp_text(value: SupportsInt, is_time: bool) -> str:
    """As a person writes it: a date where it is midnight."""
    if not is_time:
        return str(int(value))
    time = _EPOCH + dt.timedelta(microseconds=int(value))
    midnight = (time.hour, time.minute, time.second, time.microsecond) == (0, 0, 0, 0)
    return time.date().isoformat() if midnight else time.isoformat()


class Step(NamedTuple):
    """The distance of neighbouring stamps: `count` units. The days of months stay as they are:
    the first of each, say, or where `month_end` the last."""

    unit: Unit
    count: int
    month_end: bool = False

    @property
    def words(self) -> str:
        """In words: a week, 15 minutes, 3 months."""
        if self.unit != "microsecond":
            name, number = (
                {"business day": "working day", "number": "step"}.get(self.unit, self.unit),
                self.count,
            )
        else:
            name, number = next(
                (name, self.count // size)
                for name, size in (
                    ("week", _WEEK), ("day", _DAY), ("hour", _HOUR), ("minute", _MINUTE),
                    ("second", _SECOND), ("microsecond", _MICROSECOND),
                )
                if self.count % size == 0
            )  # fmt: skip
        if (self.unit, self.count) in (("month", 3), ("month", 12)):
            return "a quarter" if self.count == 3 else "a year"
        return f"a{'n' * (name == 'hour')} {name}" if number == 1 else f"{number:,} {name}s"

    @property
    def season(self) -> int:
        """Steps until the calendar repeats itself: hours of a day, days of a week, weeks or months
        of a year; 1: it does not."""
        if self.unit == "month":
            return max(1, 12 // self.count) if 12 % self.count == 0 else 1
        if self.unit == "business day":
            return 5
        if self.unit == "number":
            return 1
        if self.count % _WEEK == 0:
            return 52 if self.count == _WEEK else 1
        if self.count % _DAY == 0:
            return 7 if self.count == _DAY else 1
        longer = (
            _DAY if self.count >= 5 * _MINUTE else _HOUR if self.count >= 5 * _SECOND else _MINUTE
        )
        return max(1, longer // self.count) if longer % self.count == 0 else 1

    @property
    def horizon(self) -> int:
        """Steps that are usually forecast: those of the M4 competition (Makridakis et al. 2020)
        where it has the frequency, else a season, 6 to 48."""
        known = {
            ("month", 12): 6, ("month", 3): 8, ("month", 1): 18, ("microsecond", _WEEK): 13,
            ("microsecond", _DAY): 14, ("business day", 1): 14, ("microsecond", _HOUR): 48,
        }  # fmt: skip
        return known.get((self.unit, self.count), min(48, max(6, self.season)))

    def positions(self, stamps_T: np.ndarray) -> np.ndarray:
        """Where stamps are on the grid of whole steps, as float64 [T], the first one at 0: a
        fraction where one is beside it."""
        if self.unit == "month":
            moment_T, day_T, end_T = _months_of(stamps_T)
            off_T = ~end_T if self.month_end else day_T != day_T[0]
            return (moment_T - moment_T[0]) / self.count + np.where(off_T, 0.5, 0.0)
        if self.unit == "business day":
            day_T = _days_of(stamps_T)
            count_T = np.busday_count(day_T[0], day_T).astype(np.float64)
            return count_T + np.where(np.is_busday(day_T), 0.0, 0.5)
        return (stamps_T - stamps_T[0]) / self.count

    def stamps(self, first: int, positions_T: np.ndarray) -> np.ndarray:
        """The stamps at whole steps from the stamp `first`: the inverse of `positions`."""
        if self.unit == "month":
            start = np.array([first])
            month_T = _months_of(start)[0][0] + positions_T * self.count
            begin_T = month_T.astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)
            if self.month_end:
                after_T = (month_T + 1).astype("datetime64[M]").astype("datetime64[us]")
                return after_T.astype(np.int64) - _DAY + first % _DAY
            own = start.astype("datetime64[us]").astype("datetime64[M]").astype("datetime64[us]")
            return begin_T + (first - own.astype(np.int64)[0])
        if self.unit == "business day":
            day = np.array([first]).astype("datetime64[us]").astype("datetime64[D]")[0]
            day_T = np.busday_offset(day, positions_T, roll="forward")
            return day_T.astype("datetime64[us]").astype(np.int64) + first % _DAY
        return first + positions_T * self.count


def step_of(stamps: list[np.ndarray], is_time: bool) -> Step:
    """The step of series whose stamps [T] rise: the most common distance of neighbours, in months
    where all stamps are the same day of months, or the last.

    Raises ValueError where no series has two stamps.
    """
    distances = [np.diff(stamps_T) for stamps_T in stamps if len(stamps_T) > 1]
    if not distances:
        raise ValueError("no series has two rows")
    common = _most_common(np.concatenate(distances))
    if not is_time:
        return Step("number", common)
    if common >= 28 * _DAY:
        months = [_months_of(stamps_T) for stamps_T in stamps if len(stamps_T) > 1]
        same_day = all((day_T == day_T[0]).all() for _, day_T, _ in months)
        month_end = all(end_T.all() for _, _, end_T in months)
        if same_day or month_end:
            count = _most_common(np.concatenate([np.diff(m_T) for m_T, _, _ in months]))
            return Step("month", count, month_end=month_end and not same_day)
    if common == _DAY:
        days = [_days_of(stamps_T) for stamps_T in stamps]
        working = all(np.is_busday(day_T).all() for day_T in days)
        if working and any(
            np.diff(stamps_T).max() > 2 * _DAY for stamps_T in stamps if len(stamps_T) > 1
        ):
            return Step("business day", 1)
    return Step("microsecond", common)


def calendar_features(step: Step, stamps_T: np.ndarray) -> np.ndarray:
    """Where in their calendar stamps are, as sine and cosine of each circle that is longer than
    the step: minute of the hour, hour of the day, day of the week, day of the year. [T, F], F from
    `num_calendar_features`. A whole number has no calendar."""
    if step.unit == "number":
        return np.zeros((len(stamps_T), 0), np.float32)
    circles = []
    year_T = stamps_T.astype("datetime64[us]").astype("datetime64[Y]")
    begin_T = year_T.astype("datetime64[us]").astype(np.int64)
    end_T = (year_T + 1).astype("datetime64[us]").astype(np.int64)
    phases = {
        _HOUR: (stamps_T % _HOUR) / _HOUR,
        _DAY: (stamps_T % _DAY) / _DAY,
        _WEEK: ((stamps_T + 3 * _DAY) % _WEEK) / _WEEK,  # 1970 began on a Thursday
        365 * _DAY: (stamps_T - begin_T) / (end_T - begin_T),
    }
    for size in _circles(step):
        angle_T = 2 * math.pi * phases[size]
        circles += [np.sin(angle_T), np.cos(angle_T)]
    return (
        np.stack(circles, axis=-1).astype(np.float32) if circles else np.zeros((len(stamps_T), 0))
    )


def num_calendar_features(step: Step) -> int:
    """Numbers at each position that `calendar_features` gives."""
    return 0 if step.unit == "number" else 2 * len(_circles(step))


def _circles(step: Step) -> list[int]:
    length = {"month": 30 * _DAY * step.count, "business day": _DAY}.get(step.unit, step.count)
    return [size for size in (_HOUR, _DAY, _WEEK, 365 * _DAY) if length < size <= 2000 * length]


def _most_common(distances: np.ndarray) -> int:
    values, counts = np.unique(distances, return_counts=True)
    return int(values[counts.argmax()])


def _days_of(stamps_T: np.ndarray) -> np.ndarray:
    return stamps_T.astype("datetime64[us]").astype("datetime64[D]")


def _months_of(stamps_T: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Months since 1970, microseconds since the month began, and whether it is the last day."""
    time_T = stamps_T.astype("datetime64[us]")
    month_T = time_T.astype("datetime64[M]")
    inside_T = stamps_T - month_T.astype("datetime64[us]").astype(np.int64)
    next_day_T = (time_T.astype("datetime64[D]") + 1).astype("datetime64[M]")
    return month_T.astype(np.int64), inside_T, next_day_T != month_T
