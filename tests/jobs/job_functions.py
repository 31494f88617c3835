"""Functions that the tests of the executors run as jobs."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from seqarena.core.errors import UserError
from seqarena.jobs.job import Job, Needs, Stopped


class Counted(NamedTuple):
    """The progress of `count`."""

    share: float
    words: str


def double(value: int) -> int:
    return 2 * value


def refuse(message: str) -> None:
    raise UserError(message)


def divide(value: int) -> float:
    return 1 / value


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(path: str) -> str:
    """Dies, unless the file says that it has."""
    if not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def terminate_once(path: str, watch: Callable[[Counted], bool]) -> str:
    """Gets a SIGTERM, saves when it is asked to stop, and goes on from there."""
    if not Path(path).exists():
        os.kill(os.getpid(), signal.SIGTERM)
        while watch(Counted(0.5, "half")):
            time.sleep(0.01)
        Path(path).write_text("saved")
        raise Stopped
    return Path(path).read_text()


def deaf(watch: Callable[[Counted], bool]) -> None:
    """Never asks whether to go on."""
    time.sleep(60)


def threads() -> tuple[str, int]:
    import torch

    return os.environ["OMP_NUM_THREADS"], torch.get_num_threads()


def process() -> int:
    return os.getpid()


def interval(seconds: float) -> tuple[float, float]:
    start = time.time()
    time.sleep(seconds)
    return start, time.time()


def count(path: str, limit: int, watch: Callable[[Counted], bool]) -> int:
    """Counts in steps of 10 ms from where the file says; writes it when it is asked to stop."""
    file = Path(path)
    done = int(file.read_text()) if file.exists() else 0
    while done < limit:
        time.sleep(0.01)
        done += 1
        if not watch(Counted(done / limit, f"{done} counted")):
            file.write_text(str(done))
            raise Stopped
    return done


def job(name: str, key: str = "", watched: bool = False, **arguments: object) -> Job:
    return Job(
        key=key or f"{name}{sorted(arguments.items())}",
        function=f"job_functions:{name}",
        arguments=arguments,
        label=name,
        watched=watched,
    )


def timing(of: Job) -> Job:
    return of.model_copy(update={"needs": Needs(alone=True)})
