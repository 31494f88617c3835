"""Equal tuning: every architecture tries the same learning rates, then wider ones by one rule until
its best is inside of those tried.

The rates asked for are a grid; its spacing is the ratio of neighbours. While the best on validation
is the lowest or the highest tried, the next one beyond it is tried as well, one spacing farther and
rounded to two digits. A rate at which training diverged bounds the grid. The cap is the same for
all: so many further rates (`SearchRequest.widen`), none below `LOWEST` or above `HIGHEST`.
"""

import itertools
import math
from collections.abc import Mapping, Sequence

from seqarena.arena.requests import SearchRequest
from seqarena.core.results.records import WINDOW_LOSS, TriedRate

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py

LOWEST, HIGHEST = 1e-7, 10.0


def best_rate(values: Mapping[float, float | None], lower_is_better: bool) -> float | None:
    """The rate with the best validation value, of equal ones the lowest; None where there is none.

    `values` maps a rate to its value, None where it diverged, nan where its trial failed.
    """
    sign = 1 if lower_is_better else -1
    sound = [
        (sign * value, rate)
        for rate, value in values.items()
        if value is not None and not math.isnan(value)
    ]
    return min(sound)[1] if sound else None


def next_rate(
    search: SearchRequest, values: Mapping[float, float | None], lower_is_better: bool
) -> float | None:
    """The rate to try beyond all of `values`, in the form of `best_rate`; None where the best is
    inside, where the cap is reached, and where one rate alone was asked for."""
    wider = len(values) - len(search.rates)
    if len(search.rates) == 1 or wider >= search.widen:
        return None
    lowest, highest = min(values), max(values)
    best = best_rate(values, lower_is_better)
    spacing = (search.rates[-1] / search.rates[0]) ** (1 / (len(search.rates) - 1))
    if best is None and all(value is None for value in values.values()):
        best = lowest  # all diverged
    if best == lowest:
        found = _rounded(lowest / spacing)
    elif best == highest:
        found = _rounded(highest * spacing)
    else:
        return None
    return found if LOWEST <= found <= HIGHEST and found not in values else None


def window(
    tried: Sequence[TriedRate], chosen: float, lower_is_better: bool, *, is_share: bool
) -> tuple[TriedRate, ...]:
    """Of the rates tried, lowest first, the neighbours of the chosen one that lose at most
    `WINDOW_LOSS` to it: a share of its value, or for a metric that is a share that much of it."""
    place = [one.learning_rate for one in tried].index(chosen)
    best = tried[place].validation_value
    if best is None:
        return ()
    sign = 1 if lower_is_better else -1
    most = WINDOW_LOSS * (1.0 if is_share else abs(best))

    def is_inside(one: TriedRate) -> bool:
        value = one.validation_value
        return value is not None and sign * (value - best) <= most

    below = list(itertools.takewhile(is_inside, reversed(tried[:place])))
    return (*reversed(below), *itertools.takewhile(is_inside, tried[place:]))


def _rounded(rate: float) -> float:
    return float(f"{rate:.1e}")
