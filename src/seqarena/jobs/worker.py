"""What a worker process does: it reads jobs from its pipe and answers with what happens.

Ctrl-C belongs to the parent, which asks for a stop. A worker ends when its pipe closes, and at once
when its parent has died, so that a killed run leaves no process behind.
"""

import multiprocessing
import os
import signal
import threading
import time
import traceback
from contextlib import AbstractContextManager, nullcontext
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from seqarena.core.errors import UserError
from seqarena.jobs.job import Failure, Job, Stopped

STOP = "stop"
_REPORT_SECONDS = 0.25


def work(connection: Connection, threads: int) -> None:
    """Runs jobs until the pipe closes. `threads` is what the process was started with."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
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
            connection.send((kind, payload, time.perf_counter() - start))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _run(job: Job, connection: Connection) -> tuple[str, Any]:
    try:
        return "finished", job.run(_Reporter(connection))
    except Stopped:
        return "stopped", None
    except UserError as error:
        return "failed", Failure(str(error))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}, line {where.lineno}"
        message = f"{type(error).__name__}: {error} ({place})"
        return "failed", Failure(message, traceback.format_exc())


class _Reporter:
    """Sends progress a few times a second; answers False once the parent has asked to stop."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.reported_at = 0.0

    def __call__(self, progress: Any) -> bool:
        if time.monotonic() - self.reported_at > _REPORT_SECONDS:
            self.connection.send(("progress", progress, 0.0))
            self.reported_at = time.monotonic()
        return not self.connection.poll()


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
