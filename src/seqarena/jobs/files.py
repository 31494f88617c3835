"""Files that survive a kill at any moment: texts that are replaced whole, and locks."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from seqarena.core.errors import UserError, naming
from seqarena.core.results.lines import signed


def write_atomically(path: Path, text: str) -> None:
    """Writes a new file, syncs and renames it: a reader sees the old or the new text, whole.

    Raises OSError that names `path` where that cannot be done; the old text is then untouched.
    """
    with replacing(path) as fresh, fresh.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def write_signed(path: Path, text: str) -> None:
    """The same for the text of a JSON object, which gets a checksum (core/results/lines.py)."""
    write_atomically(path, signed(text))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place beside `path` to write to. It becomes `path` when the block ends well and is removed
    when it does not. Raises OSError that names `path`."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield fresh
            fresh.replace(path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise


def sweep(folder: Path) -> None:
    """Removes what killed processes left of files that they were replacing. The caller holds the
    folder's lock; a page is drawn without it."""
    for path in folder.glob("*.new"):
        if path.is_file() and not path.name.startswith("report.html"):
            path.unlink(missing_ok=True)


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
