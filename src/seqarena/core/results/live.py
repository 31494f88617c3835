"""A trained model that a page runs, as the engine hands it to the report."""

from typing import NamedTuple

NUMBERS_DEPEND_ON_THIS = False  # it says what was trained (jobs/sources.py)


class LiveModel(NamedTuple):
    """`data` is the JSON that the page's scripts read; "" where `reason` says why the model cannot
    run in a page."""

    architecture: str
    data: str = ""
    reason: str = ""
    parameters: int = 0
    rounding: float = 0.0  # of the logits, by float16, relative to the largest; 0: float32
