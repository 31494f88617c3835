"""Word and character error rates: how many edits make the reference of a hypothesis.

    WER = (substitutions + deletions + insertions) / words of the reference, over all examples

The least number of edits is Levenshtein's distance. Words stand between blanks, as the package
jiwer has it; characters are all those of the text, blanks between words included.
"""

import re
from collections.abc import Sequence

import numpy as np

_BLANKS = re.compile(r"\s\s+")


def words_of(text: str) -> list[str]:
    """What stands between blanks; several are as one."""
    return [word for word in _BLANKS.sub(" ", text).strip().split(" ") if word]


def characters_of(text: str) -> list[str]:
    """Each by itself; not the blanks around the text."""
    return list(text.strip())


def edit_distance(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Substitutions, deletions and insertions: the fewest that there can be (Wagner & Fischer
    1974), row by row."""
    number = {part: index for index, part in enumerate(dict.fromkeys((*reference, *hypothesis)))}
    hypothesis_H = np.array([number[part] for part in hypothesis], dtype=np.int64)
    places_H = np.arange(len(hypothesis) + 1)
    row_H = places_H
    for part in reference:
        kept_H = row_H[:-1] + (hypothesis_H != number[part])
        best_H = row_H + 1  # the part is deleted
        best_H[1:] = np.minimum(best_H[1:], kept_H)
        row_H = np.minimum.accumulate(best_H - places_H) + places_H  # and insertions
    return int(row_H[-1])
