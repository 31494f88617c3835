"""Reads a run folder into one RunView: everything that ranking, tables and the report need."""

import json
from collections.abc import Sequence

from seqarena.arena.folder import RunFolder
from seqarena.arena.plan import Plan, Role, Trial
from seqarena.arena.rank import rank
from seqarena.arena.run import RunState, reuse
from seqarena.core.results.data_summary import DataSummary
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


def read_run(folder: RunFolder, failures: dict[str, str] | None = None) -> RunView:
    """The run as its records are now, ranked when at least one trial is finished."""
    plan = folder.load_plan()
    task = json.loads((folder.path / "task.json").read_text(encoding="utf-8"))
    state = RunState(plan, folder, task["lower_is_better"])
    for _ in reuse(state):
        pass
    trials = tuple(summarise(folder, role, trial) for role, trial in state.trials.values())
    costs = costs_of(plan, folder.costs())
    excluded = {**plan.excluded, **(failures or {})}
    ranking = None  # while nothing is finished; the page says so
    if any(trial.test_value is not None for trial in trials):
        ranking = rank(
            trials,
            CostTable(costs),
            metric=task["metric"],
            lower_is_better=task["lower_is_better"],
            excluded=excluded,
        )
    return RunView(
        name=plan.name,
        command=plan.command,
        task=task["name"],
        metric=task["metric"],
        lower_is_better=task["lower_is_better"],
        data=task["facts"],
        summary=DataSummary.model_validate(task["summary"]) if "summary" in task else None,
        plan=plan.model_dump(mode="json"),
        provenance=_first_provenance(folder, state),
        ranking=ranking,
        trials=trials,
        costs=costs,
        catalog=json.loads((folder.path / "catalog.json").read_text(encoding="utf-8")),
    )


def summarise(folder: RunFolder, role: Role, trial: Trial) -> TrialSummary:
    """One trial's records, thinned to what is drawn and ranked."""
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
        status=result.status if result else "running" if records else "planned",
        parameters=trial.parameters,
        width=trial.model.width,
        tokens=result.tokens if result else steps[-1].tokens if steps else 0,
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
    )


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
