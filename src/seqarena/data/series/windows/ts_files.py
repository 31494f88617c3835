"""The `.ts` files of the UCR and UEA archives, as aeon and sktime read them.

@classLabel true left right     or @targetLabel true: labels are numbers
@data
0.1,0.2,?:1.0,1.1,1.2:left      channels between colons, ? is missing, the label last
"""

from pathlib import Path

import numpy as np

from seqarena.core.errors import UserError
from seqarena.data.files.opening import read_lines
from seqarena.data.series.numbers import parse_number
from seqarena.data.series.windows.window import SensorWindow, WindowFile


def read_ts(file: Path) -> WindowFile:
    """Every window of a file. Raises UserError with file and line."""
    header: dict[str, str] = {}
    windows: list[SensorWindow] = []
    in_data = False
    for number, line in read_lines(file):
        text, place = line.strip(), f"{file}, line {number}"
        if not text or text.startswith("#"):
            continue
        if text.startswith("@"):
            key, _, value = text[1:].partition(" ")
            header[key.lower()] = value.strip()
            in_data = in_data or key.lower() == "data"
            continue
        if not in_data:
            raise UserError(f"{place}: a line of @ is needed before @data; found {text[:40]!r}")
        windows.append(_window(text, place, len(windows), header))
    if not in_data:
        raise UserError(f"{file}: no line @data: not a .ts file as aeon and sktime write them")
    if not windows:
        raise UserError(f"{file}: no window behind @data")
    count = windows[0].values_TC.shape[1]
    channels = tuple(f"channel {number + 1}" for number in range(count))
    numbers, classes = (_says(header, key) for key in ("targetlabel", "classlabel"))
    return WindowFile(windows, channels, numbers if numbers or classes else None)


def _says(header: dict[str, str], key: str) -> bool:
    """Whether a line of the header says true."""
    return header.get(key, "").lower().startswith("true")


def _window(text: str, place: str, index: int, header: dict[str, str]) -> SensorWindow:
    if _says(header, "timestamps"):
        raise UserError(f"{place}: stamps of time in .ts files are not read: write a table")
    parts = text.split(":")
    labelled = _says(header, "targetlabel") or _says(header, "classlabel")
    label = parts.pop().strip() if labelled else ""
    if labelled and not label:
        raise UserError(f"{place}: no label behind the last colon")
    channels = [
        [parse_number(cell, place, f"channel {c + 1}") for cell in part.split(",")]
        for c, part in enumerate(parts)
    ]
    if not channels or len({len(channel) for channel in channels}) > 1:
        lengths = ", ".join(str(len(channel)) for channel in channels) or "none"
        raise UserError(f"{place}: all channels must have as many steps: {lengths}")
    values_TC = np.array(channels, dtype=np.float32).T
    return SensorWindow(place, str(index), values_TC, label)
