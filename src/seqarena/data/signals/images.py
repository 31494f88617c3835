"""Pictures with a label each, from idx files: the form in which MNIST is published.

    idx: 0 0 type dimensions, then each dimension as 4 bytes, big-endian, then the numbers

A folder has pairs `...images-idx3-ubyte` and `...labels-idx1-ubyte`, each plain or .gz; their names
say train, validation or test (t10k) as in data/sources.py.

    N  pictures    H  rows    W  columns
"""

import gzip
import hashlib
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqarena.core.errors import UserError
from seqarena.data.sources import find_split_files, split_of

_UNSIGNED_BYTE = 0x08


class Images(NamedTuple):
    """The pictures of one split."""

    pixels_NHW: np.ndarray  # uint8
    labels_N: np.ndarray  # uint8

    def __len__(self) -> int:
        return len(self.labels_N)

    def take(self, chosen: np.ndarray) -> "Images":
        return Images(self.pixels_NHW[chosen], self.labels_N[chosen])


def load_images(data: str | Path) -> dict[str, Images]:
    """The splits that a folder of idx files has; `train` always.

    Raises UserError naming the file that is missing, broken or does not fit its partner.
    """
    files = find_split_files(data)
    found = {
        split: _pair(Path(data), split, paths) for split, paths in files._asdict().items() if paths
    }
    height_width = found["train"].pixels_NHW.shape[1:]
    for split, images in found.items():
        if images.pixels_NHW.shape[1:] != height_width:
            raise UserError(
                f"{data}: pictures of {split} have {images.pixels_NHW.shape[1:]} pixels and those "
                f"of train {height_width}: all must have the same"
            )
    return found


def images_to_score(data: str | Path) -> tuple[str, Images]:
    """The test pictures of a folder, or those of its one pair, and the split that they are of ("":
    there is no other). Raises UserError as `load_images`, and where no split is for testing."""
    found: dict[str, list[Path]] = {}
    path = Path(data).expanduser()
    if not path.exists():
        raise UserError(f"{data}: no such file or folder")
    for file in sorted(path.rglob("*") if path.is_dir() else path.parent.glob("*")):
        if "idx" in file.name and not file.name.startswith("."):
            found.setdefault(split_of(file) or "", []).append(file)
    if not path.is_dir():
        found = {k: files for k, files in found.items() if path in files}
    if "test" not in found and len(found) != 1:
        raise UserError(f"{data}: no pictures for testing there, nor one pair of idx files alone")
    split = "test" if "test" in found else next(iter(found))
    return split if len(found) > 1 else "", _pair(Path(data), split, tuple(found[split]))


def read_idx(file: Path) -> np.ndarray:
    """The array in an idx file of unsigned bytes. Raises UserError naming the file."""
    try:
        content = file.read_bytes()
        if file.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{file}: cannot be read: {error}") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTE:
        raise UserError(f"{file}: not an idx file of unsigned bytes (0 0 8 at its start)")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise UserError(f"{file}: it ends within its header")
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    expected = int(np.prod(shape))
    if len(content) - start != expected:
        raise UserError(
            f"{file}: {len(content) - start:,} bytes of data where its header says {expected:,}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read_picture(item: str) -> np.ndarray:
    """One picture [H, W], 0 to 255: `digit.npy` (whole numbers, or 0 to 1 as floats), or the
    number n from 0 of an idx file, `t10k-images-idx3-ubyte.gz:n`. Raises UserError."""
    name, colon, number = item.strip().rpartition(":")
    if item.strip().endswith(".npy"):
        return _read_array(Path(item.strip()).expanduser())
    if not colon or not number.isdecimal():
        raise UserError(f"{item!r}: give an .npy file, or an idx file and a number, FILE.gz:17")
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
        found.update(images.labels_N.tobytes())
    return found.hexdigest()


def _pair(data: Path, split: str, files: tuple[Path, ...]) -> Images:
    """The pictures and labels among the files of one split."""
    chosen: dict[str, Path] = {}
    for kind in ("images", "labels"):
        fitting = [file for file in files if kind in file.name.lower()]
        if len(fitting) != 1:
            listed = ", ".join(file.name for file in fitting) or "none"
            raise UserError(
                f"{data}: one file of {kind} for {split} is needed, such as "
                f"{split}-{kind}-idx{3 if kind == 'images' else 1}-ubyte.gz (found: {listed})"
            )
        chosen[kind] = fitting[0]
    images, labels = read_idx(chosen["images"]), read_idx(chosen["labels"])
    if images.ndim != 3 or labels.ndim != 1 or not images.size:
        raise UserError(
            f"{chosen['images']}, {chosen['labels']}: pictures need three dimensions (number, "
            f"height, width) and labels one: found {images.shape} and {labels.shape}"
        )
    if len(images) != len(labels):
        raise UserError(
            f"{chosen['images']} has {len(images):,} pictures and {chosen['labels']} "
            f"{len(labels):,} labels"
        )
    return Images(images, labels)


def _read_array(file: Path) -> np.ndarray:
    try:
        picture = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{file}: not an .npy file that can be read: {error}") from error
    if picture.ndim != 2 or picture.dtype.kind not in "uif":
        raise UserError(f"{file}: an array of {picture.shape}: height and width are wanted")
    highest = 1.0 if picture.dtype.kind == "f" else 255
    if picture.size and (not (picture >= 0).all() or not (picture <= highest).all()):
        raise UserError(f"{file}: pixels must lie between 0 and {highest:g}")
    return picture * 255.0 if picture.dtype.kind == "f" else picture
