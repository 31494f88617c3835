"""The protocol of what runs jobs, and the loop that feeds it.

`inline.py` runs jobs in this process and `processes.py` in workers on this machine. Two more have
their place here and are not written yet:

    ray       many jobs over many machines: `start` submits `Job.run` as a remote task, and
              `needs.threads` are its cores
    torchrun  one job over many devices: `start` launches one process group for the job

Both need a run folder that every machine sees; nothing else changes, because a job is names and
JSON values, and its result lies in the folder.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Protocol, Self

from seqarena.jobs.job import Event, Job

POLL_SECONDS = 0.5


class Executor(Protocol):
    """Runs jobs. A context manager: leaving it ends what still runs."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *details: object) -> None: ...

    @property
    def running(self) -> tuple[Job, ...]:
        """Jobs that were started and have not ended."""
        ...

    @property
    def free(self) -> int:
        """How many more jobs can start now."""
        ...

    def start(self, job: Job) -> None:
        """Takes a job; `free` must be above 0."""
        ...

    def events(self, timeout_seconds: float) -> Iterator[Event]:
        """What running jobs have said; waits for the first at most `timeout_seconds`."""
        ...

    def stop(self) -> None:
        """Asks watched jobs to save and waits a few seconds for it; ends the others at once."""
        ...


def run_jobs(
    ready: Callable[[], Sequence[Job]], executor: Executor
) -> Generator[Event, None, None]:
    """Runs jobs until `ready` names none that is new, and yields what happens.

    `ready` is asked at the start and whenever a job has ended, after the caller has seen the event;
    jobs that run or have ended are left out of its answer. A job that is lost (its process died or
    hung) runs once more. Closing the generator stops what runs.
    """
    ended: set[str] = set()
    retried: set[str] = set()
    with executor:
        try:
            waiting = list(ready())
            while waiting or executor.running:
                while (job := _next_job(waiting, executor)) is not None:
                    waiting.remove(job)
                    executor.start(job)
                    yield Event("started", job)
                asked_again = False
                for event in executor.events(POLL_SECONDS):
                    if _is_lost(event) and event.job.key not in retried:
                        retried.add(event.job.key)
                        waiting.append(event.job)
                        yield event._replace(kind="retried")
                        continue
                    yield event
                    if event.kind != "progress":
                        ended.add(event.job.key)
                        asked_again = True
                if asked_again:
                    taken = ended | {job.key for job in executor.running}
                    waiting = [job for job in ready() if job.key not in taken]
        except BaseException:
            executor.stop()
            raise


def _is_lost(event: Event) -> bool:
    return event.kind == "failed" and event.payload.lost


def _next_job(waiting: Sequence[Job], executor: Executor) -> Job | None:
    """The longest that can start now; timings come last, one at a time with nothing else."""
    if not executor.free or any(job.needs.alone for job in executor.running):
        return None
    together = [job for job in waiting if not job.needs.alone]
    if together:
        return max(together, key=lambda job: job.needs.seconds or 0.0)  # the first of equals
    return waiting[0] if waiting and not executor.running else None


def seconds_of(jobs: Sequence[Job], workers: int) -> float:
    """About how long these take together, by what each is expected to take."""
    together = [job.needs.seconds or 0.0 for job in jobs if not job.needs.alone]
    alone = sum(job.needs.seconds or 0.0 for job in jobs if job.needs.alone)
    return max(sum(together) / workers, max(together, default=0.0)) + alone
