"""The run folder: the only hand-off between training, measuring, ranking, the report and use.

runs/NAME/plan.json                  the plan
runs/NAME/trials/HASH/trial.json     a trial's whole configuration
runs/NAME/trials/HASH/records.jsonl  its records, append-only
runs/NAME/trials/HASH/checkpoint/    its weights
runs/NAME/trials/HASH/failure.json   why it failed, and error.txt with the traceback of its code
runs/NAME/prepared/                  the task's data, prepared once for all processes
runs/NAME/baselines.jsonl            what a model has to beat, computed before it trains
runs/NAME/measurements.jsonl         costs, curves and maps, measured alone on the machine
runs/NAME/results.sqlite             the same records, for queries
runs/NAME/report.html                the page
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from seqarena.arena.plan import PLACES, Plan, Trial
from seqarena.core.config import Config, canonical_json
from seqarena.core.errors import UserError
from seqarena.core.options import flags
from seqarena.core.results.lines import read_signed
from seqarena.core.results.measurement import Series, read_measurements
from seqarena.core.results.quantities import latest_costs
from seqarena.core.results.records import FailureRecord, ResultRecord, read_records
from seqarena.core.runtime import now
from seqarena.core.words import listed
from seqarena.jobs.files import locked, sweep, write_atomically, write_signed
from seqarena.jobs.job import Failure
from seqarena.models.any import AnyConfig

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
_TASK_OPTIONS = {"kind": "--task", "sequence_length": "--length", "tokenizer": "--tokenizer"}
# fields of a model that follow from the size or the task, and are not named beside them
_FOLLOWING = {"width", "channel_width", "dropout", "layers", "vocab_size", "max_length"}
_ROUNDING = "sums are rounded in another order, which can change a score by about 1e-4"


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
    def baselines_path(self) -> Path:
        return self.path / "baselines.jsonl"

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

    def adopt(self, plan: Plan) -> list[str]:
        """Makes the folder this plan's; sentences about what is not as in its last call, and may
        be so. Raises UserError, with every difference, when it holds another comparison."""
        said: list[str] = []
        if self.plan_path.exists():
            old = self.load_plan()
            if found := differences(old, plan):
                raise UserError(
                    f"{self.path} holds a comparison with other settings (there -> here): "
                    f"{', '.join(found)}; choose another --name, or delete the folder"
                )
            said = remarks(old, plan)
        write_signed(self.plan_path, plan.model_dump_json(indent=1))
        return said

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


def last_result(path: Path) -> ResultRecord | None:
    """The result that ends a trial's records, None while it is not finished."""
    last = None
    for record in read_records(path):
        last = record
    return last if isinstance(last, ResultRecord) else None


def differences(old: Plan, new: Plan) -> list[str]:
    """Every setting that differs, as `--depth 2 -> 4`, in the order of the plan's fields.

    A difference makes other trials of the same architectures, so that the folder's trials would
    drop out of the ranking. More architectures, seeds or rates, another number of threads,
    another device and another library of products are no difference: `remarks` says them.
    """
    asked = [
        *_task_differences(old, new),
        *_option_differences(old.size, new.size),
        *_option_differences(old.training, new.training),
    ]
    found = [*asked, *_pair("--dtype", old.dtype, new.dtype)]
    start = [without_places("start", plan.start) for plan in (old, new)]
    if canonical_json(start[0]) != canonical_json(start[1]):
        places = [plan.start and plan.start.checkpoint for plan in (old, new)]
        found += [f"--start-from {_said(places[0])} -> {_said(places[1])}, or its weights"]
    before = {entry.architecture: entry.model for entry in old.entries}
    for entry in new.entries:
        if entry.architecture in before:
            models = (before[entry.architecture], entry.model)
            for name, pair in _model_differences(*models):
                if not (asked and name.rpartition(".")[2] in _FOLLOWING):
                    found += _pair(f"{name} of {entry.architecture}", *pair)
    return list(dict.fromkeys(found))


def remarks(old: Plan, new: Plan) -> list[str]:
    """Sentences about what is not as in the last call, and may be so."""
    said = []
    for word, before, after in (
        ("thread(s)", old.threads, new.threads),
        ("as device", old.device, new.device),
        ("for float32 products", old.products, new.products),
    ):
        if before != after:
            why = _ROUNDING if new.training.budget.seconds is None else "all trials run again"
            said.append(
                f"the last call here had {before} {word} for each trial, this one has {after}: "
                f"{why}"
            )
    names = {entry.architecture: entry for entry in new.entries}
    gone = [e.architecture for e in old.entries if e.architecture not in names]
    gone += [f"rate {rate:g}" for rate in old.search.rates if rate not in new.search.rates]
    gone += [f"seed {seed}" for seed in old.search.seeds if seed not in new.search.seeds]
    if gone:
        said.append(
            f"the last call here had {listed(gone)}, which this one leaves out of the ranking; the "
            "trials stay in the folder"
        )
    changed = [
        e.architecture
        for e in old.entries
        if e.architecture in names and e.code != names[e.architecture].code
    ]
    if changed:
        said.append(f"the sources of {listed(changed)} have changed: the trials run again")
    return said


def _task_differences(old: Plan, new: Plan) -> list[str]:
    before, after = (without_places("task", plan.task) for plan in (old, new))
    found = []
    for key in dict.fromkeys([*before, *after]):
        found += _pair(_TASK_OPTIONS.get(key, f"--set {key}"), before.get(key), after.get(key))
    places = [_said(plan.task.get("data")) for plan in (old, new)]
    if old.task_digest != new.task_digest and (not found or places[0] != places[1]):
        change = "its content" if places[0] == places[1] else f"{places[0]} -> {places[1]}"
        found.append(f"the data set ({change})")
    return found


def _option_differences(old: Config, new: Config) -> list[str]:
    found = []
    for flag in flags(type(new)).values():
        before, after = (_at(config, flag.path) for config in (old, new))
        found += _pair(flag.option, before, after)
    return found


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = getattr(value, name)
    return value


def _pair(word: str, before: Any, after: Any) -> list[str]:
    if canonical_json(before) == canonical_json(after):
        return []
    return [f"{word} {_said(before)} -> {_said(after)}"]


def _said(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _model_differences(old: AnyConfig, new: AnyConfig) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """The leaves of two models' configurations that differ, by name; of layers, those of as many
    as both have."""
    sides = [dict(_leaves(model.model_dump(mode="json"))) for model in (old, new)]
    shared = min(side.get(("stack.layers", None), 0) for side in sides)
    for name, layer in dict.fromkeys([*sides[0], *sides[1]]):
        if layer is None or layer < shared:
            pair = sides[0].get((name, layer)), sides[1].get((name, layer))
            if pair[0] != pair[1]:
                yield name, pair


def _leaves(
    value: Any, name: str = "", layer: int | None = None
) -> Iterator[tuple[tuple[str, int | None], Any]]:
    """The leaves of a model's configuration by name and number of the layer."""
    for key, inner in value.items():
        below = f"{name}.{key}" if name else str(key)
        if key == "layers":
            yield (below, None), len(inner)
            for number, one in enumerate(inner):
                yield from _leaves(one, "", number)
        elif isinstance(inner, Mapping):
            yield from _leaves(inner, below, layer)
        elif key != "source_digest":  # the sources are compared by themselves
            yield (below, layer), inner


def without_places(field: str, value: Any) -> dict[str, Any]:
    """A field of a plan without the places in it: what lies there is compared by digest."""
    if isinstance(value, Config):
        value = value.model_dump(mode="json")
    return {key: inner for key, inner in (value or {}).items() if key not in PLACES[field]}
