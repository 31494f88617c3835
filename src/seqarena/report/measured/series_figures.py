"""Measured curves as figures: a line, the range of its repeats, and baselines known beforehand.

A trace names in `meta.groups` the buttons that show and hide it: its curve's place ("0", "1", ...),
or the name of its baseline. Colours and escaping as in figures.py.
"""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from seqarena.core import words
from seqarena.core.results.estimates import mean_of
from seqarena.core.results.measurement import Point, Series
from seqarena.core.results.quantities import quantity
from seqarena.report.figures import MUTED, band, blank
from seqarena.report.measured.series_reading import (
    CurveGroup,
    line_styles_of,
    middle,
    middle_word,
    ordered,
    quantity_words,
)
from seqarena.report.page.style import LineStyle

_WIDE = 4.0  # largest over smallest from which an axis begins logarithmic
_LONG = 300.0  # largest over smallest from which powers of ten are ticks enough
_TICKS = 12  # that fit on one logarithmic axis
_FEW = 6  # places of a linear axis that get a tick each
_NEAR = 1.05  # places this near share a tick


def series_figure(group: CurveGroup, order: Sequence[str], *, height: int = 400) -> go.Figure:
    """The curves of one group, `height` pixels tall; `order` gives each architecture its colour
    over the page."""
    title = f"{words.of_name(group.axis)} (k)" if group.axis == "distance" else group.axis
    figure = blank(height, words.of_name(title), quantity_words(group))
    factor = group.scale.factor
    for place, (one, style) in enumerate(zip(group.series, line_styles_of(group.series, order))):
        if any(len(point.repeats) > 1 for point in one.points):
            figure.add_trace(_range(one, style, factor, str(place)))
        figure.add_trace(_line(one, style, factor, str(place)))
    _add_baselines(figure, group, order)
    figure.update_xaxes(**_x_axis(group))
    figure.update_yaxes(**_y_axis(group))
    figure.update_layout(meta={"own_legend": True})
    return figure


def baseline_names(group: CurveGroup) -> list[str]:
    """The names of the baselines, each once."""
    return list(dict.fromkeys(name for one in group.series for name in one.baselines))


def not_on_a_logarithm(group: CurveGroup) -> int:
    """How many points are at zero or below. A logarithmic axis cannot show them."""
    return sum(
        not middle(group.quantity, point) > 0 for one in group.series for point in one.points
    )


def _line(one: Series, style: LineStyle, factor: float, place: str) -> go.Scatter:
    points = ordered(one)
    return go.Scatter(
        x=[point.x for point in points],
        y=[_finite(middle(one.quantity, point) / factor) for point in points],
        mode="lines+markers",
        line={"color": style.colour.light, "dash": style.dash, "width": 2},
        marker={"size": 7 if len(points) <= 24 else 3, "color": style.colour.light},
        customdata=[_hover(one, point, factor) for point in points],
        hovertemplate=(
            f"<b>{escape(one.label)}</b><br>{escape(words.of_name(one.axis))} %{{x:,.6~g}}: "
            "%{customdata}<extra></extra>"
        ),
        name=escape(one.label),
        meta={"groups": [place]},
    )


def _hover(one: Series, point: Point, factor: float) -> str:
    values = [value / factor for value in point.repeats]
    text = words.significant(middle(one.quantity, point) / factor)
    if len(values) < 2:
        return text
    ends = f"{words.significant(min(values))} to {words.significant(max(values))}"
    text += f"<br>{middle_word(one.quantity)} of {len(values)}, from {ends}"
    if len(values) > 2 and middle_word(one.quantity) == "mean":
        interval = mean_of(values)
        low, high = words.significant(interval.low), words.significant(interval.high)
        text += f"<br>95 % interval {low} to {high}"
    return text


def _range(one: Series, style: LineStyle, factor: float, place: str) -> go.Scatter:
    points = [point for point in ordered(one) if all(math.isfinite(v) for v in point.repeats)]
    return band(
        [point.x for point in points],
        [min(point.repeats) / factor for point in points],
        [max(point.repeats) / factor for point in points],
        style.colour.light,
        0.18,
        name=f"{escape(one.label)}, range",
        meta={"groups": [place]},
    )


def _add_baselines(figure: go.Figure, group: CurveGroup, order: Sequence[str]) -> None:
    """Each different baseline once: grey if several curves share it, else in its curve's colour."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for place, one in enumerate(group.series):
        xs = tuple(point.x for point in one.points)
        for name, values in one.baselines.items():
            if len(values) == len(xs):
                found.setdefault((name, xs, values), []).append(place)
    styles = line_styles_of(group.series, order)
    for (name, xs, values), owners in found.items():
        is_own = len(owners) == 1
        label = f"{name}, {group.series[owners[0]].label}" if is_own else name
        pairs = sorted(zip(xs, values))
        figure.add_scatter(
            x=[x for x, _ in pairs],
            y=[_finite(value / group.scale.factor) for _, value in pairs],
            mode="lines",
            line={
                "color": styles[owners[0]].colour.light if is_own else MUTED,
                "dash": "dash",
                "width": 1.1,
            },
            hovertemplate=f"{escape(label)}<br>%{{x:,.6~g}}: %{{y:.3~g}}<extra></extra>",
            name=escape(label),
            meta={"groups": [name, str(owners[0])] if is_own else [name]},
        )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _x_axis(group: CurveGroup) -> dict[str, Any]:
    places = sorted({point.x for one in group.series for point in one.points})
    kind = _kind_of_axis(places) if places[0] > 0 else "linear"
    axis: dict[str, Any] = {"type": kind}
    ticks = apart(places) if kind == "log" else places
    if len(ticks) <= (_TICKS if kind == "log" else _FEW) and places[0] > 0:
        axis |= {"tickvals": ticks, "ticktext": [_tick(place) for place in ticks]}
    return axis | {"minor_ticks": "", "tickangle": 0}


def apart(places: Sequence[float]) -> list[float]:
    """Without those that are within a few per cent of one that is kept: models of one size."""
    kept: list[float] = []
    for place in places:
        if not kept or place > _NEAR * kept[-1]:
            kept.append(place)
    return kept


def _y_axis(group: CurveGroup) -> dict[str, Any]:
    points = [point for one in group.series for point in one.points]
    values = [middle(group.quantity, point) / group.scale.factor for point in points]
    if quantity(group.quantity).share:
        return {"type": "linear", "range": [-0.02, 1.02]}
    axis = {"type": _kind_of_axis(values)} | _plain_ticks(values)
    drawn = [value for point in points for value in point.repeats if value > 0]
    if axis["type"] == "log" and max(drawn) / min(drawn) < _LONG:
        axis["dtick"] = "D2"  # plotly's word for 1, 2 and 5 of each power of ten
    return axis


def _plain_ticks(values: Sequence[float]) -> dict[str, Any]:
    """Numbers in full where they are short, powers of ten where they are not."""
    sizes = [abs(value) for value in values if math.isfinite(value) and value]
    plain = bool(sizes) and min(sizes) >= 1e-3 and max(sizes) < 1e5
    return {"tickformat": ",~g"} if plain else {"exponentformat": "power"}


def _kind_of_axis(values: Sequence[float]) -> str:
    finite = [value for value in values if math.isfinite(value)]
    positive = [value for value in finite if value > 0]
    if len(positive) < 2 or min(finite) < 0 or 2 * len(positive) < len(finite):
        return "linear"
    return "log" if max(positive) / min(positive) >= _WIDE else "linear"


def _tick(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"
