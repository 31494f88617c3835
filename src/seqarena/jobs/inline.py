"""Jobs in this process, one after the other."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from seqarena.jobs.job import Event, Job, Stopped, failure_of
from seqarena.jobs.signals import Interrupted, collected_signals


class Inline:
    """Runs a job when its events are asked for. `show` is given what a watched job says.

    Ctrl-C, SIGTERM or SIGHUP asks a watched job to save and stop; then Interrupted is raised, which
    is a KeyboardInterrupt. A second one ends the job at once.
    """

    def __init__(self, show: Callable[[Event], None] = lambda event: None) -> None:
        self.show = show
        self._job: Job | None = None

    def __enter__(self) -> "Inline":
        return self

    def __exit__(self, *details: object) -> None:
        self._job = None

    @property
    def running(self) -> tuple[Job, ...]:
        return () if self._job is None else (self._job,)

    @property
    def free(self) -> int:
        return 1 if self._job is None else 0

    def start(self, job: Job) -> None:
        self._job = job

    def events(self, timeout_seconds: float) -> Iterator[Event]:
        job, self._job = self._job, None
        if job is None:
            return
        start = time.perf_counter()
        none: AbstractContextManager[list[int]] = nullcontext([])
        with collected_signals() if job.watched else none as signals:

            def watch(progress: Any) -> bool:
                self.show(Event("progress", job, progress))
                return not signals

            try:
                event = Event("finished", job, job.run(watch))
            except Stopped:
                raise Interrupted(signals[0]) from None
            except Exception as error:
                event = Event("failed", job, failure_of(error))
        yield event._replace(seconds=time.perf_counter() - start)
        if signals:  # it came when nothing was left to stop
            raise Interrupted(signals[0])

    def stop(self) -> None:
        self._job = None
