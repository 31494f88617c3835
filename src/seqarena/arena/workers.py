"""Worker processes that share the cores: each runs one trial at a time, with its own threads.

A worker ends when its pipe closes, so that a killed comparison leaves no process behind, and
ignores Ctrl-C: the parent asks it to stop, and it saves before it does.
"""

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, NamedTuple

from seqarena.arena.plan import Trial

_REPORT_SECONDS = 0.25


class Event(NamedTuple):
    """What a worker says: `progress`, `finished`, `stopped`, or `failed` with a message."""

    kind: str
    trial: Trial
    payload: Any


class Workers:
    """A pool of `count` processes. Use as a context manager: leaving it ends them."""

    def __init__(self, count: int) -> None:
        self._busy: dict[Connection, Trial] = {}
        self._idle: list[Connection] = []
        self._processes: list[SpawnProcess] = []
        for _ in range(count):
            self._add()

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        for connection in [*self._idle, *self._busy]:
            connection.close()
        for process in self._processes:
            process.join(timeout=5)
            if process.is_alive():
                process.kill()

    def _add(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        self._idle.append(ours)
        self._processes.append(process)

    @property
    def running(self) -> tuple[Trial, ...]:
        return tuple(self._busy.values())

    @property
    def has_idle(self) -> bool:
        return bool(self._idle)

    def start(self, trial: Trial, folder: Path) -> None:
        """Hands the trial to an idle worker."""
        connection = self._idle.pop()
        connection.send((trial.model_dump_json(), str(folder)))
        self._busy[connection] = trial

    def events(self, timeout_seconds: float) -> Iterator[Event]:
        """What running workers have said; waits for the first at most `timeout_seconds`."""
        for ready in wait(list(self._busy), timeout=timeout_seconds):
            assert isinstance(ready, Connection)
            trial = self._busy[ready]
            try:
                kind, payload = ready.recv()
            except (EOFError, OSError):
                kind, payload = "failed", "the worker process died (out of memory?)"
                del self._busy[ready]
                self._add()
            else:
                if kind != "progress":
                    del self._busy[ready]
                    self._idle.append(ready)
            yield Event(kind, trial, payload)

    def stop(self) -> None:
        """Asks every running trial to save and stop, and waits until they have."""
        for connection in self._busy:
            connection.send("stop")
        while self._busy:
            for _ in self.events(timeout_seconds=1.0):
                pass


def _work(connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(1)  # the live table stays responsive
    from seqarena.arena.trial import Stopped, run_trial
    from seqarena.core.errors import UserError

    while True:
        try:
            message = connection.recv()
            if message == "stop":
                continue
            trial, folder = Trial.model_validate_json(message[0]), Path(message[1])
            try:
                result = run_trial(trial, folder, watch=_Reporter(connection))
                connection.send(("finished", result))
            except Stopped:
                connection.send(("stopped", None))
            except UserError as error:
                connection.send(("failed", str(error)))
            except Exception as error:
                (folder / "error.txt").write_text(traceback.format_exc(), encoding="utf-8")
                connection.send(("failed", f"{type(error).__name__}: {error}"))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return


class _Reporter:
    """Tells the parent a few times a second; says stop when the parent does."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.reported_at = 0.0

    def __call__(self, progress: object) -> bool:
        if time.monotonic() - self.reported_at > _REPORT_SECONDS:
            self.connection.send(("progress", progress))
            self.reported_at = time.monotonic()
        return not self.connection.poll()
