"""Measured curves in words: a few words for each curve, one sentence for several.

The estimates are those of the page (series_reading.estimates_of). A curve without an estimate is
summarised by its largest value, or by its first and its last.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from seqarena.core.results.estimates import Estimate, reach
from seqarena.core.results.measurement import Map, Series
from seqarena.core.results.quantities import quantity
from seqarena.core.words import of_name
from seqarena.report.measured.series_reading import estimates_of, middle, ordered

_NAMED = 6  # curves in one sentence; of more, the extremes are named
_SYMBOLS = {"length": "T"}


class CurveSummary(NamedTuple):
    """What one curve shows, in a few words."""

    text: str  # "T^1.02 (0.97 to 1.07)"
    order: float  # sorts the curves of one sentence
    aside: str = ""  # for a table; a sentence leaves it out


def summarise(series: Series) -> CurveSummary:
    """The summary of one curve."""
    if not series.points:
        return CurveSummary("nothing was measured", math.nan)
    return _summariser(series).read(series)


def summary_sentence(curves: Sequence[Series]) -> str:
    """One sentence on curves of one quantity against one axis; empty where there are none."""
    summaries = sorted(
        ((summarise(series), series) for series in curves if series.points),
        key=lambda one: one[0].order,
    )
    if not summaries:
        return ""
    opening = _summariser(summaries[0][1]).opening
    alike = [one for one in summaries if _summariser(one[1]).opening == opening]
    between = ""
    if len(alike) > _NAMED:
        between = f" ({len(alike) - _NAMED // 2 * 2} more lie between)"
        alike = alike[: _NAMED // 2] + alike[-_NAMED // 2 :]
    listed = "; ".join(f"{words.text} for {series.label}" for words, series in alike)
    return f"{opening} {listed}{between}."


def summarise_map(found: Map) -> CurveSummary:
    """Which word the rows of a map read most.

    If rows and columns are the same text, also how many positions away they read on average.
    """
    weights = np.array(found.weights)
    words = found.columns or found.words
    most = f"mostly {words[int(weights.sum(0).argmax())]!r}"
    if found.columns:
        return CurveSummary(most, 0.0)
    rows, columns = np.indices(weights.shape)
    distance = float((weights * abs(rows - columns)).sum() / len(weights))
    return CurveSummary(f"{distance:.1f} positions away, {most}", distance)


class _Summariser(NamedTuple):
    opening: str  # of the sentence; "FIGURE for LABEL" follows
    read: Callable[[Series], CurveSummary]


def _summariser(series: Series) -> _Summariser:
    row, axis = quantity(series.quantity), of_name(series.axis)
    if row.key == "gradient_norm":
        return _Summariser("One position further back multiplies the gradient's norm by", _fading)
    if row.key in ("accuracy", "solved") and series.axis in ("distance", "pairs", "length"):
        return _Summariser(f"{row.title} is at least 90 % up to {axis}", _reach)
    if row.key in ("reach_positions", "share_of_peak"):
        return _Summariser(f"The largest {row.name} is", _largest)
    if estimates_of(series) or _is_flat(series):
        symbol = _SYMBOLS.get(series.axis, "")
        return _Summariser(f"{row.title} grows with the {f'{axis} {symbol}'.strip()} as", _growth)
    return _Summariser(f"From the first to the last {axis}, {row.name} goes from", _ends)


def _is_flat(series: Series) -> bool:
    values = [middle(series.quantity, point) for point in series.points]
    grows = quantity(series.quantity).unit in ("seconds", "bytes")
    return grows and len(values) > 1 and min(values) == max(values)


def _growth(series: Series) -> CurveSummary:
    symbol = _SYMBOLS.get(series.axis, series.axis)
    if _is_flat(series):
        return CurveSummary(f"{symbol}^0 (constant)", 0.0)
    power, *late = estimates_of(series)
    asides = [f"{one.words} {one.estimate.value:.3g}" for one in late]
    share = _share_of_peak(series)
    asides += [f"{100 * share:.2g} % of the peak at the end"] if share is not None else []
    return CurveSummary(
        f"{symbol}^{interval(power.estimate)}", power.estimate.value, "; ".join(asides)
    )


def _share_of_peak(series: Series) -> float | None:
    """The share of the machine's peak that a training step reaches at the last length.

    Its operations per second over those of the machine's fastest matrix product. None where either
    was not recorded.
    """
    peak, flops = (series.settings.get(key) for key in ("peak_flops_per_second", "flops"))
    if series.quantity != "training_step_seconds" or not peak or not flops:
        return None
    return flops[-1] / middle(series.quantity, series.points[-1]) / peak


def _fading(series: Series) -> CurveSummary:
    found = estimates_of(series)
    if not found or found[0].estimate.value == 0:
        return CurveSummary("0 (nothing comes through)", 0.0)
    rate, life = found[0].estimate, found[1].estimate
    if rate.high < 1:
        return CurveSummary(interval(rate), rate.value, f"halves every {life.value:.3g} steps")
    fate = "grows without end" if rate.low > 1 else "neither falls nor grows"
    return CurveSummary(interval(rate), rate.value, fate)


def _reach(series: Series) -> CurveSummary:
    far = reach(series)
    if far.value == far.high == 0:
        return CurveSummary("0 (nowhere)", 0.0)
    end = max(point.x for point in series.points)
    return CurveSummary(f"{'at least ' if far.value == end else ''}{interval(far)}", far.value)


def _largest(series: Series) -> CurveSummary:
    best = max(series.points, key=lambda point: middle(series.quantity, point))
    value = middle(series.quantity, best)
    shown = f"{100 * value:.3g} %" if quantity(series.quantity).percent else _short(value)
    return CurveSummary(f"{shown} at {of_name(series.axis)} {best.x:g}", value)


def _ends(series: Series) -> CurveSummary:
    points = ordered(series)
    first, last = (middle(series.quantity, point) for point in (points[0], points[-1]))
    return CurveSummary(f"{_short(first)} to {_short(last)}", last)


def interval(estimate: Estimate) -> str:
    """A value with its interval; the value only, if the interval has no width."""
    value, low, high = (_short(x) for x in (estimate.value, estimate.low, estimate.high))
    return value if low == high else f"{value} ({low} to {high})"


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 or not math.isfinite(value) else f"{value:,.0f}"
