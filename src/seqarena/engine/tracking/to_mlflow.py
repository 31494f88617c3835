"""MLflow: an experiment a run folder, a run a trial. They go where MLFLOW_TRACKING_URI says, else
to `runs/NAME/mlflow.db`, a file of SQLite. Nothing is sent to MLflow's makers."""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from seqarena.engine.tracking.tracker import Ending, TrackedPoint, TrackedTrial

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
_MOST = 500  # metrics of one call, and below what servers take
_STATUS = {"finished": "FINISHED", "diverged": "FAILED", "failed": "FAILED", "stopped": "KILLED"}


def where(folder: Path) -> str:
    """How it is looked at."""
    place = _uri(folder)
    return f"mlflow ui --backend-store-uri {place}" if place.startswith("sqlite:") else place


def _uri(folder: Path) -> str:
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(folder / 'mlflow.db').resolve()}"


class MLflowTracker:
    """Metrics by step; the settings as parameters."""

    def __init__(self, trial: TrackedTrial) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow.entities import Param  # pyright: ignore[reportMissingImports]
        from mlflow.tracking import MlflowClient  # pyright: ignore[reportMissingImports]

        for noisy in ("mlflow", "mlflow.store.db.utils", "alembic"):  # tables that are made
            logging.getLogger(noisy).setLevel(logging.WARNING)
        uri = _uri(trial.folder)
        self._client = MlflowClient(tracking_uri=uri)
        if trial.identity is not None:
            self.identity = trial.identity
            self._client.update_run(self.identity, status="RUNNING")
        else:
            self.identity = self._begin(trial, uri)
            params = [Param(name, str(value)[:500]) for name, value in trial.config.items()]
            self._client.log_batch(self.identity, params=params[:100])
        self._step = trial.step

    def _begin(self, trial: TrackedTrial, uri: str) -> str:
        found = self._client.get_experiment_by_name(trial.project)
        if found is None:
            local = (trial.folder / "mlflow-artifacts").resolve().as_uri()
            number = self._client.create_experiment(
                trial.project, artifact_location=local if uri.startswith("sqlite:") else None
            )
        else:
            number = found.experiment_id
        run = self._client.create_run(
            number, run_name=trial.name, tags={"seqarena.trial": trial.key}
        )
        return run.info.run_id

    def log(self, points: Sequence[TrackedPoint]) -> None:
        metrics = list(self._metrics(points))
        for first in range(0, len(metrics), _MOST):
            self._client.log_batch(self.identity, metrics=metrics[first : first + _MOST])
        self._step = points[-1].step if points else self._step

    def _metrics(self, points: Sequence[TrackedPoint]) -> Iterator[Any]:
        from mlflow.entities import Metric  # pyright: ignore[reportMissingImports]

        now = round(time.time() * 1000)
        for point in points:
            for name, value in point.values.items():
                yield Metric(name, value, now, point.step)

    def finish(self, scores: dict[str, float], ending: Ending) -> None:
        self.log([TrackedPoint(self._step, scores)])
        self._client.set_terminated(self.identity, status=_STATUS[ending])
