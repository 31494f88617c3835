"""Pictures whose pixels are the columns of a table of commas or tabs, as MNIST is often handed on:
a label and 784 numbers a row, with a header or without one.

    H  rows    W  columns
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from seqarena.core.errors import UserError
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import listed, read_cells, table_format
from seqarena.data.signals.lists import CONTENTS, PATHS

_FEWEST = 9  # pixels
_NAMES = ("label", "class", "target", "y")


def read_flat(
    file: Path, label: str, encoding: str, reading: Reading
) -> Iterator[tuple[np.ndarray, str]] | None:
    """(pixels uint8 [H, W], label) of each row; None for a table that is none of these.

    Raises UserError, with file and row, for pixels that are no numbers from 0 to 255.
    """
    form = table_format(file)
    if form not in ("csv", "tsv"):
        return None
    rows = read_cells(file, tabs=form == "tsv", encoding=encoding, reading=reading)
    first = next(rows, None)
    if first is None or len(first[1]) <= _FEWEST:
        return None
    place, names = first
    side = math.isqrt(len(names) - 1)
    has_header = not all(name.strip().isdecimal() for name in names)
    small = [name.strip().lower() for name in names]
    known = [name for name in (label.lower(), *_NAMES) if name in small]
    if has_header and (not known or set(small) & {*PATHS, *CONTENTS["picture"]}):
        return None
    if side * side != len(names) - 1:
        raise UserError(
            f"{place}: {len(names) - 1} pixels a picture: as many rows as columns are wanted "
            f"({listed(names[:5])}, ...)"
        )
    column = small.index(known[0]) if has_header else 0
    if not has_header:
        reading.note("a table of pixels has no header: its first column is the label")
    reading.note(f"{side} x {side} pixels a row")
    return _pictures(first, rows, has_header, column, side)


def _pictures(
    first: tuple[str, list[str]],
    rows: Iterator[tuple[str, list[str]]],
    has_header: bool,
    column: int,
    side: int,
) -> Iterator[tuple[np.ndarray, str]]:
    if not has_header:
        yield _picture(*first, column, side)
    for place, cells in rows:
        yield _picture(place, cells, column, side)


def _picture(place: str, cells: list[str], column: int, side: int) -> tuple[np.ndarray, str]:
    if len(cells) != side * side + 1:
        raise UserError(f"{place}: {len(cells)} fields where the first line has {side * side + 1}")
    label = cells[column].strip()
    if not label:
        raise UserError(f"{place}: no label")
    try:
        pixels = np.array([*cells[:column], *cells[column + 1 :]], dtype=np.float64)
    except ValueError as error:
        raise UserError(f"{place}: pixels must be numbers from 0 to 255") from error
    if not ((pixels >= 0) & (pixels <= 255)).all():
        raise UserError(f"{place}: pixels must be numbers from 0 to 255")
    return np.rint(pixels).astype(np.uint8).reshape(side, side), label
