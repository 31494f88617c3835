"""From the history of an entity to what a model reads: fitted on training events alone.

A category is the number of its value, the most frequent one first; 0 stands for one that is
missing, rare or new. At each event stand beside the categories

    first      1 at the first event of a history, of which no gap is known
    ln gap     the time since the event before, standardised (gaps.py)
    numbers    standardised; the mean where one is missing, and then a 1 in a column of its own
    clock      of dates: sine and cosine of the time of day and of the day of the week

T  events    C  categorical fields    F  features
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch

from seqarena.core.errors import UserError
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import listed
from seqarena.data.series.events.history import History
from seqarena.data.series.numbers import is_number, parse_number
from seqarena.tasks.events.configs import EventsConfig
from seqarena.tasks.events.gaps import GapScale
from seqarena.tasks.windows.scale import ChannelScale

NEW = 0  # the category of what is missing, rare or new
_MOST_CATEGORIES = 20  # whole numbers that differ: more are numbers
_MOSTLY = 0.95  # of a column's values: where so many are numbers, another one is a mistake
_FINEST = 1e-4  # of the median gap: a finer resolution tells nothing
_DAY, _WEEK = 86_400, 7 * 86_400
_MONDAY = 4 * _DAY  # 1970 began on a Thursday


class CategoryField(NamedTuple):
    """A categorical field and its values, the most frequent one first."""

    name: str
    values: tuple[str, ...]

    @property
    def size(self) -> int:
        """Different categories, NEW included."""
        return len(self.values) + 1


@dataclass(frozen=True)
class EncodedHistory:
    """The events of one entity in numbers."""

    categories_TC: np.ndarray  # int64
    features_TF: np.ndarray  # float32
    steps_T: np.ndarray  # float32: gap from the event before, in steps of the resolution; 0 first
    places: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.steps_T)


class EventEncoder(NamedTuple):
    """What is known of the fields and of time. The first field is the one that is asked for."""

    fields: tuple[CategoryField, ...]
    numbers: ChannelScale | None
    gaps: GapScale
    dates: bool

    @classmethod
    def of(
        cls, histories: Sequence[History], event: str | None, config: EventsConfig, dates: bool,
        reading: Reading,
    ) -> Self:  # fmt: skip
        """Fitted on the training histories; the reading says what each column is. `event` is the
        field that is asked for, where one is. Raises UserError with file and line for text in a
        column of numbers, and where nothing varies."""
        kinds = _kinds(histories, event, config)
        categories = []
        for name in (name for name, kind in kinds.items() if kind == "category"):
            field = _category(name, histories, config.min_count)
            if field.values or name == event:
                categories.append(field)
        numbers = [name for name, kind in kinds.items() if kind == "number"]
        if event is not None and not categories[0].values:
            raise UserError(
                f"no {event!r} comes {config.min_count} times in training: --set event names "
                "another column, or --set min_count=1"
            )
        _note(reading, kinds, categories, numbers, event)
        scale = None
        if numbers:
            rows = [_number_columns(history, numbers) for history in histories]
            scale = ChannelScale.of(rows, numbers)
        return cls(tuple(categories), scale, _gap_scale(histories, config, reading), dates)

    @property
    def num_features(self) -> int:
        numbers = 0 if self.numbers is None else self.numbers.num_features
        return 2 + numbers + (4 if self.dates else 0)

    @property
    def event(self) -> CategoryField:
        """The field whose next value is asked for."""
        return self.fields[0]

    def encode(self, history: History) -> EncodedHistory:
        """Raises UserError with file and line for a number that is none."""
        size = len(history)
        missing: tuple[None, ...] = (None,) * size
        numbered = [
            _numbered(field, history.fields.get(field.name, missing)) for field in self.fields
        ]
        steps_T = np.zeros(size)
        steps_T[1:] = np.rint(np.diff(history.times_T) / self.gaps.resolution)
        gap_T = self.gaps.standardised(torch.from_numpy(steps_T)).numpy()
        first_T = np.arange(size) == 0
        features = [first_T[:, None], np.where(first_T, 0.0, gap_T)[:, None]]
        if self.numbers is not None:
            features.append(self.numbers.features(_number_columns(history, self.numbers.names)))
        if self.dates:
            features.append(_clock(history.times_T))
        return EncodedHistory(
            np.stack(numbered, axis=1) if numbered else np.zeros((size, 0), dtype=np.int64),
            np.concatenate(features, axis=1).astype(np.float32),
            steps_T.astype(np.float32),
            history.places,
        )

    def to_json(self) -> str:
        return json.dumps(
            {
                "fields": self.fields,
                "numbers": None if self.numbers is None else self.numbers.to_json(),
                "gaps": self.gaps,
                "dates": self.dates,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        found = json.loads(text)
        numbers = found["numbers"]
        return cls(
            tuple(CategoryField(name, tuple(values)) for name, values in found["fields"]),
            None if numbers is None else ChannelScale.from_json(numbers),
            GapScale(*found["gaps"]),
            found["dates"],
        )


def _kinds(histories: Sequence[History], event: str | None, config: EventsConfig) -> dict[str, str]:
    """category, number, or nothing (left out) for each field; the one asked for comes first."""
    first = [] if event is None else [event]
    names = dict.fromkeys([*first, *(name for history in histories for name in history.fields)])
    for setting in ("categories", "numbers", "leave_out"):
        for name in getattr(config, setting):
            if name not in names:
                raise UserError(f"--set {setting}: no column {name!r}: it has {listed(names)}")
    left_out = {*config.leave_out, *([] if config.label is None else [config.label])}
    found = {}
    for name in names:
        if name in left_out:
            continue
        if name == event or name in config.categories:
            found[name] = "category"
        elif name in config.numbers:
            found[name] = "number"
        else:
            found[name] = _guessed(name, histories)
    return found


def _guessed(name: str, histories: Sequence[History]) -> str:
    """Numbers are what mostly are, where one is no whole number or many differ; a column with one
    value says nothing."""
    values = [v for history in histories for v in history.fields.get(name, ()) if v is not None]
    different = set(values)
    if len(different) < 2:
        return ""
    numbers = {value for value in different if is_number(value)}
    of_numbers = sum(value in numbers for value in values)
    if of_numbers >= _MOSTLY * len(values) and numbers:
        many = len(numbers) > _MOST_CATEGORIES
        if many or any(float(value) % 1 for value in numbers):
            return "number"
    return "category"


def _category(name: str, histories: Sequence[History], min_count: int) -> CategoryField:
    counts = Counter(
        value
        for history in histories
        for value in history.fields.get(name, ())
        if value is not None
    )
    kept = [(-count, value) for value, count in counts.items() if count >= min_count]
    return CategoryField(name, tuple(value for _, value in sorted(kept)))


def _numbered(field: CategoryField, values: Sequence[str | None]) -> np.ndarray:
    number = {value: index for index, value in enumerate(field.values, start=1)}
    return np.array([NEW if v is None else number.get(v, NEW) for v in values], dtype=np.int64)


def _number_columns(history: History, names: Sequence[str]) -> np.ndarray:
    """[T, numbers], NaN where one is missing."""
    missing: tuple[None, ...] = (None,) * len(history)
    found = [
        [
            _number(value, place, name)
            for value, place in zip(history.fields.get(name, missing), history.places)
        ]
        for name in names
    ]
    return np.array(found, dtype=np.float64).T


def _number(value: str | None, place: str, name: str) -> float:
    try:
        return parse_number(value, place, name)
    except UserError as error:
        raise UserError(
            f"{error}; the others are: --set categories='[\"{name}\"]' reads them as categories"
        ) from error


def _gap_scale(histories: Sequence[History], config: EventsConfig, reading: Reading) -> GapScale:
    gaps_N = np.concatenate([np.diff(history.times_T) for history in histories])
    positive_N = gaps_N[gaps_N > 0]
    if not len(positive_N):
        raise UserError("no two training events of an entity have different times")
    resolution = config.resolution or _finest(positive_N, float(np.median(positive_N)))
    logs_N = np.log(np.maximum(np.rint(gaps_N / resolution), 0.5))
    if config.resolution is None:
        reading.note(f"times are taken as known to {resolution:g}; --set resolution says otherwise")
    return GapScale(float(logs_N.mean()), max(float(logs_N.std()), 1e-3), resolution)


def _finest(gaps_N: np.ndarray, median: float) -> float:
    """The largest step whose multiples all gaps are: a day, an hour, a minute, one, or a power of
    ten below it; at least a ten-thousandth of the median gap."""
    for step in (86_400.0, 3600.0, 60.0, 1.0, *(10.0**-power for power in range(1, 10))):
        counts_N = gaps_N / step
        if step <= 1.001 * gaps_N.min() and np.abs(counts_N - np.rint(counts_N)).max() < 1e-3:
            return max(step, _FINEST * median)
    return _FINEST * median


def _clock(times_T: np.ndarray) -> np.ndarray:
    """Sine and cosine of the time of day, and of the week: [T, 4]."""
    angles: list[Callable[[np.ndarray], np.ndarray]] = [np.sin, np.cos]
    phases = [times_T % _DAY / _DAY, (times_T - _MONDAY) % _WEEK / _WEEK]
    return np.stack([turn(2 * math.pi * phase_T) for phase_T in phases for turn in angles], axis=1)


def _note(
    reading: Reading, kinds: dict[str, str], categories: Sequence[CategoryField],
    numbers: Sequence[str], event: str | None,
) -> None:  # fmt: skip
    read = {field.name for field in categories}
    named = [f"{field.name} ({len(field.values):,})" for field in categories]
    asked = "" if event is None else f"; asked for: {event}"
    reading.note(f"categories: {listed(named)}{asked}")
    if numbers:
        reading.note(f"numbers: {listed(numbers)}")
    silent = [name for name in kinds if name not in read and name not in numbers]
    if silent:
        reading.note(f"columns that say nothing (one value, or none that recurs): {listed(silent)}")
