"""Training, validation and test of histories: by entity, or by time.

By time the first eight tenths of all events train, the next tenth validates and the last tests.
What comes later than a split is not in it, and earlier events are read and not asked for: so no
vocabulary, no scale and no target of training has seen what validates or tests.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from seqarena.core.errors import UserError
from seqarena.data.files.examples import complete, without_overlap
from seqarena.data.files.reading import Reading
from seqarena.data.series.events.history import History
from seqarena.tasks.events.configs import EventsConfig

_CUTS = (0.8, 0.9)


class SplitHistories(NamedTuple):
    """The histories of one split, and the time from which on their events are asked for."""

    histories: list[History]
    asked_from: float = -np.inf


def split_histories(
    parts: Sequence[list[History]], config: EventsConfig, reading: Reading
) -> dict[str, SplitHistories]:
    """By name. Raises UserError where a split would be empty."""
    if config.split == "time":
        return _by_time(parts, reading)
    splits = complete(*parts, reading=reading)
    if config.drop_overlap:
        splits = without_overlap(splits, lambda history: history.entity, reading, "entity")
    return {name: SplitHistories(part) for name, part in splits._asdict().items()}


def _by_time(parts: Sequence[list[History]], reading: Reading) -> dict[str, SplitHistories]:
    train, *others = parts
    if any(others):
        raise UserError("files that say their split cannot be split by time: name one file")
    times_N = np.sort(np.concatenate([history.times_T for history in train]))
    cuts = [float(times_N[int(share * len(times_N))]) for share in _CUTS]
    ends = (cuts[0], cuts[1], np.inf)
    begins = (-np.inf, *cuts)
    reading.how = "by time: the first 80 % of the events, the next 10 %, the last 10 %"
    found = {}
    for name, begin, end in zip(("train", "validation", "test"), begins, ends):
        histories = [history.before(end) for history in train]
        kept = [h for h in histories if len(h) > 1 and h.times_T[-1] >= begin]
        if not kept:
            raise UserError(f"split by time: no entity has two events by the end of {name}")
        found[name] = SplitHistories(kept, begin)
    return found


def labels_of(histories: Mapping[str, Sequence[History]], column: str) -> dict[str, list[str]]:
    """The label of each history by split. Raises UserError, with the place, for an entity without
    one and for one that changes."""
    return {split: [label_of(h, column) for h in part] for split, part in histories.items()}


def label_of(history: History, column: str) -> str:
    """The one label of a history. Raises UserError as `labels_of`."""
    values = history.fields.get(column)
    if values is None:
        names = ", ".join(history.fields)
        raise UserError(f"{history.places[0]}: no label {column!r}: it has {names}")
    for value, place in zip(values, history.places):
        if value is None:
            raise UserError(f"{place}: {column!r} is empty: every row needs its entity's label")
        if value != values[0]:
            raise UserError(
                f"{place}: entity {history.entity!r} has the label {value!r} and {values[0]!r} "
                "before: one label an entity is needed"
            )
    return str(values[0])
