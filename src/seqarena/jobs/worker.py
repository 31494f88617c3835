"""What a worker process does: it reads jobs from its pipe and answers with what happens.

Ctrl-C and SIGHUP belong to the parent, which asks for a stop. SIGTERM ends a worker; a watched job
saves first. A worker ends when its pipe closes, and at once when its parent has died, so that a
killed run leaves no process behind.
"""

import multiprocessing
import os
import signal
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from multiprocessing.connection import Connection
from typing import Any

from seqarena.core.config import load_object
from seqarena.jobs.job import Job, Stopped, failure_of

STOP, BEGAN = "stop", "began"
_REPORT_SECONDS = 0.25


def work(connection: Connection, threads: int) -> None:
    """Runs jobs until the pipe closes. `threads` is what the process was started with."""
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        while True:
            message = connection.recv()
            if message == STOP:  # it came when the job had ended
                continue
            job = Job.model_validate_json(message)
            start = time.perf_counter()
            with _threads(job.needs.threads, threads):
                kind, payload = _run(job, connection)
            signal.signal(signal.SIGTERM, _leave)
            connection.send((kind, payload, time.perf_counter() - start))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _leave(number: int, frame: Any) -> None:
    os._exit(128 + number)


def _run(job: Job, connection: Connection) -> tuple[str, Any]:
    try:
        load_object(job.function)  # its imports take seconds, which are not the job's
        connection.send((BEGAN, None, 0.0))
        return "finished", job.run(_Reporter(connection) if job.watched else lambda _: True)
    except Stopped:
        return "stopped", None
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:
        return "failed", failure_of(error)


class _Reporter:
    """Sends progress a few times a second; answers False once a stop was asked for, by the parent
    or by SIGTERM. A second SIGTERM ends the process."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.reported_at = 0.0
        self.terminated = False
        signal.signal(signal.SIGTERM, self._terminate)

    def _terminate(self, number: int, frame: Any) -> None:
        if self.terminated:
            _leave(number, frame)
        self.terminated = True

    def __call__(self, progress: Any) -> bool:
        if time.monotonic() - self.reported_at > _REPORT_SECONDS:
            self.connection.send(("progress", progress, 0.0))
            self.reported_at = time.monotonic()
        return not (self.terminated or self.connection.poll())


def _threads(wanted: int, usual: int) -> AbstractContextManager[None]:
    """The threads of one job, where they are not those of the process."""
    if wanted == usual:
        return nullcontext()
    from seqarena.core.runtime import limited_threads  # here: not every job needs torch

    return limited_threads(wanted)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
