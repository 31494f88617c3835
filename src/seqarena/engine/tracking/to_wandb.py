"""Weights & Biases: a project a run folder, a run a trial. Without a key (WANDB_API_KEY, or one
that `wandb login` has kept) it is offline: files below `runs/NAME/wandb`, for `wandb sync`.
WANDB_MODE counts over both."""

import netrc
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from seqarena.engine.tracking.tracker import Ending, TrackedPoint, TrackedTrial

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
_HOST = "api.wandb.ai"


def where(folder: Path) -> str:
    """How it is looked at."""
    if _mode() == "offline":
        return f"offline, without a key; wandb sync {folder / 'wandb'}/offline-* sends it"
    return f"{_mode()}, as project {folder.name}"


def _mode() -> str:
    return os.environ.get("WANDB_MODE") or ("online" if _has_key() else "offline")


def _has_key() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    with suppress(OSError, netrc.NetrcParseError):
        host = os.environ.get("WANDB_BASE_URL", _HOST).rpartition("/")[2]
        return netrc.netrc().authenticators(host) is not None
    return False


class WandbTracker:
    """Numbers by step; the settings as its config, the last scores as its summary."""

    def __init__(self, trial: TrackedTrial) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb  # pyright: ignore[reportMissingImports]

        self.identity = trial.key
        settings: Any = wandb.Settings(
            silent=True, console="off", x_disable_stats=True, x_disable_meta=True
        )
        self._run: Any = wandb.init(
            project=trial.project,
            name=trial.name,
            id=trial.key,
            dir=str(trial.folder),
            mode=_mode(),  # pyright: ignore[reportArgumentType]
            resume="allow",
            reinit="create_new",
            config=trial.config,
            settings=settings,
        )

    def log(self, points: Sequence[TrackedPoint]) -> None:
        for point in points:
            self._run.log(point.values, step=point.step)

    def finish(self, scores: dict[str, float], ending: Ending) -> None:
        self._run.summary.update({**scores, "ending": ending})
        self._run.finish(exit_code=0 if ending == "finished" else 1)
