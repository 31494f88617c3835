"""What a task says of the data that it read, split by split: the raw counts of a summary."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from seqarena.core.batch import UNKNOWN

NUMBERS_DEPEND_ON_THIS = False  # it says what was read (jobs/sources.py)


class SplitSurvey(NamedTuple):
    """One split as its task read it."""

    examples: int
    lengths_N: Mapping[str, np.ndarray] = {}  # unit -> of each example, before anything is cut
    cut: int = 0  # examples whose end does not fit
    left_out: int = 0  # training examples that do not fit
    tokens: int = 0
    unknown: int | None = None  # tokens that the vocabulary lacks; None: it lacks none
    in_training: int | None = None  # examples, or what is compared, that training has too
    compared: int | None = None  # how many were compared, where that is not the examples


class Survey(NamedTuple):
    """What a task read. The parts are train, validation and test."""

    parts: Mapping[str, SplitSurvey]
    noun: str = "example"
    in_files: str = ""  # what files hold; "": the same
    compared: str = ""  # what is looked for in the training data; "": the same
    how: str = ""  # the splits came about; "": as the reading says
    classes: Mapping[str, int] = {}  # name -> how often training has it
    notes: tuple[str, ...] = ()


def count_tokens(rows: Sequence[np.ndarray]) -> tuple[int, int]:
    """How many tokens there are, and how many of them the vocabulary lacks."""
    return sum(map(len, rows)), sum(int((row_T == UNKNOWN).sum()) for row_T in rows)


def lengths_of(rows: Sequence[Sequence[object] | np.ndarray]) -> np.ndarray:
    """The length of each row [N]."""
    return np.array([len(row) for row in rows], dtype=np.int64)
