"""What is drawn of measured curves: the curves of one figure, their units, styles and estimates.

The quantity's row says whether the middle of repeated values is their median or their mean
(core/results/quantities.py).
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from seqarena.core import words
from seqarena.core.results.estimates import Estimate, decay, exponent, half_life, reach
from seqarena.core.results.measurement import Measurement, Point, Series
from seqarena.core.results.quantities import quantity as row_of
from seqarena.report.page.style import DASHES, FAMILY_COLOURS, LineStyle

_SOLVED = 0.9  # the share of right answers that a reach is counted at
_FEWEST = 3  # points from which a growth is fitted


class CurveGroup(NamedTuple):
    """The curves of one figure: one quantity against one axis, found by one measurement."""

    measurement: str
    quantity: str
    axis: str
    series: tuple[Series, ...]

    @property
    def scale(self) -> words.Scale:
        """The unit that the figure and its table share."""
        row = row_of(self.quantity)
        return row.scale(row.value(point) for one in self.series for point in one.points)

    @property
    def title(self) -> str:
        return f"{words.of_name(self.quantity)} against {words.of_name(self.axis)}"

    @property
    def heading(self) -> str:
        return self.title[:1].upper() + self.title[1:]


class CurveEstimate(NamedTuple):
    """One number that is estimated from a curve, and its name."""

    words: str
    estimate: Estimate
    at_least: bool = False  # the curve ends before the number is found


def groups(measurements: Iterable[Measurement]) -> list[CurveGroup]:
    """The figures, in the order in which they were first measured."""
    found: dict[tuple[str, str, str], list[Series]] = {}
    for one in measurements:
        if isinstance(one, Series) and one.points:
            found.setdefault((one.measurement, one.quantity, one.axis), []).append(one)
    return [CurveGroup(*place, tuple(series)) for place, series in found.items()]


def quantity_words(group: CurveGroup) -> str:
    """The quantity and its unit, for an axis or a caption."""
    name, kind = words.of_name(group.quantity), row_of(group.quantity).unit
    if kind == "seconds":
        name = name.replace("seconds", "time").replace("decode time", "decoding time")
    elif kind == "bytes":
        name = name.removesuffix(" bytes")
    return f"{name}, {group.scale.unit}" if group.scale.unit else name


def middle_word(quantity: str) -> str:
    """ "mean" or "median", whichever speaks for the repeats."""
    return row_of(quantity).middle


def middle(quantity: str, point: Point) -> float:
    """The median or the mean of a point's repeats, as the quantity's row says."""
    return row_of(quantity).value(point)


def ordered(series: Series) -> list[Point]:
    return sorted(series.points, key=lambda point: point.x)


def line_styles_of(shown: Sequence[Series], order: Sequence[str]) -> list[LineStyle]:
    """A line style for each curve of a figure.

    An architecture keeps its colour over the page (by its place in `order`) unless another of the
    same figure has it; variants of one architecture differ in their dashes, and where there are
    more than two and nothing else is drawn, in their colours as well.
    """
    size = len(FAMILY_COLOURS)
    colours: dict[str, int] = {}
    for name in dict.fromkeys(one.architecture for one in shown):
        start = order.index(name) if name in order else len(colours)
        free = [(start + i) % size for i in range(size)]
        unused = [place for place in free if place not in colours.values()]
        colours[name] = (unused or free)[0]
    crowded = len(colours) > size
    coloured = len(colours) == 1 and len(shown) > 2
    seen: dict[int, int] = {}
    found = []
    for one in shown:
        key = colours[one.architecture]
        place = seen.setdefault(key, 0) if crowded else _variant_place(shown, one)
        seen[key] = seen.get(key, 0) + 1
        colour = FAMILY_COLOURS[(key + coloured * place) % size]
        found.append(LineStyle(colour, DASHES[place % len(DASHES)]))
    return found


def _variant_place(shown: Sequence[Series], one: Series) -> int:
    return [other.label for other in shown if other.architecture == one.architecture].index(
        one.label
    )


def estimates_of(series: Series) -> list[CurveEstimate]:
    """The estimates for a curve of this kind, computed from its records."""
    values = [middle(series.quantity, point) for point in series.points]
    if not all(math.isfinite(value) for value in values):
        return []
    if series.quantity == "gradient_norm":
        return _fading(series)
    if series.quantity == "accuracy" and series.axis in ("distance", "pairs", "length"):
        found = reach(series, _SOLVED)
        last = max(point.x for point in series.points)
        return [
            CurveEstimate(f"reach at {_SOLVED:.0%}".replace("%", " %"), found, found.value == last)
        ]
    if row_of(series.quantity).unit and min(values) > 0:
        return _growth(series)
    return []


def _growth(series: Series) -> list[CurveEstimate]:
    points = [point for point in ordered(series) if point.x > 0]
    if len(points) < _FEWEST:
        return []
    found = [CurveEstimate(f"grows as {series.axis}^p, p", exponent(series, beyond=points[0].x))]
    late = points[len(points) // 2].x
    if len(points) - len(points) // 2 >= _FEWEST:
        found.append(CurveEstimate(f"p from {late:g} on", exponent(series, beyond=late)))
    return found


def _fading(series: Series) -> list[CurveEstimate]:
    rate = decay(series)
    ends = sorted((half_life(rate.low), half_life(rate.high)))
    life = Estimate(value=half_life(rate.value), low=ends[0], high=ends[1])
    return [CurveEstimate("lambda of lambda^k", rate), CurveEstimate("half-life, steps", life)]


def estimate_text(one: CurveEstimate) -> str:
    """The estimate as text: "at least 64", "never falls", "1.02 (0.97 to 1.07)"."""
    if math.isinf(one.estimate.value):
        return "does not fall"
    return f"at least {one.estimate}" if one.at_least else str(one.estimate)


def number_of(settings: dict[str, Any], key: str, series: Series, x: float) -> float | None:
    """The value at x of a setting that has one value a point; None where it has none."""
    values = settings.get(key)
    places = [point.x for point in series.points]
    if isinstance(values, dict):
        found = values.get(f"{x:g}")
        return float(found) if isinstance(found, int | float) else None
    if isinstance(values, list | tuple) and len(values) == len(places) and x in places:
        return float(values[places.index(x)])
    return float(values) if isinstance(values, int | float) else None
