"""Whether training went on for long enough: what more of it would bring, by the validation curves.

The gain for a doubling is the slope of the validation curve against the logarithm of the tokens,
over the second half of training without its last point: the curve's points are of one evaluation
batch, the last is of the whole split. Two errors nearly cancel: the falling learning rate makes the
curve steeper at the end, and a run of twice the budget keeps its rate high for twice as long.
Against runs of twice the budget (embedded text, 50,000 parameters, six architectures) the gain was
.77 to 1.33 times the slope after 196 and 391 steps, 1.2 to 2.2 times after 98, and anything from
.7 to 12 times after 12 to 49.

Below `LEAST_STEPS` there is neither such a slope nor a winner: the architecture that led after 12
steps, by .9 bits per byte, and after 24 was the last after 391 and 782.
"""

import math
from collections.abc import Sequence

import numpy as np

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
LEAST_STEPS = 100  # optimizer steps below which no winner is named
_ROUNDING = 1e-12  # of the values: what the fit of a level curve leaves of them
Curve = Sequence[tuple[int, float]]  # (tokens, validation value)


def slope_per_doubling(curve: Curve) -> float | None:
    """The change of the validation value for each doubling of the tokens, over the second half of
    training; None where fewer than three points lie there."""
    if not curve:
        return None
    end = curve[-1][0]
    late = [(tokens, value) for tokens, value in curve[:-1] if tokens >= 0.45 * end]
    if len(late) < 3 or not all(math.isfinite(value) for _, value in late):
        return None
    tokens, values = (np.array(column, dtype=float) for column in zip(*late, strict=True))
    slope = float(np.polyfit(np.log2(tokens), values, 1)[0])
    return slope if abs(slope) > _ROUNDING * np.abs(values).max() else 0.0


def mean_slope(curves: Sequence[Curve]) -> float | None:
    """Of all seeds that have one."""
    slopes = [slope for curve in curves if (slope := slope_per_doubling(curve)) is not None]
    return sum(slopes) / len(slopes) if slopes else None
