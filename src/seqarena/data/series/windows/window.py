"""One window: what every reader of windows gives.

T  steps    C  channels
"""

from typing import NamedTuple

import numpy as np


class SensorWindow(NamedTuple):
    """Numbers over time, and what is asked of them."""

    place: str  # file and line, for errors
    name: str
    values_TC: np.ndarray  # float32, NaN where a number is missing
    label: str  # "" where there is none


class WindowFile(NamedTuple):
    """What one file holds."""

    windows: list[SensorWindow]
    channels: tuple[str, ...]  # their names
    numbers: bool | None = None  # whether labels are numbers, where the file says it
