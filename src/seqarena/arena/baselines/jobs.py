"""Computes the baselines of a run once, before minutes are spent, and keeps them in its folder."""

import time
from collections.abc import Generator, Sequence

import numpy as np

from seqarena.arena.folder import RunFolder
from seqarena.arena.plan import Plan
from seqarena.core import runtime
from seqarena.core.results.baselines import BaselineRecord
from seqarena.core.results.lines import append_lines, read_lines
from seqarena.core.user_code import is_own, reporting
from seqarena.core.version import __version__
from seqarena.jobs.job import Event, Job, failure_of, job_key
from seqarena.tasks.base import Task
from seqarena.tasks.baselines.baseline import Baseline
from seqarena.tasks.registry import task_place


def missing_baselines(plan: Plan, folder: RunFolder, task: Task) -> list[Job]:
    """Jobs for the baselines that the folder does not have of this task and these sources."""
    have = {record.key for record in baseline_records(folder)}
    jobs = [_job(plan, baseline) for baseline in task.baselines()]
    return [job for job in jobs if job.key not in have]


def run_baselines(
    folder: RunFolder, plan: Plan, task: Task, jobs: Sequence[Job]
) -> Generator[Event, None, None]:
    """Computes and records one after the other in this process, which has the data."""
    by_name = {baseline.name: baseline for baseline in task.baselines()}
    for job in jobs:
        yield Event("started", job)
        start = time.perf_counter()
        try:
            record = _computed(by_name[job.label], job.key, plan, task)
        except Exception as error:
            yield Event("failed", job, failure_of(error), time.perf_counter() - start)
            continue
        append_lines(folder.baselines_path, [record.model_dump_json()])
        yield Event("finished", job, record, record.seconds)


def baseline_records(folder: RunFolder) -> list[BaselineRecord]:
    """Every record of the folder, in the order in which they were written."""
    return list(read_lines(folder.baselines_path, BaselineRecord.model_validate_json))


def current_baselines(folder: RunFolder, plan: Plan) -> list[BaselineRecord]:
    """The last record of each baseline of the plan's task."""
    found = {
        record.name: record
        for record in baseline_records(folder)
        if record.task_digest == plan.task_digest
    }
    return list(found.values())


def _job(plan: Plan, baseline: Baseline) -> Job:
    kind = plan.task["kind"]
    own = not isinstance(baseline.score, str)
    arguments = {"task_digest": plan.task_digest, "name": baseline.name}
    function = task_place(kind) if own else str(baseline.score)
    return Job(
        key=job_key(function, arguments, [task_place(kind)]),
        function=function,
        arguments=arguments,
        label=baseline.name,
    )


def _computed(baseline: Baseline, key: str, plan: Plan, task: Task) -> BaselineRecord:
    start = time.perf_counter()
    with reporting(is_own(plan.task["kind"]), f"baseline {baseline.name}: "):
        found = baseline.result(task)
    return BaselineRecord(
        key=key,
        name=baseline.name,
        idea=baseline.idea,
        detail=found.detail,
        task_digest=plan.task_digest,
        metric=task.metric,
        value=found.test.value,
        chunk_values=found.test.chunk_values,
        slices=found.test.slices,
        validation_value=found.validation,
        seconds=time.perf_counter() - start,
        computed_at=runtime.now(),
        seqarena_version=__version__,
        numpy_version=np.__version__,
        processor=runtime.processor_name("cpu"),
    )
