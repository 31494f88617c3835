"""Runs parts of the ledger: trainings side by side, timings alone, each kept as soon as it is done.

`run_parts` yields what happens and draws nothing. Whatever stops it, an interrupt or a kill, loses
the parts in flight alone. A part that fails is recorded with its error, and the others go on.
"""

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

from seqarena.arena.claims.claim import Part
from seqarena.arena.claims.parts import About, stands, write_part
from seqarena.core.errors import UserError

_POLL_SECONDS = 0.5


class Happening(NamedTuple):
    """`started` or `finished` (with its seconds), or `failed` (with its error); `waiting` says
    that time passes."""

    kind: str
    part: Part | None = None
    seconds: float = 0.0
    error: str | None = None


class _Outcome(NamedTuple):
    seconds: float
    lines: list[str]
    error: str | None


def missing_parts(folder: Path, parts: Sequence[Part]) -> list[Part]:
    """Those that have not run, or failed when they did."""
    return [part for part in parts if not stands(folder, part)]


def seconds_left(parts: Sequence[Part], jobs: int) -> float:
    """About how long these take: trainings on `jobs` processes, then timings one by one."""
    together = [part.seconds for part in parts if not part.alone]
    alone = sum(part.seconds for part in parts if part.alone)
    return max(sum(together) / jobs, max(together, default=0.0)) + alone


def run_parts(folder: Path, parts: Sequence[Part], jobs: int) -> Generator[Happening, None, None]:
    """Every part that does not stand. Closing the generator stops the processes."""
    missing = missing_parts(folder, parts)
    together = sorted((p for p in missing if not p.alone), key=lambda part: -part.seconds)
    suspects = yield from _run_batch(folder, together, jobs)
    # a process that died took those beside it along: each goes again by itself, to tell which
    killers = yield from _run_batch(folder, [*suspects, *(p for p in missing if p.alone)], 1)
    for killer in killers:
        yield _keep(folder, killer, _Outcome(0.0, [], "its process died (out of memory?)"))


def _run_batch(
    folder: Path, parts: Sequence[Part], jobs: int
) -> Generator[Happening, None, list[Part]]:
    """Up to `jobs` at a time. Returns those that were in flight when a process died."""
    waiting, running, suspects = list(parts), {}, []
    while waiting:
        pool, strangers = _pool(min(jobs, len(waiting))), set(multiprocessing.active_children())
        try:
            running = {}
            broken = False
            while (waiting or running) and not broken:
                while waiting and len(running) < jobs:
                    try:
                        running[pool.submit(_call, waiting[0])] = waiting[0]
                    except BrokenProcessPool:
                        break  # what runs says so too
                    yield Happening("started", waiting.pop(0))
                done, _ = wait(running, _POLL_SECONDS, FIRST_COMPLETED)
                if not done:
                    yield Happening("waiting")
                for future in done:
                    part = running.pop(future)
                    if isinstance(future.exception(), BrokenProcessPool):
                        suspects += [part, *running.values()]
                        broken = True
                        break
                    yield _keep(folder, part, future.result())
            pool.shutdown(wait=not broken)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - strangers:
                process.kill()
            raise
    return suspects


def _pool(workers: int) -> ProcessPoolExecutor:
    """Processes of one thread each. They inherit it, as they load torch before anything else runs;
    two that share two cores with two threads each wait for one another most of the time."""
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_begin)


def _keep(folder: Path, part: Part, outcome: _Outcome) -> Happening:
    about = About(
        function=part.function,
        arguments=part.arguments,
        seconds=outcome.seconds,
        error=outcome.error,
    )
    write_part(folder, part, about, outcome.lines)
    kind = "finished" if outcome.error is None else "failed"
    return Happening(kind, part, outcome.seconds, outcome.error)


def _begin() -> None:
    """Of a worker: Ctrl-C is the parent's, and without a parent it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def _call(part: Part) -> _Outcome:
    """In a worker: the part's measurements as lines, or why there are none."""
    start = time.perf_counter()
    try:
        lines = [found.model_dump_json() for found in part.run()]
        error = None if lines else "nothing was measured"
    except UserError as told:
        lines, error = [], str(told)
    except Exception as raised:
        where = traceback.extract_tb(raised.__traceback__)[-1]
        place = f"{Path(where.filename).name}, line {where.lineno}"
        lines, error = [], f"{type(raised).__name__}: {raised} ({place})"
    return _Outcome(time.perf_counter() - start, lines, error)
