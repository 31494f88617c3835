"""Words with their places in a text, the span of words that an answer covers, and the best span.

T  positions
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seqarena.data.text.vocabulary import split_words


class PlacedWords(NamedTuple):
    """The words of a text as it spells them, and where each begins and ends in characters."""

    words: tuple[str, ...]
    starts_T: np.ndarray
    ends_T: np.ndarray


def placed_words(text: str) -> PlacedWords:
    """The words of `split_words`, each with its place.

    >>> placed_words("In 1990, Anna").words, placed_words("In 1990, Anna").starts_T.tolist()
    (('In', '1990', ',', 'Anna'), [0, 3, 7, 9])
    """
    words = tuple(split_words(text, lowercase=False))
    starts: list[int] = []
    end = 0
    for word in words:
        starts.append(text.index(word, end))
        end = starts[-1] + len(word)
    starts_T = np.array(starts, dtype=np.int64)
    return PlacedWords(words, starts_T, starts_T + np.array([len(w) for w in words], np.int64))


def words_at(placed: PlacedWords, start: int, end: int) -> tuple[int, int] | None:
    """The first and the last of the words that share a character with [start, end); None: none."""
    first = int(np.searchsorted(placed.ends_T, start, side="right"))
    last = int(np.searchsorted(placed.starts_T, end, side="left")) - 1
    return (first, last) if first <= last else None


class ScoredSpan(NamedTuple):
    """A span by its first and its last position, and its score."""

    first: int
    last: int
    score: float


def best_span(first_T: np.ndarray, last_T: np.ndarray, most: int) -> ScoredSpan:
    """The span of at most `most` positions with the highest sum of the score of its first position
    and that of its last. Of equal ones the shortest, then the first. T >= 1."""
    best = ScoredSpan(0, 0, -np.inf)
    for more in range(min(most, len(first_T))):
        sums = first_T[: len(first_T) - more] + last_T[more:]
        place = int(sums.argmax())
        if sums[place] > best.score:
            best = ScoredSpan(place, place + more, float(sums[place]))
    return best


def window_starts(length: int, room: int, step: int) -> Sequence[int]:
    """Where the windows of `room` words begin that cover `length` words, `step` words apart. The
    last one ends where the text does.

    >>> list(window_starts(10, 4, 3)), list(window_starts(3, 4, 3))
    ([0, 3, 6], [0])
    """
    if length <= room:
        return [0]
    starts = list(range(0, length - room, step))
    return [*starts, length - room]
