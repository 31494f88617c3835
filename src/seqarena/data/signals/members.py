"""Recordings and pictures as files: those of a folder, of a pattern, or of an archive.

train/cat/1.wav: the outermost folder that says a split is the split, and the nearest other folder
is the class. What is hidden or of another kind is passed over.
"""

import tarfile
import zipfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

from seqarena.core.errors import UserError
from seqarena.data.files.find import kind_of, root_of, split_of
from seqarena.data.files.opening import open_bytes, read_file
from seqarena.data.files.reading import Reading

Item = TypeVar("Item")
_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")
ARCHIVES = (*_TARS, ".zip")
_LARGEST = 2**29  # bytes of a file in an archive


class Member(NamedTuple):
    """One file and what is in it."""

    name: str  # below the folder or in the archive, / between
    content: bytes


def is_archive(path: Path) -> bool:
    """By its name."""
    return path.name.lower().endswith(ARCHIVES)


def read_files(data: str | Path, files: list[Path]) -> Iterator[Member]:
    """Those files with their names below `data`. Raises UserError for one that cannot be read."""
    root = root_of(data)
    for file in files:
        yield Member(file.relative_to(root).as_posix(), read_file(file, str(file)))


def read_archive(
    path: Path, kind: str, reading: Reading, also: Collection[str] = ()
) -> Iterator[Member]:
    """The files of a kind (`kind_of`), and those named in `also`, in a tar or zip archive, in its
    order.

    Raises UserError for an archive that is damaged, and for a file too large to be an example.
    """
    members = _zip(path) if path.name.lower().endswith(".zip") else _tar(path)
    for name, size, read in _guarded(path, members):
        inside = PurePosixPath(name.replace("\\", "/"))
        place = path / inside
        if any(part.startswith(".") or part == "__MACOSX" for part in inside.parts):
            reading.pass_over(place, "hidden")
        elif kind_of(Path(inside)) != kind and inside.name not in also:
            found = kind_of(Path(inside)) or "file of unknown kind"
            reading.pass_over(place, f"a {found}: not what this task reads")
        elif size > _LARGEST:
            raise UserError(f"{place}: {size:,} bytes: cut it, {_LARGEST:,} are read")
        else:
            (content,) = _guarded(path, (read() for _ in range(1)))
            yield Member(inside.as_posix(), content)


def split_and_class(name: str) -> tuple[str | None, str | None]:
    """What the folders of a file say.

    >>> split_and_class("train/cat/1.wav"), split_and_class("sounds/valid/2.wav")
    (('train', 'cat'), ('validation', 'sounds'))
    """
    folders = PurePosixPath(name).parent.parts
    said = next((k for k, folder in enumerate(folders) if split_of(PurePosixPath(folder))), None)
    others = [folder for k, folder in enumerate(folders) if k != said]
    split = None if said is None else split_of(PurePosixPath(folders[said]))
    return split, others[-1] if others else None


_Entry = tuple[str, int, Callable[[], bytes]]  # name, size in bytes, what reads it


def _tar(path: Path) -> Iterator[_Entry]:
    if path.suffix.lower() == ".zst":
        with open_bytes(path) as stream, tarfile.open(fileobj=stream) as archive:
            yield from _tar_entries(archive)
    else:
        with tarfile.open(path) as archive:
            yield from _tar_entries(archive)


def _tar_entries(archive: tarfile.TarFile) -> Iterator[_Entry]:
    for member in archive:
        if member.isfile():
            yield member.name, member.size, lambda member=member: _tar_content(archive, member)
    stream = archive.fileobj
    while stream is not None and stream.read(2**20):  # to its end, where the check sum is
        pass


def _tar_content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    assert stream is not None
    return stream.read()


def _zip(path: Path) -> Iterator[_Entry]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                yield info.filename, info.file_size, lambda info=info: archive.read(info)


def _guarded(path: Path, items: Iterator[Item]) -> Iterator[Item]:
    """Turns what damaged archives raise, errors of many kinds, into one line."""
    while True:
        try:
            item = next(items)
        except StopIteration:
            return
        except (UserError, AssertionError):
            raise
        except Exception as error:
            why = str(error).partition("\n")[0].removesuffix(":")
            raise UserError(f"{path}: not an archive that can be read: {why}") from error
        yield item
