"""What is asked of a window: one of several classes, or a number."""

from collections.abc import Sequence

import numpy as np

from seqarena.core.errors import UserError
from seqarena.data.files.reading import Reading
from seqarena.data.series.numbers import is_number, parse_number
from seqarena.data.series.windows.reading import Windows
from seqarena.data.series.windows.window import SensorWindow
from seqarena.tasks.windows.configs import WindowsConfig

_MOST_CLASSES = 20  # whole numbers that differ: more are numbers


def are_numbers(found: Windows, config: WindowsConfig, reading: Reading) -> bool:
    """What labels are; the reading says it. Raises UserError, with the place, for labels that are
    to be numbers and are none."""
    train = found.parts[0] or [window for part in found.parts for window in part]
    if config.target == "auto" and found.numbers is None:
        numbers = _look_like_numbers([window.label for window in train])
        says = "numbers" if numbers else "classes"
        reading.note(f"labels are read as {says}; --set target says otherwise")
        return numbers
    numbers = config.target == "number" or (config.target == "auto" and bool(found.numbers))
    if numbers:
        for window in (window for part in found.parts for window in part):
            parse_number(window.label, window.place, config.label)
    return numbers


def _look_like_numbers(labels: Sequence[str]) -> bool:
    if not all(label and is_number(label) for label in labels):
        return False
    different = {parse_number(label, "", "") for label in labels}
    return len(different) > _MOST_CLASSES or any(number % 1 for number in different)


def numbers_of(windows: Sequence[SensorWindow]) -> np.ndarray:
    """The labels as numbers. Raises UserError, with the place, for one that is none."""
    found = [parse_number(window.label, window.place, "label") for window in windows]
    for window, number in zip(windows, found):
        if np.isnan(number):
            raise UserError(f"{window.place}: no number as its label")
    return np.array(found)


def in_order(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Whole numbers by size, else as they are."""
    whole = all(name.isascii() and name.isdecimal() for name in classes)
    return tuple(sorted(classes, key=int)) if whole else classes
