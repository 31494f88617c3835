"""Pictures with a label each, all of one size.

idx files        pairs `...images-idx3-ubyte` and `...labels-idx1-ubyte`, as MNIST is published
class folders    train/cat/1.png, in a folder or an archive; without folders of splits all are
                 for training
tables           a picture a row (data/signals/lists.py), or its pixels, a column each
.npz, .npy       x_train and y_train (data/signals/numpy_files.py)

N  pictures    H  rows    W  columns
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqarena.core.errors import UserError
from seqarena.data.files.find import SPLITS, kind_of, list_files, split_files
from seqarena.data.files.opening import read_file
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import table_format
from seqarena.data.signals.flat import read_flat
from seqarena.data.signals.idx import is_idx, read_idx, read_idx_pair
from seqarena.data.signals.lists import find_signals, read_list
from seqarena.data.signals.members import is_archive, read_archive, read_files, split_and_class
from seqarena.data.signals.numpy_files import pairs_of, part_of, read_npy_file, read_npz
from seqarena.data.signals.pictures import decode_picture

_Found = tuple[str, np.ndarray, str, str]  # split, pixels_HW, label, name
_KINDS = ("picture", "table", "store of objects", None)


_COME_AS = (
    "pictures come as idx files or class folders of PNG or JPEG files, in a folder or an archive, "
    "as a table of path and label, or as an .npz of x_train, y_train"
)


class Images(NamedTuple):
    """The pictures of one split."""

    pixels_NHW: np.ndarray  # uint8
    labels_N: np.ndarray  # uint8, or names

    def __len__(self) -> int:
        return len(self.labels_N)

    def take(self, chosen: np.ndarray) -> "Images":
        return Images(self.pixels_NHW[chosen], self.labels_N[chosen])


def load_images(
    data: str | Path,
    *,
    label: str = "label",
    encoding: str = "utf-8",
    reading: Reading | None = None,
) -> dict[str, Images]:
    """The splits that a folder, a pattern or a file has; `train` always, unless they are to be
    scored. `label` is the column of tables.

    Raises UserError naming the file that is missing, broken or does not fit the others.
    """
    reading = Reading() if reading is None else reading
    path = Path(data).expanduser()
    files = [path] if path.is_file() else list_files(path, _KINDS, Reading())
    if path.is_file() and not _may_hold_pictures(path):
        raise UserError(f"{path}: {_COME_AS}")
    if any(is_idx(file) for file in files):
        found = _of_idx(path, reading)
    elif any(_is_array(file) for file in files):
        found = _of_arrays(path, files, reading)
    else:
        found = _gathered(_entries(path, label, encoding, reading), path, reading)
    first, height_width = next((k, images.pixels_NHW.shape[1:]) for k, images in found.items())
    for split, images in found.items():
        if images.pixels_NHW.shape[1:] != height_width:
            raise UserError(
                f"{data}: pictures of {split} have {images.pixels_NHW.shape[1:]} pixels and those "
                f"of {first} {height_width}: all must have the same"
            )
    return found


def read_picture(item: str) -> np.ndarray:
    """One picture [H, W], 0 to 255: a PNG or another picture, `digit.npy` (whole numbers, or 0 to 1
    as floats), or the number n from 0 of an idx file, `t10k-images-idx3-ubyte.gz:n`. Raises
    UserError."""
    item = item.strip()
    name, colon, number = item.rpartition(":")
    file = Path(item).expanduser()
    if file.suffix == ".npy":
        return _read_array(file)
    if kind_of(file) == "picture":
        return decode_picture(read_file(file, item), item, Reading())
    if not colon or not (number.isascii() and number.isdecimal()):
        raise UserError(
            f"{item!r}: give an .npy file, or an idx file and a number, FILE.gz:17, or a picture "
            "such as a PNG"
        )
    pictures_NHW = read_idx(Path(name).expanduser())
    if pictures_NHW.ndim != 3:
        raise UserError(f"{name}: holds no pictures but {pictures_NHW.ndim}-dimensional numbers")
    if int(number) >= len(pictures_NHW):
        raise UserError(f"{item!r}: the last of {name} is number {len(pictures_NHW) - 1}")
    return pictures_NHW[int(number)]


def content_hash(splits: dict[str, Images]) -> str:
    """Of every picture and label by split, in order."""
    found = hashlib.sha256()
    for split, images in splits.items():
        found.update(f"{split}{images.pixels_NHW.shape}".encode())
        found.update(images.pixels_NHW.tobytes())
        labels_N = images.labels_N
        is_number = labels_N.dtype == np.uint8
        found.update(labels_N.tobytes() if is_number else "\0".join(labels_N.tolist()).encode())
    return found.hexdigest()


def _of_idx(path: Path, reading: Reading) -> dict[str, Images]:
    files = list_files(path, _KINDS, reading)
    for file in files:
        if not is_idx(file):
            reading.pass_over(file, "it is beside idx files")
    by_split = split_files(path, [file for file in files if is_idx(file)], reading)._asdict()
    return {
        split: Images(*read_idx_pair(path, split, paths, reading))
        for split, paths in by_split.items()
        if paths
    }


def _may_hold_pictures(file: Path) -> bool:
    known = is_idx(file) or _is_array(file) or is_archive(file)
    return known or table_format(file) is not None or kind_of(file) == "picture"


def _is_array(file: Path) -> bool:
    suffix = file.suffix.lower()
    return suffix == ".npz" or (suffix == ".npy" and part_of(file.stem) is not None)


def _of_arrays(path: Path, files: list[Path], reading: Reading) -> dict[str, Images]:
    if not path.is_file():
        files = list_files(path, _KINDS, reading)
    arrays: dict[str, np.ndarray] = {}
    for file in files:
        if not _is_array(file):
            reading.pass_over(file, "it is beside arrays")
        elif file.suffix.lower() == ".npy":
            arrays[file.stem] = read_npy_file(file)
        elif arrays:
            raise UserError(f"{path}: several files of arrays: name one")
        else:
            arrays = read_npz(file)
    found = pairs_of(str(path), arrays, reading)
    reading.how = "by the arrays' names"
    for split, (_, labels) in found.items():
        reading.read(path, split, "numpy", len(labels))
    return _with_labels(found)


def _gathered(found: Iterator[_Found], path: Path, reading: Reading) -> dict[str, Images]:
    """Pictures one by one, by split, in their order."""
    parts: dict[str, tuple[list[np.ndarray], list[str]]] = {}
    first: tuple[str, tuple[int, ...]] | None = None
    for split, pixels_HW, label, name in found:
        first = first or (name, pixels_HW.shape)
        if pixels_HW.shape != first[1]:
            raise UserError(
                f"{name}: {pixels_HW.shape[0]} x {pixels_HW.shape[1]} pixels, and {first[0]} has "
                f"{first[1][0]} x {first[1][1]}: all must have the same"
            )
        pictures, labels = parts.setdefault(split, ([], []))
        pictures.append(pixels_HW)
        labels.append(label)
    if "train" not in parts and not (reading.to_score and parts):
        raise UserError(f"{path}: no picture in it is for training: {_COME_AS}")
    if not reading.how:
        reading.how = "by the folders' names" if len(parts) > 1 else "all are for training"
    return _with_labels({s: (np.stack(parts[s][0]), parts[s][1]) for s in SPLITS if s in parts})


def _entries(path: Path, label: str, encoding: str, reading: Reading) -> Iterator[_Found]:
    tables, files = (None, [])
    if not is_archive(path):
        tables, files = find_signals(path, "picture", reading)
    if tables is None:
        yield from _of_folders(path, files, reading)
        return
    for split, paths in tables._asdict().items():
        for file in paths:
            flat = read_flat(file, label, encoding, reading)
            rows = (
                _rows(file, split, label, encoding, reading)
                if flat is None
                else (
                    (split, pixels_HW, text, f"{file}, picture {number}")
                    for number, (pixels_HW, text) in enumerate(flat, 1)
                )
            )
            counts: dict[str, int] = {}
            for found in rows:
                counts[found[0]] = counts.get(found[0], 0) + 1
                yield found
            for name, count in counts.items():
                reading.read(file, name, str(table_format(file)), count)


def _rows(file: Path, split: str, label: str, encoding: str, reading: Reading) -> Iterator[_Found]:
    own = None if reading.how == "one file" else split
    for row in read_list(
        file, "picture", label=label, split=own, encoding=encoding, reading=reading
    ):
        name = row.name if "." in row.name else row.place
        yield row.split or "train", decode_picture(row.content, name, reading), row.label, name


def _of_folders(path: Path, files: list[Path], reading: Reading) -> Iterator[_Found]:
    """The pictures of class folders, in a folder or an archive."""
    counts: dict[str, int] = {}
    inside = read_archive(path, "picture", reading) if is_archive(path) else read_files(path, files)
    for member in inside:
        split, folder = split_and_class(member.name)
        if folder is None:
            raise UserError(
                f"{member.name}: it lies in no class's folder: put it into one, as cat/1.png, or "
                "give a table of path and label"
            )
        split = split or "train"
        counts[split] = counts.get(split, 0) + 1
        yield split, decode_picture(member.content, member.name, reading), folder, member.name
    for split, count in counts.items():
        reading.read(path, split, "pictures in class folders", count)


def _with_labels(found: dict[str, tuple[np.ndarray, list[str]]]) -> dict[str, Images]:
    """Labels as small numbers where all are such."""
    texts = {label for _, labels in found.values() for label in labels}
    small = all(t.isascii() and t.isdecimal() and str(int(t)) == t and int(t) < 256 for t in texts)
    return {
        split: Images(pixels, np.array(labels, np.uint8) if small else np.array(labels))
        for split, (pixels, labels) in found.items()
    }


def _read_array(file: Path) -> np.ndarray:
    picture = read_npy_file(file)
    if picture.ndim != 2 or picture.dtype.kind not in "uif":
        raise UserError(f"{file}: an array of {picture.shape}: height and width are wanted")
    highest = 1.0 if picture.dtype.kind == "f" else 255
    if picture.size and (not (picture >= 0).all() or not (picture <= highest).all()):
        raise UserError(f"{file}: pixels must lie between 0 and {highest:g}")
    return picture * 255.0 if picture.dtype.kind == "f" else picture
