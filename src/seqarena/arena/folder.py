"""The run folder: the only hand-off between training, measuring, ranking, the report and use.

runs/NAME/plan.json                  the plan
runs/NAME/trials/HASH/trial.json     a trial's whole configuration
runs/NAME/trials/HASH/records.jsonl  its records, append-only
runs/NAME/trials/HASH/checkpoint/    its weights
runs/NAME/trials/HASH/failure.json   why it failed, and error.txt with the traceback of its code
runs/NAME/prepared/                  the task's data, prepared once for all processes
runs/NAME/measurements.jsonl         costs, curves and maps, measured alone on the machine
runs/NAME/results.sqlite             the same records, for queries
runs/NAME/report.html                the page
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from seqarena.arena.plan import PLACES, Plan, Trial
from seqarena.core.config import canonical_json
from seqarena.core.errors import UserError
from seqarena.core.results.lines import read_signed
from seqarena.core.results.measurement import Series, read_measurements
from seqarena.core.results.quantities import latest_costs
from seqarena.core.results.records import FailureRecord, ResultRecord, read_records
from seqarena.core.runtime import now
from seqarena.jobs.files import locked, sweep, write_atomically, write_signed
from seqarena.jobs.job import Failure

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py

# A plan may be called again with other values of these; finished trials are kept. The sources that
# a trial runs are in its own name, and where it ran is in its records.
_MAY_CHANGE = {"command", "entries", "excluded", "search", "name", "code", "threads", "device"}


class RunFolder:
    """Paths and atomic writes of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def plan_path(self) -> Path:
        return self.path / "plan.json"

    @property
    def report_path(self) -> Path:
        return self.path / "report.html"

    @property
    def measurements_path(self) -> Path:
        return self.path / "measurements.jsonl"

    @property
    def prepared_path(self) -> Path:
        return self.path / "prepared"

    def trial_path(self, trial: Trial) -> Path:
        return self.path / "trials" / trial.hash

    def load_plan(self) -> Plan:
        """Raises UserError where there is no plan, a damaged one, or one of another version."""
        if not self.plan_path.exists():
            raise UserError(f"{self.path} is not a run folder: it has no plan.json")
        text = read_signed(
            self.plan_path, "delete it and give the command of this run again, which keeps trials"
        )
        try:
            return Plan.model_validate_json(text)
        except ValidationError as error:
            raise UserError(
                f"{self.plan_path} was not written by this version of seqarena: "
                f"{error.errors()[0]['msg']}"
            ) from error

    def adopt(self, plan: Plan) -> None:
        """Makes the folder this plan's. Raises UserError when it holds another comparison."""
        if self.plan_path.exists():
            old = self.load_plan().model_dump(mode="json")
            for key, value in plan.model_dump(mode="json").items():
                if key not in _MAY_CHANGE and canonical_json(_place_free(key, old[key])) != (
                    canonical_json(_place_free(key, value))
                ):
                    raise UserError(
                        f"{self.path} holds a comparison with another {_word(key, old, value)}: "
                        "choose another --name, or delete the folder"
                    )
        write_signed(self.plan_path, plan.model_dump_json(indent=1))

    def result(self, trial: Trial) -> ResultRecord | None:
        """The trial's result, None while it is not finished."""
        return last_result(self.trial_path(trial) / "records.jsonl")

    def failure(self, trial: Trial) -> str | None:
        """Why the trial failed when it was tried last; None where it did not."""
        path = self.trial_path(trial) / "failure.json"
        if not path.exists():
            return None
        text = read_signed(path, "delete it: the same command tries the trial again")
        try:
            return FailureRecord.model_validate_json(text).reason
        except ValidationError:
            raise UserError(f"{path} says no reason: delete it") from None

    def keep_failure(self, trial: Trial, failure: Failure) -> None:
        """Records why the trial failed, with the traceback of its code where that is the reason."""
        folder = self.trial_path(trial)
        record = FailureRecord(reason=failure.message, failed_at=now())
        write_signed(folder / "failure.json", record.model_dump_json(indent=1))
        if failure.traceback:
            write_atomically(folder / "error.txt", failure.traceback)

    def forget_failure(self, trial: Trial) -> None:
        """As when the trial is tried again."""
        for name in ("failure.json", "error.txt"):
            (self.trial_path(trial) / name).unlink(missing_ok=True)

    def costs(self) -> list[Series]:
        """Each cost as it was measured last."""
        return latest_costs(read_measurements(self.measurements_path))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One comparison at a time in a folder; released by the system when the process ends."""
        with locked(self.path / ".lock"):
            sweep(self.path)
            yield


def _word(key: str, old: dict[str, Any], value: Any) -> str:
    """What differs, in words: of the size and the training, the field itself."""
    if key in ("size", "training"):
        key = next(inner for inner in value if value[inner] != old[key].get(inner))
    return "data set" if key == "task_digest" else key.replace("_", " ")


def last_result(path: Path) -> ResultRecord | None:
    """The result that ends a trial's records, None while it is not finished."""
    last = None
    for record in read_records(path):
        last = record
    return last if isinstance(last, ResultRecord) else None


def _place_free(field: str, value: Any) -> Any:
    """A field of a plan without the places in it: what lies there is compared by digest."""
    if isinstance(value, dict):
        return {key: inner for key, inner in value.items() if key not in PLACES.get(field, ())}
    return json.loads(json.dumps(value))
