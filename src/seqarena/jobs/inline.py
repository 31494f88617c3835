"""Jobs in this process, one after the other."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from seqarena.core.errors import UserError
from seqarena.jobs.job import Event, Failure, Job, Stopped


class Inline:
    """Runs a job when its events are asked for. `show` is given what a watched job says.

    Ctrl-C asks a watched job to save and stop; then KeyboardInterrupt is raised. A programming
    error in a job is raised as it is.
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
        with _interrupts(job.watched) as interrupted:

            def watch(progress: Any) -> bool:
                self.show(Event("progress", job, progress))
                return not interrupted

            try:
                event = Event("finished", job, job.run(watch))
            except Stopped:
                raise KeyboardInterrupt from None
            except UserError as error:
                event = Event("failed", job, Failure(str(error)))
        yield event._replace(seconds=time.perf_counter() - start)

    def stop(self) -> None:
        self._job = None


@contextmanager
def _interrupts(heeded: bool) -> Iterator[list[int]]:
    """Ctrl-C fills the list instead of raising, where it is heeded. Only a main thread can."""
    found: list[int] = []
    if not heeded or threading.current_thread() is not threading.main_thread():
        yield found
        return
    before = signal.signal(signal.SIGINT, lambda number, _: found.append(number))
    try:
        yield found
    finally:
        signal.signal(signal.SIGINT, before)
