"""The one interface of every tracker, and the names that `--track` takes.

A tracker follows one trial. It is opened with what the trial is, is handed points as they come,
and is told how the trial ended. A further tracker is a file with such a class, and a row here.
"""

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from seqarena.core.config import load_object
from seqarena.core.errors import missing_extra

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
Ending = Literal["finished", "diverged", "failed", "stopped"]


class TrackedTrial(NamedTuple):
    """One trial as a tracker sees it. `identity` is what the tracker was called by before, and
    `step` the last that it was handed then: None and 0 of a trial that is new to it."""

    project: str  # the run folder's name
    name: str  # architecture, learning rate and seed
    key: str  # the hash that names its folder
    folder: Path  # of the run
    config: dict[str, bool | int | float | str]
    identity: str | None = None
    step: int = 0


class TrackedPoint(NamedTuple):
    """Numbers at one step of the optimizer, by name."""

    step: int
    values: dict[str, float]


class Tracker(Protocol):
    """What follows one trial. Whatever it raises ends the tracking, and never the training."""

    identity: str  # under which a resumed trial goes on

    def log(self, points: Sequence[TrackedPoint]) -> None:
        """Points in the order of their steps; they are on disk or sent when this returns."""
        ...

    def finish(self, scores: dict[str, float], ending: Ending) -> None:
        """How the trial ended, and its last scores."""
        ...


class _Row(NamedTuple):
    package: str  # that has to be there
    place: str  # of the class


TRACKERS = {  # each with an extra of its name
    "tensorboard": _Row(
        "tensorboard", "seqarena.engine.tracking.to_tensorboard:TensorBoardTracker"
    ),
    "mlflow": _Row("mlflow", "seqarena.engine.tracking.to_mlflow:MLflowTracker"),
    "wandb": _Row("wandb", "seqarena.engine.tracking.to_wandb:WandbTracker"),
}


def check_trackers(names: Sequence[str]) -> None:
    """Raises UserError, with the command that installs it, for a tracker that is not there."""
    for name in names:
        row = TRACKERS[name]
        if importlib.util.find_spec(row.package) is None:
            raise missing_extra(row.package, name, f"--track {name}")


def open_tracker(name: str, trial: TrackedTrial) -> Tracker:
    """A tracker of that trial; raises whatever the tracker's own library does."""
    return load_object(TRACKERS[name].place)(trial)


def where(name: str, folder: Path) -> str:
    """Where the tracker's files go and how they are looked at, in a sentence."""
    module = importlib.import_module(TRACKERS[name].place.partition(":")[0])
    return f"tracked by {name}: {module.where(folder)}"
