"""Jobs in worker processes on this machine, each with a budget of threads.

Workers are spawned, so that they share nothing with the parent. A worker that dies is reported as
the failure of its job and replaced when the next job starts.
"""

import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import ModuleType
from typing import NamedTuple, cast

from seqarena.jobs.job import Event, Failure, Job
from seqarena.jobs.worker import STOP, work

_LEAVE_SECONDS = 5.0  # that an idle worker has to end by itself


class _Worker(NamedTuple):
    process: SpawnProcess
    connection: Connection


class Processes:
    """At most `count` worker processes of `threads` threads each, started when they are needed."""

    def __init__(self, count: int, threads: int = 1) -> None:
        self.count = count
        self.threads = threads
        self._idle: list[_Worker] = []
        self._busy: dict[Connection, tuple[_Worker, Job]] = {}

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *details: object) -> None:
        for worker, _ in self._busy.values():
            _end(worker)
        for worker in self._idle:
            worker.connection.close()  # the worker reads the end and leaves
        for worker in self._idle:
            worker.process.join(_LEAVE_SECONDS)
            _end(worker)
        self._busy, self._idle = {}, []

    @property
    def running(self) -> tuple[Job, ...]:
        return tuple(job for _, job in self._busy.values())

    @property
    def free(self) -> int:
        return self.count - len(self._busy)

    def start(self, job: Job) -> None:
        worker = self._idle.pop() if self._idle else self._spawn()
        self._busy[worker.connection] = worker, job
        _send(worker.connection, job.model_dump_json())

    def events(self, timeout_seconds: float) -> Iterator[Event]:
        for ready in wait(list(self._busy), timeout=timeout_seconds):
            ready = cast(Connection, ready)  # of another class on Windows
            worker, job = self._busy[ready]
            try:
                kind, payload, seconds = ready.recv()
            except (EOFError, OSError):
                del self._busy[ready]
                _end(worker)
                yield Event("failed", job, Failure("its process died (out of memory?)"))
                continue
            if kind != "progress":
                del self._busy[ready]
                self._idle.append(worker)
            yield Event(kind, job, payload, seconds)

    def stop(self) -> None:
        for connection, (worker, job) in list(self._busy.items()):
            if job.watched:
                _send(connection, STOP)
            else:
                del self._busy[connection]
                _end(worker)
        while self._busy:
            for _ in self.events(timeout_seconds=1.0):
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
