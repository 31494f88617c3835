"""Follows trials and feeds trackers, in a thread of its own: training waits for none of them.

What a tracker is handed are the records that trials write, read from their files: it works with
any executor, a resumed trial goes on where its tracker was (`tracked.json` beside the records says
where), and a finished trial that no tracker has seen is handed over whole. A tracker that fails is
named once and left out; training goes on.
"""

import json
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seqarena.arena.folder import RunFolder
from seqarena.arena.plan import Trial
from seqarena.core.config import Config
from seqarena.core.errors import one_line
from seqarena.core.results.lines import verified
from seqarena.core.results.records import (
    EvaluationRecord,
    ResultRecord,
    StepRecord,
    parse_record,
)
from seqarena.engine.tracking.tracker import (
    Ending,
    TrackedPoint,
    TrackedTrial,
    Tracker,
    open_tracker,
)
from seqarena.jobs.files import write_atomically
from seqarena.jobs.job import Event

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
EVERY_SECONDS = 1.0  # between two looks at the records
_PATIENCE_SECONDS = 60.0  # for what is left to hand over at the end
_FILE = "tracked.json"


class _Mark(Config):
    """How far one tracker is with one trial."""

    identity: str
    step: int = 0
    ended: bool = False


class TrialFeed:
    """The records of one trial as points, each once; what is torn is left for the next look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place, self._file = 0, 0
        self.step = 0  # the last that was read
        self.scores: dict[str, float] = {}
        self.ending: Ending | None = None

    def points(self) -> list[TrackedPoint]:
        """What is new. A file that was rewound (a trial that runs again) is read from its start;
        who follows leaves out the steps that it knows."""
        by_step: dict[int, dict[str, float]] = {}
        for record in self._records():
            step, values = self._read(record)
            if values:
                known = by_step.setdefault(step, {})
                known |= {name: x for name, x in values.items() if math.isfinite(x)}
                self.step = max(self.step, step)
        return [TrackedPoint(step, values) for step, values in sorted(by_step.items())]

    def _records(self) -> Iterator[Any]:
        if not self._path.exists():
            return
        facts = self._path.stat()
        if facts.st_ino != self._file or facts.st_size < self._place:
            self._place, self._file = 0, facts.st_ino
        with self._path.open("rb") as file:
            file.seek(self._place)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._place += len(whole)
        for line in whole.split(b"\n")[:-1]:
            yield parse_record(verified(line.decode("utf-8")))

    def _read(self, record: Any) -> tuple[int, dict[str, float]]:
        if isinstance(record, StepRecord):
            return record.step, {
                "train/loss_nats": record.loss_nats,
                "train/gradient_norm": record.gradient_norm,
                "train/learning_rate": record.learning_rate,
                "train/tokens": record.tokens,
                "train/seconds": record.training_seconds,
            }
        if isinstance(record, EvaluationRecord) and record.split == "validation":
            return record.step, {f"validation/{record.metric}": record.value}
        if isinstance(record, ResultRecord):
            found = {"final/validation": record.validation_value, "final/test": record.test_value}
            self.scores = {name: x for name, x in found.items() if x is not None}
            self.ending = record.status
        return 0, {}


class _Followed(NamedTuple):
    trial: Trial
    feed: TrialFeed
    trackers: dict[str, Tracker]
    marks: dict[str, _Mark]


class Tracking:
    """Trackers of a run's trials, fed while it trains. A context: its end hands over the rest."""

    def __init__(
        self, names: Sequence[str], folder: RunFolder, project: str, say: Callable[[str], None]
    ) -> None:
        """`say` is given a sentence for a tracker that fails."""
        self._names, self._folder, self._project, self._say = list(names), folder, project, say
        self._news: dict[str, tuple[Trial, Ending | None]] = {}
        self._known: dict[str, _Followed] = {}
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)

    def __enter__(self) -> "Tracking":
        if self._names:
            self._thread.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._stop.set()
        if not self._thread.is_alive():
            return
        self._thread.join(_PATIENCE_SECONDS)
        if self._thread.is_alive():
            self._say(
                f"{', '.join(self._names)} did not take the rest in {_PATIENCE_SECONDS:g} seconds; "
                "the run folder has it"
            )

    def take(self, event: Event, trial: Trial) -> None:
        """Takes note that there is something new of a trial."""
        if not self._names:
            return
        ending: Ending | None = "failed" if event.kind == "failed" else None
        with self._lock:
            self._news[trial.hash] = trial, ending

    def _work(self) -> None:
        last = False
        while not last:
            last = self._stop.wait(EVERY_SECONDS)
            with self._lock:
                news, self._news = self._news, {}
            for trial, ending in news.values():
                self._hand_over(self._followed(trial), ending)
        for one in list(self._known.values()):
            self._hand_over(one, "stopped")

    def _followed(self, trial: Trial) -> _Followed:
        if trial.hash not in self._known:
            place = self._folder.trial_path(trial)
            marks = _read_marks(place / _FILE)
            self._known[trial.hash] = _Followed(
                trial, TrialFeed(place / "records.jsonl"), {}, marks
            )
        return self._known[trial.hash]

    def _hand_over(self, one: _Followed, ending: Ending | None) -> None:
        try:
            points = one.feed.points()
        except (OSError, ValueError) as error:  # a run that reads its records says so itself
            self._give_up(list(self._names), error)
            return
        ending = one.feed.ending or ending
        for name in list(self._names):
            try:
                self._feed_one(name, one, points, ending)
            except Exception as error:  # whatever the tracker's library raises
                self._give_up([name], error)
        if ending is not None:
            self._known.pop(one.trial.hash, None)

    def _feed_one(
        self, name: str, one: _Followed, points: Sequence[TrackedPoint], ending: Ending | None
    ) -> None:
        mark = one.marks.get(name)
        if mark is not None and mark.ended:
            return
        if name not in one.trackers:
            if not points and not (ending and one.feed.scores):
                return
            one.trackers[name] = open_tracker(name, self._tracked(one.trial, mark))
        tracker, step = one.trackers[name], mark.step if mark else 0
        fresh = [point for point in points if point.step > step or _is_late(point, step)]
        if fresh:
            tracker.log(fresh)
            step = max(step, fresh[-1].step)
        ended = ending is not None and one.feed.ending is not None
        if ending is not None:
            tracker.finish(one.feed.scores, ending)
        one.marks[name] = _Mark(identity=tracker.identity, step=step, ended=ended)
        _write_marks(self._folder.trial_path(one.trial) / _FILE, one.marks)

    def _tracked(self, trial: Trial, mark: _Mark | None) -> TrackedTrial:
        training = trial.training
        rate = f"{training.optimizer.learning_rate:g}"
        again = f"-again{trial.repetition}" if trial.repetition else ""
        return TrackedTrial(
            project=self._project,
            name=f"{trial.architecture}-rate{rate}-seed{training.seed}{again}-{trial.hash[:6]}",
            key=trial.hash,
            folder=self._folder.path,
            config=_settings(trial),
            identity=mark.identity if mark else None,
            step=mark.step if mark else 0,
        )

    def _give_up(self, names: Sequence[str], error: Exception) -> None:
        for name in names:
            self._names.remove(name)
            self._say(f"{name} is tracked no further, and training goes on: {one_line(error)}")


def _is_late(point: TrackedPoint, step: int) -> bool:
    """An evaluation is recorded after its step, and may come in the next look."""
    return point.step == step and "train/loss_nats" not in point.values


def _settings(trial: Trial) -> dict[str, bool | int | float | str]:
    """What a trial is, flat: no nested value and no default that says nothing."""
    fields = {
        "architecture": trial.architecture,
        "parameters": trial.parameters,
        "width": trial.model.width,
        "repetition": trial.repetition,
        "task": trial.task,
        "training": trial.training.model_dump(mode="json"),
    }
    return dict(_flat(fields, ""))


def _flat(fields: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, bool | int | float | str):
            yield f"{prefix}{name}", value


def _read_marks(path: Path) -> dict[str, _Mark]:
    """None where nothing can be read: trackers then begin a run of their own."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return {name: _Mark(**mark) for name, mark in fields.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write_marks(path: Path, marks: dict[str, _Mark]) -> None:
    write_atomically(path, json.dumps({name: mark.model_dump() for name, mark in marks.items()}))
