"""Windows of numbers with a label each, out of what a user has.

tables            a step a row (tables.py); in folders that are named by a class, a window a file
.ts               as the UCR and UEA archives are published (ts_files.py)
.npz, .npy        x_train [N, T, C] and y_train (arrays.py)
idx               pictures as MNIST is published: a row is a step, its pixels are channels

Files say their split as everywhere (data/files/find.py).
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from seqarena.core.errors import UserError
from seqarena.data.files.examples import read_splits
from seqarena.data.files.find import SplitFiles, find_files, list_files, split_files
from seqarena.data.files.folders import classes_of
from seqarena.data.files.opening import plain_suffix
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import listed, table_format
from seqarena.data.series.windows.arrays import read_arrays, windows_of_array, windows_of_arrays
from seqarena.data.series.windows.tables import WindowColumns, read_table
from seqarena.data.series.windows.ts_files import read_ts
from seqarena.data.series.windows.window import SensorWindow, WindowFile
from seqarena.data.signals.idx import is_idx, read_idx_pair
from seqarena.data.signals.numpy_files import part_of

_KINDS = ("table", "picture", "store of objects", None)  # .npy and .npz are of the two
_COME_AS = (
    "windows come as a table of a step a row, with the columns window and label, as folders of "
    "tables by class, as .ts files, or as an .npz of x_train and y_train"
)


class Windows(NamedTuple):
    """The windows of each split, the names of their channels, and whether labels are numbers where
    the files say it."""

    parts: list[list[SensorWindow]]  # train, validation, test
    channels: tuple[str, ...]
    numbers: bool | None = None


def load_windows(data: str, columns: WindowColumns, reading: Reading) -> Windows:
    """The windows by split; there are some to train on unless they are to be scored.

    Raises UserError with file and line for what cannot be read, and for windows that have other
    channels than the first.
    """
    path = Path(data).expanduser()
    if path.is_file() and not _may_hold_windows(path):
        raise UserError(f"{path}: {_COME_AS}")
    files = list_files(path, _KINDS, Reading(), keep=_may_hold_windows)
    if any(is_idx(file) for file in files):
        return _of_idx(path, [file for file in files if is_idx(file)], reading)
    if any(_is_array(file) for file in files):
        return _of_arrays(path, list_files(path, _KINDS, reading), reading)
    return _of_files(path, files, columns, reading)


def read_window_file(file: Path, columns: WindowColumns, reading: Reading) -> WindowFile:
    """The windows of one file, in their order; of arrays, of all its splits."""
    if file.suffix in (".npz", ".npy"):
        arrays = read_arrays(file)
        if len(arrays) == 1:
            [(name, array)] = arrays.items()
            single = array[None] if array.ndim < 3 and file.suffix == ".npy" else array
            return windows_of_array(f"{file}, {name}", single, None)
        parts = list(windows_of_arrays(str(file), arrays).values())
        return WindowFile([w for part in parts for w in part.windows], parts[0].channels)
    if plain_suffix(file) == ".ts":
        return read_ts(file)
    if table_format(file) is None:
        raise UserError(f"{file}: {_COME_AS}")
    return read_table(file, columns, reading)


def content_of(windows: Sequence[SensorWindow]) -> bytes:
    """SHA-256 of numbers and labels, in their order."""
    found = hashlib.sha256()
    for window in windows:
        found.update(f"{window.values_TC.shape}{window.label}\0".encode())
        found.update(window.values_TC.tobytes())
    return found.digest()


def _may_hold_windows(file: Path) -> bool:
    known = _is_array(file) or is_idx(file) or plain_suffix(file) == ".ts"
    return known or table_format(file) is not None


def _is_array(file: Path) -> bool:
    return file.suffix in (".npz", ".npy")


def _of_arrays(path: Path, files: list[Path], reading: Reading) -> Windows:
    arrays = {}
    for file in files:
        if file.suffix == ".npz" or (file.suffix == ".npy" and part_of(file.stem) is not None):
            arrays |= read_arrays(file)
        else:
            reading.pass_over(file, "it is beside arrays whose names say x or y")
    found = windows_of_arrays(str(path), arrays)
    for split, part in found.items():
        reading.read(path, split, "numpy", len(part.windows))
    reading.how = "by the names of the arrays" if len(found) > 1 else "all are for training"
    for split, part in found.items():
        _check_channels(part, found.get("train", part), split)
    parts = [found[split].windows if split in found else [] for split in SplitFiles._fields]
    return Windows(parts, next(iter(found.values())).channels)


def _of_idx(path: Path, files: list[Path], reading: Reading) -> Windows:
    found = {}
    for split, paths in split_files(path, files, reading)._asdict().items():
        if paths:
            pixels_NHW, labels_N = read_idx_pair(path, split, paths, reading)
            found[split] = windows_of_array(split, pixels_NHW, labels_N)
    parts = [found[split].windows if split in found else [] for split in SplitFiles._fields]
    return Windows(parts, next(iter(found.values())).channels, numbers=False)


def _of_files(path: Path, files: list[Path], columns: WindowColumns, reading: Reading) -> Windows:
    classes = {} if path.is_file() else classes_of(path, files)
    by_folder = len(set(classes.values())) > 1 and all(file.parent in classes for file in files)
    if by_folder:
        files = list_files(path, _KINDS, reading, keep=_may_hold_windows)
        by_split = split_files(path, files, reading, by_names=False)
    else:
        by_split = find_files(path, _KINDS, reading, keep=_may_hold_windows)
    found: list[WindowFile] = []

    def read(file: Path) -> list[SensorWindow]:
        label = classes[file.parent] if by_folder else None
        if label is not None and plain_suffix(file) != ".ts":
            found.append(read_table(file, columns, reading, label=label))
        else:
            found.append(read_window_file(file, columns, reading))
        _check_channels(found[-1], found[0], str(file))
        return found[-1].windows

    parts = read_splits(by_split, read, reading, format_of=_format, key=lambda w: content_of([w]))
    return Windows(parts, found[0].channels, found[0].numbers)


def _format(file: Path) -> str:
    return table_format(file) or plain_suffix(file)[1:]


def _check_channels(found: WindowFile, first: WindowFile, place: str) -> None:
    if found.channels != first.channels:
        raise UserError(
            f"{place}: the channels are {listed(found.channels)}, and before "
            f"{listed(first.channels)}"
        )
    count = len(found.channels)
    for window in found.windows:
        if window.values_TC.shape[1] != count:
            raise UserError(
                f"{window.place}: {window.values_TC.shape[1]} channels, and the first has {count}"
            )
