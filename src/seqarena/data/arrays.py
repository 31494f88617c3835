"""Arrays on disk that processes share: written once, memory-mapped by every reader."""

import functools
import hashlib
from pathlib import Path
from typing import IO, cast

import numpy as np

from seqarena.core.errors import UserError


class _PlainFile:
    """Takes bytes by `write` alone. To a file of the system numpy writes by itself, and does not
    say where the end of an array found no room."""

    def __init__(self, file: IO[bytes]) -> None:
        self.write = file.write


def save_array(path: Path, array: np.ndarray) -> str:
    """Writes an array as .npy; returns the SHA-256 of the file. Raises OSError where it cannot."""
    with path.open("wb") as file:
        np.save(cast("IO[bytes]", _PlainFile(file)), array, allow_pickle=False)
    return file_sha256(path)


def map_array(path: Path, sha256: str) -> np.ndarray:
    """The array, memory-mapped and read-only. Raises UserError where its file has changed."""
    if not path.exists() or file_sha256(path) != sha256:
        raise UserError(f"{path} is damaged: delete {path.parent} to prepare the data again")
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def file_sha256(path: Path) -> str:
    """Of the file's content, read once a process for each version of the file."""
    return _sha256(path, path.stat().st_mtime_ns)


@functools.cache
def _sha256(path: Path, mtime_ns: int) -> str:
    """Once a process for each version of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
