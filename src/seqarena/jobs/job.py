"""A job: a function by name, its arguments as JSON, what it asks of the machine, and its name.

The key names the job's result. It is a digest of the function, the arguments and the sources that
the job runs (jobs/sources.py), so that an equal job is not run twice and a changed one is not taken
for it. Threads, processor and library versions are recorded with a result; they belong to the key
of a timing only.
"""

import errno
import importlib.metadata
import json
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from seqarena.core.config import Config, digest, load_object
from seqarena.core.errors import UserError
from seqarena.jobs.sources import source_digest

_DISK = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EIO", "EROFS", "EACCES", "EPERM", "ENAMETOOLONG")
    if hasattr(errno, name)
}


class Needs(Config):
    """What a job asks of the machine."""

    alone: bool = False  # a timing: no other job runs at the same time
    threads: int = 1  # inside operations
    seconds: float | None = None  # about how long it takes, where that is known
    timeout_seconds: float | None = None  # that it may take; workers alone heed it


class Job(Config):
    """One call of a function that takes JSON values.

    `group` puts jobs together on a display. A `watched` job takes an argument `watch` as well: it
    calls it with its progress, and when the answer is False it saves what it has and raises
    Stopped.
    """

    key: str
    function: str  # package.module:function
    arguments: dict[str, Any]
    label: str
    group: str = ""
    needs: Needs = Needs()
    watched: bool = False

    def run(self, watch: "Watch") -> Any:
        """Calls the function in this process."""
        more = {"watch": watch} if self.watched else {}
        return load_object(self.function)(**self.arguments, **more)


class JobProgress(Protocol):
    """What a watched job says of itself."""

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1."""
        ...

    @property
    def words(self) -> str:
        """A few words beside the share, such as the loss."""
        ...


Watch = Callable[[Any], bool]  # takes a JobProgress and answers whether to go on


class Stopped(Exception):  # noqa: N818 (not an error: asked for)
    """A job was asked to stop, and what it has is saved."""


class Failure(NamedTuple):
    """Why a job failed: one line, and the traceback where a programming error is the reason.

    `lost`: its process died or hung, so that another try may end well. `disk`: number, words and
    path of an error of the disk, which the next job would meet as well.
    """

    message: str
    traceback: str = ""
    lost: bool = False
    disk: tuple[int, str, str] | None = None


def failure_of(error: Exception) -> Failure:
    """What an exception of a job's function comes to."""
    if isinstance(error, UserError):
        return Failure(str(error))
    if isinstance(error, OSError) and error.errno is not None and error.errno in _DISK:
        disk = error.errno, error.strerror or str(error), str(error.filename or "")
        return Failure(f"{disk[2]}: {disk[1]}", disk=disk)
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(where.filename).name}, line {where.lineno}"
    text = "".join(traceback.format_exception(error))
    return Failure(f"{type(error).__name__}: {error} ({place})", text)


class Event(NamedTuple):
    """What happened to a job. The payload is a JobProgress, a result, or a Failure; "retried": it
    failed and runs once more."""

    kind: Literal["reused", "started", "progress", "finished", "stopped", "retried", "failed"]
    job: Job
    payload: Any = None
    seconds: float = 0.0  # that a finished or failed job took


class TimingMachine(NamedTuple):
    """Where seconds are measured."""

    threads: int
    device: str = "cpu"
    products: str = "blas"


def job_key(
    function: str,
    arguments: dict[str, Any],
    places: Iterable[str] = (),
    *,
    facts: Any = None,
    timing: TimingMachine | None = None,
) -> str:
    """The key of a call. `places` name the modules that the arguments stand for; `facts` are other
    JSON values that the result depends on. A timing depends on this machine as well."""
    plain = json.loads(json.dumps(arguments, default=str))
    machine = None if timing is None else _machine(timing)
    return digest([function, plain, source_digest([function, *places]), facts, machine])


def _machine(timing: TimingMachine) -> list[Any]:
    from seqarena.core.runtime import processor_name

    version = importlib.metadata.version("torch")
    return [processor_name(timing.device), timing.threads, version, timing.products]
