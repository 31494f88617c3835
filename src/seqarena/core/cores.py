"""How many cores to use, and how busy others keep them.

A timing is of this machine as it is while it is taken: what other processes do to it is watched by
the system's own count of the time that each core was busy, less the time of this process.
"""

import os
import time
from pathlib import Path
from typing import NamedTuple

from seqarena.core import runtime
from seqarena.core.errors import UserError

NUMBERS_DEPEND_ON_THIS = False  # threads are recorded with what they compute (jobs/sources.py)
BUSY_SHARE = 0.1  # of the cores: above it others disturb a timing
_IDLE = (3, 4)  # fields of /proc/stat after the core's name: idle, and waiting for a disk
_COUNTED = 8  # user, nice, system, idle, waiting, interrupts, soft ones, stolen by other guests


class CoreChoice(NamedTuple):
    """How many cores to use, and the words that say why."""

    count: int
    reason: str


def chosen_cores(wanted: int | None = None) -> CoreChoice:
    """Cores to use in all: as many as asked for, else OMP_NUM_THREADS, else every one that this
    process may use, which a quota of its control group may make fewer than it may run on.

    Raises UserError where OMP_NUM_THREADS is no number of threads.
    """
    if wanted is not None:
        return CoreChoice(wanted, "asked for")
    variable = os.environ.get("OMP_NUM_THREADS", "").strip()
    if variable:
        first = variable.partition(",")[0].strip()  # further numbers are of nested regions
        if not first.isdecimal() or int(first) < 1:
            raise UserError(
                f"OMP_NUM_THREADS is {variable!r}: set it to a number from 1 up, or unset it"
            )
        return CoreChoice(int(first), f"OMP_NUM_THREADS is {variable}")
    cores, quota = runtime.available_cores(), quota_cores()
    if quota is not None and quota < cores:
        return CoreChoice(max(1, int(quota)), f"its control group grants {quota:g} of {cores}")
    return CoreChoice(cores, "every core that this process may run on")


def quota_cores(
    groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> float | None:
    """The cores that Linux's control groups grant this process; None where they set no limit.

    A group's limit holds for what is below it, so that the smallest on the way up counts. Inside a
    container the path may be that of the host: then only the root is there.
    """
    quotas = []
    for line in _lines(groups):
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / "cpu" if controllers else root  # version 1, or 2
        folder = mount / path.strip("/")
        for place in (folder, *folder.parents):
            if not place.is_relative_to(mount):
                break
            if controllers:
                words = [*_lines(place / "cpu.cfs_quota_us"), *_lines(place / "cpu.cfs_period_us")]
            else:
                words = " ".join(_lines(place / "cpu.max")).split()
            if len(words) == 2 and words[0].isdecimal():  # -1 or max: no limit
                quotas.append(int(words[0]) / int(words[1]))
    return min(quotas, default=None)


class LoadWatch:
    """What others take of the cores while its block runs, as a share of all cores that this process
    may run on. `others_share` is None where the system does not tell (`is_watched`)."""

    def __init__(self) -> None:
        self.others_share: float | None = None

    def __enter__(self) -> "LoadWatch":
        self._at, self._own, self._busy = time.monotonic(), time.process_time(), busy_seconds()
        return self

    def __exit__(self, *details: object) -> None:
        busy = busy_seconds()
        if busy is None or self._busy is None:
            return
        own = time.process_time() - self._own
        cores = max(1, len(_own_cores()))
        seconds = cores * max(time.monotonic() - self._at, 1e-9)
        # the system counts in ticks of some milliseconds, so that a rest may be below nothing
        self.others_share = min(1.0, max(0.0, (busy - self._busy - own) / seconds))


def is_watched() -> bool:
    """Whether this system tells how busy its cores are. macOS and Windows do so through interfaces
    of their own, which are not read; the load average lags by a minute, in which training ends."""
    return busy_seconds() is not None


def busy_seconds(stat: Path = Path("/proc/stat")) -> float | None:
    """Seconds since the start of the machine in which the cores that this process may run on did
    something, all together; None where the system does not tell."""
    ticks, known, mine = 0, 0, _own_cores()
    for line in _lines(stat):
        name, *fields = line.split()
        if name[:3] == "cpu" and name[3:].isdecimal() and int(name[3:]) in mine:
            counted = [int(field) for field in fields[:_COUNTED]]
            known += sum(counted)
            ticks += sum(counted) - sum(counted[index] for index in _IDLE)
    # a sandbox may show nothing but zeros
    return ticks / os.sysconf("SC_CLK_TCK") if known else None


def _own_cores() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set()


def _lines(path: Path) -> list[str]:
    """The lines of a system's file, none where it is missing."""
    try:
        return path.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
