"""Files that survive a kill at any moment: texts that are replaced whole, and append-only lines."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from seqarena.core.errors import UserError


def write_atomically(path: Path, text: str) -> None:
    """Writes a new file, syncs and renames it: a reader sees the old or the new text, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    with fresh.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Adds lines after the last whole one. What a kill left of a line is cut off first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    drop_torn_line(path)
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)


def drop_torn_line(path: Path) -> None:
    """Cuts off what a kill left of a last line that was being written."""
    if not path.exists():
        return
    whole = path.read_bytes()
    end = whole.rfind(b"\n") + 1
    if end < len(whole):
        os.truncate(path, end)


@contextmanager
def locked(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Holds the lock file `path`; the system releases it when the process ends.

    Raises UserError when another process holds it, unless `wait`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout as error:
        raise UserError(f"{path.parent} is in use by another seqarena") from error
    try:
        yield
    finally:
        lock.release()
