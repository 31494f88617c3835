"""Pictures and labels in numpy's files: x_train.npy with y_train.npy, or an .npz of such arrays.

A name says its part by whole words: x, images, image or data are pictures; y, labels, label,
targets or target are labels; and train, validation or test as files do (data/files/find.py).

    N  pictures    H  rows    W  columns
"""

import io
import math
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import BinaryIO, cast

import numpy as np
from numpy.lib import format as numpy_format

from seqarena.core.errors import UserError
from seqarena.data.files.find import SPLITS, split_of
from seqarena.data.files.opening import read_file
from seqarena.data.files.reading import Reading
from seqarena.data.signals.idx import read_exactly

_PICTURES = ("x", "images", "image", "imgs", "pictures", "data")
_LABELS = ("y", "labels", "label", "targets", "target")
_GREY = np.array([0.299, 0.587, 0.114])  # of red, green and blue: ITU-R BT.601


def part_of(name: str) -> tuple[str, str] | None:
    """(pictures or labels, split) that a name says; None where it says neither.

    >>> part_of("x_train"), part_of("test_labels"), part_of("arr_0")
    (('pictures', 'train'), ('labels', 'test'), None)
    """
    words = re.findall("[a-z]+", name.lower())
    pictures = any(word in _PICTURES for word in words)
    labels = any(word in _LABELS for word in words)
    if labels or pictures:
        return "labels" if labels else "pictures", split_of(PurePath(name)) or "train"
    return None


def read_npy(stream: BinaryIO, name: str) -> np.ndarray:
    """An array of numbers or texts. Raises UserError naming the file for anything else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers that Python 2 has written
        try:
            version = numpy_format.read_magic(stream)
            readers = {
                (1, 0): numpy_format.read_array_header_1_0,
                (2, 0): numpy_format.read_array_header_2_0,
            }
            shape, is_by_columns, dtype = readers[version](stream)
        except Exception as error:  # the header is a text that Python parses
            raise UserError(f"{name}: not an .npy file that can be read") from error
    if dtype.kind not in "uifbUS" or any(size < 0 for size in shape) or len(shape) > 8:
        raise UserError(f"{name}: an array of {dtype} of {shape}: numbers or texts are wanted")
    content = read_exactly(stream, math.prod(shape) * dtype.itemsize, name)
    if not content:
        return np.zeros(shape, dtype)
    return np.frombuffer(content, dtype).reshape(shape, order="F" if is_by_columns else "C")


def read_npy_file(file: Path) -> np.ndarray:
    """The same of a file."""
    try:
        content = read_file(file, str(file))
    except UserError as error:
        raise UserError(f"{file}: not an .npy file that can be read: {error}") from error
    return read_npy(io.BytesIO(content), str(file))


def read_npz(file: Path) -> dict[str, np.ndarray]:
    """The arrays by name that are pictures or labels. Raises UserError naming what is broken."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = [info.filename.removesuffix(".npy") for info in archive.infolist()]
            found = {}
            for name in names:
                if part_of(name) is not None:
                    with archive.open(f"{name}.npy") as stream:
                        found[name] = read_npy(cast(BinaryIO, stream), f"{file}, {name}")
    except UserError:
        raise
    except Exception as error:  # a damaged archive raises errors of many kinds
        raise UserError(f"{file}: not an .npz file that can be read: {error}") from error
    if not found:
        raise UserError(f"{file}: no x_train and y_train among {', '.join(names[:10]) or 'none'}")
    return found


def pairs_of(
    place: str, arrays: Mapping[str, np.ndarray], reading: Reading
) -> dict[str, tuple[np.ndarray, list[str]]]:
    """(pictures uint8 [N, H, W], label of each) by split.

    Raises UserError for arrays that are missing, that do not fit, or that are no pictures.
    """
    parts: dict[tuple[str, str], str] = {}
    for name in arrays:
        part = part_of(name)
        if part in parts:
            raise UserError(f"{place}: {parts[part]} and {name} are both {part[0]} of {part[1]}")
        if part is not None:
            parts[part] = name
    found = {}
    for split in SPLITS:
        names = [parts.get((kind, split)) for kind in ("pictures", "labels")]
        if names == [None, None]:
            continue
        if names[0] is None or names[1] is None:
            missing = f"x_{split}" if names[0] is None else f"y_{split}"
            raise UserError(f"{place}: no {missing}: it has {', '.join(arrays)}")
        pictures_NHW = as_pictures(arrays[names[0]], f"{place}, {names[0]}", reading)
        labels = _texts(arrays[names[1]], f"{place}, {names[1]}")
        if len(pictures_NHW) != len(labels):
            raise UserError(
                f"{place}: {len(pictures_NHW):,} pictures in {names[0]} and {len(labels):,} labels "
                f"in {names[1]}"
            )
        found[split] = pictures_NHW, labels
    if "train" not in found:
        raise UserError(f"{place}: no x_train and y_train: it has {', '.join(arrays)}")
    return found


def as_pictures(array: np.ndarray, name: str, reading: Reading) -> np.ndarray:
    """Grey pictures, uint8 [N, H, W], of an array [N, H, W] or with a dimension of 1, 3 or 4
    colours. Raises UserError for other shapes and for values beyond 0 to 255 (floats: 0 to 1)."""
    if array.ndim == 4 and array.shape[1] == 1 and array.shape[3] > 4:
        array = array[:, 0]
    elif array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    has_colours = array.ndim == 4 and array.shape[3] in (3, 4)
    if not (array.ndim == 3 or has_colours) or not array.size or array.dtype.kind not in "uifb":
        raise UserError(f"{name}: an array of {array.shape}: number, height and width are wanted")
    highest = 255 if array.dtype.kind in "ui" else 1
    if not bool(((array >= 0) & (array <= highest)).all()):
        raise UserError(f"{name}: pixels must lie between 0 and {highest}")
    if has_colours:
        reading.note("pictures in colour are read as shades of grey")
        array = array[..., :3] @ _GREY
    if highest == 1:
        reading.note("pixels from 0 to 1 are read as 0 to 255")
        array = array * 255.0
    return array if array.dtype == np.uint8 else np.rint(array).astype(np.uint8)


def _texts(labels: np.ndarray, name: str) -> list[str]:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "uiUb":
        raise UserError(f"{name}: an array of {labels.shape}: one number or name a picture")
    return [str(label) for label in labels.tolist()]
