"""What a CTC model says: the symbols of its best path, or of the likeliest prefix.

A path names one symbol a position, and many paths spell one transcript (ops/ctc). The best path is
the likeliest symbol at each position, spelled. Prefix beam search (Hannun et al. 2014, "First-Pass
Large Vocabulary Continuous Speech Recognition", algorithm 1, without a language model) sums the
paths of each transcript as it goes and keeps the `width` likeliest prefixes at every position; for
each it keeps apart the paths that end in a blank, behind which a symbol may come again.

    T  positions    V  symbols and the blank, which is 0
"""

import math
from collections import defaultdict
from typing import NamedTuple

import numpy as np

BLANK = 0  # as in ops/ctc


class Spelled(NamedTuple):
    """A transcript as symbols, and the ln of the probability that the search found for it."""

    symbols: tuple[int, ...]
    log_p: float


def best_path(log_probs_TV: np.ndarray) -> Spelled:
    """The likeliest path, spelled, and that path's own probability."""
    path_T = log_probs_TV.argmax(1)
    log_p = float(log_probs_TV.max(1).sum())
    kept_T = np.ones(len(path_T), dtype=bool)
    kept_T[1:] = path_T[1:] != path_T[:-1]
    return Spelled(tuple(path_T[kept_T & (path_T != BLANK)].tolist()), log_p)


def prefix_beam(log_probs_TV: np.ndarray, width: int) -> Spelled:
    """The likeliest transcript among `width` prefixes kept at every position. With all of them kept
    it is the likeliest there is, with its exact probability."""
    kept: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -math.inf)}
    for scores_V in log_probs_TV.astype(np.float64).tolist():
        # ln of the paths that end in a blank, and of those that end in the prefix's last symbol
        found: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [-math.inf, -math.inf])
        for prefix, (blank, symbol) in kept.items():
            total = _sum(blank, symbol)
            same = found[prefix]
            same[0] = _sum(same[0], total + scores_V[BLANK])
            if prefix:
                same[1] = _sum(same[1], symbol + scores_V[prefix[-1]])
            for new in range(1, len(scores_V)):
                before = blank if prefix and new == prefix[-1] else total
                longer = found[(*prefix, new)]
                longer[1] = _sum(longer[1], before + scores_V[new])
        best = sorted(found.items(), key=lambda item: (-_sum(*item[1]), item[0]))
        kept = {prefix: (blank, symbol) for prefix, (blank, symbol) in best[:width]}
    symbols, ends = next(iter(kept.items()))
    return Spelled(symbols, _sum(*ends))


def _sum(a: float, b: float) -> float:
    """ln (e^a + e^b)."""
    high, low = (a, b) if a > b else (b, a)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
