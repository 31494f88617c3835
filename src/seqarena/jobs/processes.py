"""Jobs in worker processes on this machine, each with a budget of threads.

Workers are spawned, so that they share nothing with the parent. A worker that dies, or that takes
longer than its job may, is ended and reported as the failure of its job; the next job that starts
has a fresh one.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import ModuleType
from typing import NamedTuple, cast

from seqarena.core.words import duration
from seqarena.jobs.job import Event, Failure, Job
from seqarena.jobs.worker import BEGAN, STOP, work

_LEAVE_SECONDS = 5.0  # that an idle worker has to end by itself
_SAVE_SECONDS = 4.0  # that a job has to save and stop; one that hangs is ended then


class _Worker(NamedTuple):
    process: SpawnProcess
    connection: Connection


class _Running(NamedTuple):
    worker: _Worker
    job: Job
    deadline: float | None = None  # by time.monotonic(), once the job's function is loaded


class Processes:
    """At most `count` worker processes of `threads` threads each, started when they are needed."""

    def __init__(self, count: int, threads: int = 1) -> None:
        self.count = count
        self.threads = threads
        self._idle: list[_Worker] = []
        self._busy: dict[Connection, _Running] = {}
        self._stopping = False

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *details: object) -> None:
        for running in self._busy.values():
            _end(running.worker)
        for worker in self._idle:
            worker.connection.close()  # the worker reads the end and leaves
        for worker in self._idle:
            worker.process.join(_LEAVE_SECONDS)
            _end(worker)
        self._busy, self._idle = {}, []

    @property
    def running(self) -> tuple[Job, ...]:
        return tuple(running.job for running in self._busy.values())

    @property
    def free(self) -> int:
        return self.count - len(self._busy)

    def start(self, job: Job) -> None:
        worker = self._idle.pop() if self._idle else self._spawn()
        if not worker.process.is_alive():
            _end(worker)
            worker = self._spawn()
        self._busy[worker.connection] = _Running(worker, job)
        _send(worker.connection, job.model_dump_json())

    def events(self, timeout_seconds: float) -> Iterator[Event]:
        for ready in wait(list(self._busy), timeout=timeout_seconds):
            ready = cast(Connection, ready)  # of another class on Windows
            running = self._busy[ready]
            try:
                kind, payload, seconds = ready.recv()
            except (EOFError, OSError):
                yield self._lost(ready, _death(running.worker))
                continue
            if kind == BEGAN:
                limit = running.job.needs.timeout_seconds
                deadline = None if limit is None else time.monotonic() + limit
                self._busy[ready] = running._replace(deadline=deadline)
                continue
            if kind == "stopped" and not self._stopping:
                yield self._lost(ready, "its process was asked to end by a signal")
                continue
            if kind != "progress":
                del self._busy[ready]
                self._idle.append(running.worker)
            yield Event(kind, running.job, payload, seconds)
        yield from self._late()

    def _late(self) -> Iterator[Event]:
        """Ends the jobs that have taken longer than they may."""
        now = time.monotonic()
        for connection, running in list(self._busy.items()):
            if running.deadline is not None and now > running.deadline:
                limit = duration(running.job.needs.timeout_seconds or 0.0)
                yield self._lost(connection, f"it did not end within {limit}")

    def _lost(self, connection: Connection, why: str) -> Event:
        running = self._busy.pop(connection)
        _end(running.worker)
        return Event("failed", running.job, Failure(why, lost=True))

    def stop(self) -> None:
        self._stopping = True
        for connection, running in list(self._busy.items()):
            if running.job.watched:
                _send(connection, STOP)
            else:
                del self._busy[connection]
                _end(running.worker)
        deadline = time.monotonic() + _SAVE_SECONDS
        while self._busy and (left := deadline - time.monotonic()) > 0:
            for _ in self.events(timeout_seconds=min(1.0, left)):
                pass

    def _spawn(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, self.threads), daemon=True)
        with _thread_budget(self.threads), _no_main_module():
            process.start()
        theirs.close()
        return _Worker(process, ours)


def _send(connection: Connection, message: str) -> None:
    with suppress(OSError):  # a worker that has died: `events` reads the end of its pipe
        connection.send(message)


def _death(worker: _Worker) -> str:
    """Why a process is no more."""
    worker.process.join(1.0)
    code = worker.process.exitcode
    if code is None or code >= 0:
        return f"its process died (exit code {code})"
    name = signal.Signals(-code).name
    return f"its process died ({name}{': out of memory?' if name == 'SIGKILL' else ''})"


def _end(worker: _Worker) -> None:
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()
    worker.connection.close()


@contextmanager
def _thread_budget(threads: int) -> Iterator[None]:
    """A process that starts inside has so many threads, as libraries read it when they load. Two
    that share two cores with two threads each wait for one another most of the time."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


@contextmanager
def _no_main_module() -> Iterator[None]:
    """A process that starts inside does not run the user's script again, as spawned ones do. So a
    script may compare at its top level, and may come from standard input."""
    before = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = before
