"""The measuring phase: the costs of one architecture after another, each once per plan."""

from collections.abc import Generator, Sequence
from typing import Any

from seqarena.arena.folder import RunFolder
from seqarena.arena.plan import Entry, Plan, model_places
from seqarena.core.batch import Problem
from seqarena.core.results.measurement import Series, append_measurements
from seqarena.core.runtime import available_cores
from seqarena.core.user_code import own_places, reporting
from seqarena.jobs.executor import run_jobs
from seqarena.jobs.inline import Inline
from seqarena.jobs.job import Event, Job, Needs, TimingMachine, job_key
from seqarena.measure.costs.costs import measure_costs
from seqarena.models.any import parse_config
from seqarena.train.config import OptimizerConfig


def missing_costs(
    plan: Plan, folder: RunFolder, problem: Problem, sequence_length: int
) -> list[Job]:
    """Jobs for the entries whose costs were not measured yet with this model, by these sources and
    on this machine: costs are timings."""
    have = {series.settings.get("key") for series in folder.costs()}
    jobs = [_job(plan, entry, problem, sequence_length) for entry in plan.entries]
    return [job for job in jobs if job.key not in have]


def run_costs(folder: RunFolder, jobs: Sequence[Job]) -> Generator[Event, None, None]:
    """Measures and records one after the other in this process, on all cores."""
    for event in run_jobs(lambda: jobs, Inline()):
        if event.kind == "finished":
            key = {"key": event.job.key}
            keyed = [
                one.model_copy(update={"settings": one.settings | key}) for one in event.payload
            ]
            append_measurements(folder.measurements_path, keyed)
        yield event


def measure_entry(
    architecture: str,
    model: dict[str, Any],
    problem: dict[str, Any],
    optimizer: dict[str, Any],
    **more: Any,
) -> list[Series]:
    """`measure_costs` with JSON arguments, as a job calls it.

    Raises UserError where a user's own code raises anything: the others are still measured.
    """
    with reporting(any(own_places(model))):
        return measure_costs(
            architecture,
            parse_config(model),
            Problem.model_validate(problem),
            optimizer=OptimizerConfig.model_validate(optimizer),
            **more,
        )


def _job(plan: Plan, entry: Entry, problem: Problem, sequence_length: int) -> Job:
    threads = available_cores()
    arguments = {
        "model": entry.model.model_dump(mode="json"),
        "problem": problem.model_dump(mode="json"),
        "optimizer": plan.training.optimizer.model_dump(mode="json"),
        "batch_size": plan.training.batch_size,
        "sequence_length": sequence_length,
        "device": plan.device,
        "dtype": plan.dtype,
    }
    return Job(
        key=job_key(
            "seqarena.measure.costs.costs:measure_costs",
            arguments,
            model_places(entry.model),
            facts=entry.architecture,
            timing=TimingMachine(threads, plan.device),
        ),
        function=f"{__name__}:measure_entry",
        arguments={"architecture": entry.architecture, "threads": threads, **arguments},
        label=f"{entry.architecture} costs",
        needs=Needs(alone=True, threads=threads),
    )
