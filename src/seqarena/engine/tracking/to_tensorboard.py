"""TensorBoard: one folder of event files a trial, below `runs/NAME/tensorboard`."""

from collections.abc import Sequence
from pathlib import Path

from seqarena.engine.tracking.tracker import Ending, TrackedPoint, TrackedTrial

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py


def where(folder: Path) -> str:
    """How it is looked at."""
    return f"tensorboard --logdir {folder / 'tensorboard'}"


class TensorBoardTracker:
    """Scalars by step; the settings as a text."""

    def __init__(self, trial: TrackedTrial) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.identity = trial.name
        place = trial.folder / "tensorboard" / trial.name
        # what an earlier call wrote beyond the last step that it was sure of is taken back
        purge = trial.step + 1 if trial.identity else None
        self._writer = SummaryWriter(str(place), purge_step=purge)
        if trial.identity is None:
            rows = "\n".join(f"| {name} | {value} |" for name, value in trial.config.items())
            self._writer.add_text("config", f"| | |\n|-|-|\n{rows}")
        self._step = trial.step

    def log(self, points: Sequence[TrackedPoint]) -> None:
        for point in points:
            for name, value in point.values.items():
                self._writer.add_scalar(name, value, point.step)
            self._step = point.step
        self._writer.flush()

    def finish(self, scores: dict[str, float], ending: Ending) -> None:
        for name, value in scores.items():
            self._writer.add_scalar(name, value, self._step)
        self._writer.add_text("ending", ending, self._step)
        self._writer.close()
