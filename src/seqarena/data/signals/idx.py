"""Arrays of bytes in idx files: the form in which MNIST is published.

idx: 0 0 type dimensions, then each dimension as 4 bytes, big-endian, then the numbers
"""

import math
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from seqarena.core.errors import UserError
from seqarena.data.files.opening import open_bytes, plain_name
from seqarena.data.files.reading import Reading

LARGEST = 2**31  # bytes of an array
_UNSIGNED_BYTE = 0x08
_MOST_DIMENSIONS = 4


def is_idx(file: Path) -> bool:
    """By its name."""
    name = plain_name(file).lower()
    return ("idx" in name or "ubyte" in name) and ("images" in name or "labels" in name)


def read_idx(file: Path) -> np.ndarray:
    """The array in an idx file of unsigned bytes, plain or packed. Raises UserError naming it."""
    with open_bytes(file) as stream:
        start = stream.read(4)
        if len(start) < 4 or start[:2] != b"\0\0" or start[2] != _UNSIGNED_BYTE:
            raise UserError(f"{file}: not an idx file of unsigned bytes (0 0 8 at its start)")
        dimensions = start[3]
        if dimensions > _MOST_DIMENSIONS:
            raise UserError(f"{file}: its header says {dimensions} dimensions: 1 to 3 are read")
        sizes = stream.read(4 * dimensions)
        if len(sizes) < 4 * dimensions:
            raise UserError(f"{file}: it ends within its header")
        shape = struct.unpack(f">{dimensions}I", sizes)
        content = read_exactly(stream, math.prod(shape), str(file))
    return np.frombuffer(content, np.uint8).reshape(shape)


def read_exactly(stream: BinaryIO, size: int, name: str) -> bytearray:
    """The rest of a file, of which a header says the size. It takes no more memory than there are
    bytes. Raises UserError where there are more or fewer, and for too many."""
    if size > LARGEST:
        raise UserError(f"{name}: its header says {size:,} bytes of data: {LARGEST:,} are read")
    content = bytearray()
    while len(content) <= size:
        block = stream.read(min(2**20, size + 1 - len(content)))
        if not block:
            break
        content += block
    if len(content) != size:
        found = f"{len(content):,}" if len(content) < size else f"more than {size:,}"
        raise UserError(f"{name}: {found} bytes of data where its header says {size:,}")
    return content


def read_idx_pair(
    data: Path, split: str, files: tuple[Path, ...], reading: Reading
) -> tuple[np.ndarray, np.ndarray]:
    """(pictures [N, H, W], labels [N]) among the files of one split. Raises UserError naming what
    is missing or does not fit."""
    chosen: dict[str, Path] = {}
    files = _with_partner(files[0]) if len(files) == 1 else files
    for kind in ("images", "labels"):
        fitting = _once([file for file in files if kind in file.name.lower()], reading)
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
    reading.read(chosen["images"], split, "idx", len(images))
    return images, labels


def _once(files: list[Path], reading: Reading) -> list[Path]:
    """Without the packed form of a file that is there unpacked, where both hold the same."""
    kept: list[Path] = []
    for file in files:
        first = next((k for k in kept if plain_name(k) == plain_name(file)), None)
        if first is not None and np.array_equal(read_idx(first), read_idx(file)):
            reading.pass_over(file, f"the same examples as {first.name}")
        else:
            kept.append(file)
    return kept


def _with_partner(file: Path) -> tuple[Path, ...]:
    """A file of pictures and that of their labels beside it; the file by itself where it has none.

    t10k-images-idx3-ubyte.gz      t10k-labels-idx1-ubyte.gz
    """
    name = file.name.replace("images", "labels").replace("idx3", "idx1")
    other = file.with_name(name)
    return (file, other) if other != file and other.is_file() else (file,)
