"""Reads a run folder into one RunView: everything that ranking, tables and the report need."""

import json
from collections.abc import Sequence
from typing import Any

from seqarena.arena.baselines.jobs import current_baselines
from seqarena.arena.baselines.overlap import warned
from seqarena.arena.entries import enter
from seqarena.arena.folder import RunFolder
from seqarena.arena.plan import Plan, Role, Trial
from seqarena.arena.rank import rank_entries, unfinished
from seqarena.arena.run import RunState, reuse
from seqarena.core.results.data_summary import DataSummary
from seqarena.core.results.forecast_windows import ForecastRecord
from seqarena.core.results.lines import read_signed
from seqarena.core.results.measurement import Series
from seqarena.core.results.quantities import CostTable
from seqarena.core.results.records import (
    EvaluationRecord,
    Provenance,
    ResultRecord,
    RunView,
    StepRecord,
    TrialSummary,
    read_records,
)

_CURVE_POINTS = 200  # of a training curve in the view; more is not visible


def read_run(folder: RunFolder) -> RunView:
    """The run as its records are now, ranked when at least one trial is finished.

    Raises UserError that names the file where one of the run is missing or damaged.
    """
    plan = folder.load_plan()
    task = _facts(folder, plan, "task.json")
    state = RunState(plan, folder, task["lower_is_better"], metric=task["metric"])
    for _ in reuse(state, failures=True):
        pass
    trials = tuple(
        summarise(folder, role, trial, state.failures.get(trial.hash, ""))
        for role, trial in state.trials.values()
    )
    costs = costs_of(plan, folder.costs())
    entries, reasons = enter(trials, plan.excluded, task["lower_is_better"], task["metric"])
    ranking = None  # while nothing is finished; the page says so
    if entries:
        ranking = rank_entries(
            entries,
            reasons,
            trials,
            CostTable(costs),
            metric=task["metric"],
            lower_is_better=task["lower_is_better"],
            unfinished=unfinished(trials, plan.excluded),
            search=plan.search,
            baselines=current_baselines(folder, plan),
        )
    summary = DataSummary.model_validate(task["summary"]) if "summary" in task else None
    return RunView(
        name=plan.name,
        command=plan.command,
        task=task["name"],
        metric=task["metric"],
        lower_is_better=task["lower_is_better"],
        data=task["facts"],
        summary=summary,
        plan=plan.model_dump(mode="json"),
        provenance=_first_provenance(folder, state),
        ranking=None if ranking is None else warned(ranking, summary),
        trials=trials,
        costs=costs,
        catalog=_facts(folder, plan, "catalog.json"),
        reasons={} if ranking else reasons,
    )


def _facts(folder: RunFolder, plan: Plan, name: str) -> dict[str, Any]:
    """What `compare` has written beside the plan. The same command writes it again."""
    command = plan.command or "the command of this run"
    return json.loads(read_signed(folder.path / name, f"this writes it again: {command}"))


def summarise(folder: RunFolder, role: Role, trial: Trial, failure: str = "") -> TrialSummary:
    """One trial's records, thinned to what is drawn and ranked. `failure` is why it failed."""
    records = list(read_records(folder.trial_path(trial) / "records.jsonl"))
    steps = [r for r in records if isinstance(r, StepRecord)]
    evaluations = [r for r in records if isinstance(r, EvaluationRecord)]
    result = records[-1] if records and isinstance(records[-1], ResultRecord) else None
    test = next((e for e in reversed(evaluations) if e.split == "test"), None)
    facts = next((r for r in records if isinstance(r, Provenance)), None)
    every = max(1, len(steps) // _CURVE_POINTS)
    curve = {e.tokens: e.value for e in evaluations if e.split == "validation"}
    return TrialSummary(
        trial=trial.hash,
        architecture=trial.architecture,
        role=role,
        learning_rate=trial.training.optimizer.learning_rate,
        seed=trial.training.seed,
        status=_status(result, failure, started=bool(records)),
        parameters=trial.parameters,
        width=trial.model.width,
        tokens=result.tokens if result else steps[-1].tokens if steps else 0,
        steps=result.steps if result else steps[-1].step if steps else 0,
        training_seconds=result.training_seconds if result else 0.0,
        training_flops=result.training_flops if result else 0.0,
        state_bytes=result.state_bytes if result else 0,
        validation_value=result.validation_value if result else None,
        test_value=result.test_value if result else None,
        test_chunk_values=test.chunk_values if test else (),
        test_num_scored=test.num_scored if test else 0,
        test_slices=test.slices if test else {},
        validation_curve=tuple(sorted(curve.items())),
        training_curve=tuple((s.tokens, s.loss_nats) for s in steps[::every]),
        algorithms=facts.algorithms if facts else (),
        skipped_steps=result.skipped_steps if result else sum(s.skipped for s in steps),
        pieces=result.pieces if result else steps[-1].pieces if steps else 1,
        failure=failure,
        forecast=next((r for r in records if isinstance(r, ForecastRecord)), None),
    )


def _status(result: ResultRecord | None, failure: str, *, started: bool) -> Any:
    if result is not None:
        return result.status
    return "failed" if failure else "running" if started else "planned"


def costs_of(plan: Plan, found: Sequence[Series]) -> tuple[Series, ...]:
    """The costs of the plan's architectures, in its order."""
    names = [entry.architecture for entry in plan.entries]
    return tuple(one for name in names for one in found if one.architecture == name)


def _first_provenance(folder: RunFolder, state: RunState) -> Provenance | None:
    for _, trial in state.trials.values():
        for record in read_records(folder.trial_path(trial) / "records.jsonl"):
            if isinstance(record, Provenance):
                return record
    return None
