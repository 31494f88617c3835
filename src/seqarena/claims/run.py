"""Runs the parts of claims: trainings side by side, then timings one by one.

`run_parts` yields what happens and draws nothing. Whatever stops it, an interrupt or a kill, loses
only the parts in flight. A part that fails is recorded with its error, and the others go on.
"""

from collections.abc import Generator, Sequence
from pathlib import Path

from seqarena.claims.parts import missing_jobs, store_of
from seqarena.jobs.executor import run_jobs
from seqarena.jobs.job import Event, Job
from seqarena.jobs.processes import Processes


def run_parts(folder: Path, parts: Sequence[Job], jobs: int) -> Generator[Event, None, None]:
    """Every part that has no result yet, `jobs` at a time, each with one thread. Closing the
    generator ends the processes."""
    store = store_of(folder)
    missing = missing_jobs(folder, parts)
    for event in run_jobs(lambda: missing, Processes(jobs)):
        if event.kind == "finished":
            store.keep(event.job, event.seconds, event.payload)
        elif event.kind == "failed":
            store.keep(event.job, event.seconds, [], event.payload.message)
        yield event
