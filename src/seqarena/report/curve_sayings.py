"""What measured curves say, in a few words each and in one sentence together.

The estimates are those of the page (series_reading.saying); where a curve has none, its largest
value or its two ends speak for it.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from seqarena.core.estimates import Estimate, reach
from seqarena.core.measurement import Map, Series
from seqarena.core.quantities import quantity
from seqarena.core.words import of_name
from seqarena.report.series_reading import middle, ordered, saying

_NAMED = 6  # curves in one sentence; of more, the extremes are named
_SYMBOLS = {"length": "T"}


class Words(NamedTuple):
    """What one curve says."""

    text: str  # "T^1.02 (0.97 to 1.07)"
    order: float  # sorts the curves of one sentence
    aside: str = ""  # said in a table and left out of a sentence


def says(series: Series) -> Words:
    """The few words beside a curve."""
    if not series.points:
        return Words("nothing was measured", math.nan)
    return _reader(series).read(series)


def sentence(curves: Sequence[Series]) -> str:
    """One sentence on curves of one quantity against one axis; empty where there are none."""
    told = sorted(
        ((says(series), series) for series in curves if series.points), key=lambda one: one[0].order
    )
    if not told:
        return ""
    opening = _reader(told[0][1]).opening
    alike = [one for one in told if _reader(one[1]).opening == opening]
    between = ""
    if len(alike) > _NAMED:
        between = f" ({len(alike) - _NAMED // 2 * 2} more lie between)"
        alike = alike[: _NAMED // 2] + alike[-_NAMED // 2 :]
    listed = "; ".join(f"{words.text} for {series.label}" for words, series in alike)
    return f"{opening} {listed}{between}."


def looks_at(found: Map) -> Words:
    """Which word a map's rows read most, and how far from themselves they read on average (where
    they read their own text)."""
    weights = np.array(found.weights)
    words = found.columns or found.words
    most = f"mostly {words[int(weights.sum(0).argmax())]!r}"
    if found.columns:
        return Words(most, 0.0)
    rows, columns = np.indices(weights.shape)
    distance = float((weights * abs(rows - columns)).sum() / len(weights))
    return Words(f"{distance:.1f} positions away, {most}", distance)


class _Reader(NamedTuple):
    opening: str  # of the sentence; "FIGURE for LABEL" follows
    read: Callable[[Series], Words]


def _reader(series: Series) -> _Reader:
    row, axis = quantity(series.quantity), of_name(series.axis)
    if row.key == "gradient_norm":
        return _Reader("One position further back multiplies the gradient's norm by", _fading)
    if row.key in ("accuracy", "solved") and series.axis in ("distance", "pairs", "length"):
        return _Reader(f"{row.title} is at least 90 % up to {axis}", _reach)
    if row.key in ("reach_positions", "share_of_peak"):
        return _Reader(f"The largest {row.name} is", _largest)
    if saying(series) or _is_flat(series):
        symbol = _SYMBOLS.get(series.axis, "")
        return _Reader(f"{row.title} grows with the {f'{axis} {symbol}'.strip()} as", _growth)
    return _Reader(f"From the first to the last {axis}, {row.name} goes from", _ends)


def _is_flat(series: Series) -> bool:
    values = [middle(series.quantity, point) for point in series.points]
    grows = quantity(series.quantity).unit in ("seconds", "bytes")
    return grows and len(values) > 1 and min(values) == max(values)


def _growth(series: Series) -> Words:
    symbol = _SYMBOLS.get(series.axis, series.axis)
    if _is_flat(series):
        return Words(f"{symbol}^0 (constant)", 0.0)
    power, *late = saying(series)
    asides = [f"{one.words} {one.estimate.value:.3g}" for one in late]
    share = _share_of_peak(series)
    asides += [f"{100 * share:.2g} % of the peak at the end"] if share is not None else []
    return Words(f"{symbol}^{interval(power.estimate)}", power.estimate.value, "; ".join(asides))


def _share_of_peak(series: Series) -> float | None:
    """Of a training step at the last length: its operations a second over the machine's fastest
    matrix product, where both were recorded."""
    peak, flops = (series.settings.get(key) for key in ("peak_flops_per_second", "flops"))
    if series.quantity != "training_step_seconds" or not peak or not flops:
        return None
    return flops[-1] / middle(series.quantity, series.points[-1]) / peak


def _fading(series: Series) -> Words:
    found = saying(series)
    if not found or found[0].estimate.value == 0:
        return Words("0 (nothing comes through)", 0.0)
    rate, life = found[0].estimate, found[1].estimate
    if rate.high < 1:
        return Words(interval(rate), rate.value, f"halves every {life.value:.3g} steps")
    fate = "grows without end" if rate.low > 1 else "neither falls nor grows"
    return Words(interval(rate), rate.value, fate)


def _reach(series: Series) -> Words:
    far = reach(series)
    if far.value == far.high == 0:
        return Words("0 (nowhere)", 0.0)
    end = max(point.x for point in series.points)
    return Words(f"{'at least ' if far.value == end else ''}{interval(far)}", far.value)


def _largest(series: Series) -> Words:
    best = max(series.points, key=lambda point: middle(series.quantity, point))
    value = middle(series.quantity, best)
    shown = f"{100 * value:.3g} %" if quantity(series.quantity).percent else _short(value)
    return Words(f"{shown} at {of_name(series.axis)} {best.x:g}", value)


def _ends(series: Series) -> Words:
    points = ordered(series)
    first, last = (middle(series.quantity, point) for point in (points[0], points[-1]))
    return Words(f"{_short(first)} to {_short(last)}", last)


def interval(estimate: Estimate) -> str:
    """A figure with its interval; alone where nothing says how sure it is."""
    value, low, high = (_short(x) for x in (estimate.value, estimate.low, estimate.high))
    return value if low == high else f"{value} ({low} to {high})"


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 or not math.isfinite(value) else f"{value:,.0f}"
