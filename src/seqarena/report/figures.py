"""Figures of the answer: the ranking with its doubt, and quality against each cost.

Every figure is drawn in the light theme; the page swaps the colours for the dark one. Names pass
through `escape`, for plotly reads its text as a kind of HTML.
"""

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from seqarena.core import words
from seqarena.core.results.quantities import CostTable, Quantity
from seqarena.core.results.records import Ranking, RankRow, RunView
from seqarena.report.page.style import FONT, ROLES
from seqarena.report.run.baseline_lines import add_baseline, add_baseline_across
from seqarena.report.run.labels import hover_name, name_of
from seqarena.report.run.line_styles import line_styles

INK, MUTED, LINE = ROLES["ink"].light, ROLES["muted"].light, ROLES["line"].light
FLOOR, PANEL, PAPER = ROLES["floor"].light, ROLES["panel"].light, ROLES["paper"].light


def blank(height: int, x_title: str = "", y_title: str = "") -> go.Figure:
    """An empty figure in the house's style, `height` pixels tall and as wide as its place."""
    axis: dict[str, Any] = {
        "gridcolor": LINE,
        "linecolor": LINE,
        "zeroline": False,
        "automargin": True,
        "ticks": "outside",
        "tickcolor": LINE,
        "ticklen": 4,
        "tickfont": {"color": MUTED, "size": 12},
    }
    return go.Figure(
        layout={
            "template": go.layout.Template(),
            "height": height,
            "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": FONT, "size": 13, "color": INK},
            "hovermode": "closest",
            "hoverlabel": {
                "bgcolor": PANEL,
                "bordercolor": LINE,
                "font": {"color": INK, "family": FONT, "size": 13},
                "align": "left",
            },
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": MUTED, "activecolor": INK},
            "xaxis": {**axis, "title": _title(x_title)},
            "yaxis": {**axis, "title": _title(y_title)},
        }
    )


def band(
    x: Sequence[Any],
    low: Sequence[float],
    high: Sequence[float],
    colour: str,
    opacity: float,
    **more: Any,
) -> go.Scatter:
    """The area between two curves over the same `x`, without words at the pointer; `more` are
    settings of plotly's Scatter."""
    return go.Scatter(
        x=[*x, *reversed(x)],
        y=[*high, *reversed(low)],
        mode="lines",
        line={"width": 0, "color": colour},
        fill="toself",
        fillcolor=colour,
        opacity=opacity,
        hoverinfo="skip",
        **more,
    )


def _title(text: str) -> dict[str, Any]:
    return {"text": escape(text), "font": {"color": MUTED, "size": 12.5}, "standoff": 10}


def metric_title(view: RunView) -> str:
    """The metric in words with its direction, for an axis."""
    direction = "lower" if view.lower_is_better else "higher"
    return f"{words.of_name(view.metric)} ({direction} is better)"


def ranking_figure(view: RunView) -> go.Figure:
    """Mean with its interval, the seeds as small dots, the noise floor as a band from the leader.

    The view must have a ranking with at least one row.
    """
    ranking = _ranking_of(view)
    rows, styles = ranking.rows, line_styles(view)
    decimals = words.metric_decimals(ranking)
    better = "← better" if view.lower_is_better else "better →"
    figure = blank(96 + 34 * len(rows), x_title=f"{words.of_name(view.metric)} ({better})")
    figure.add_trace(_seed_dots(rows, styles, decimals))
    for row in rows:
        name, style = hover_name(view, row.architecture), styles[row.architecture]
        figure.add_trace(_interval(row, name, style.colour.light, decimals))
    leader = rows[0].mean
    worse = leader + ranking.noise_floor * (1 if view.lower_is_better else -1)
    band = {"yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    figure.add_shape(
        type="rect", x0=leader, x1=worse, fillcolor=FLOOR, opacity=0.22, line_width=0, **band
    )
    figure.add_shape(
        type="line", x0=leader, x1=leader, line={"color": FLOOR, "width": 1, "dash": "dot"}, **band
    )
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=[_label(row) for row in rows],
        range=[len(rows) - 0.4, -0.6],
        showgrid=False,
        ticks="",
        tickfont={"color": INK, "size": 13},
    )
    figure.update_xaxes(tickformat=f".{decimals}~f", nticks=8)
    figure.add_annotation(
        x=worse,
        y=1,
        yref="paper",
        yanchor="bottom",
        xanchor="left" if view.lower_is_better else "right",
        text="noise floor",
        showarrow=False,
        font={"size": 12, "color": MUTED},
    )
    add_baseline_across(figure, ranking, [_label(row) for row in rows])
    plain = [_label(row, name_of(view, row.architecture).text) for row in rows]
    meta = {"near": near_leader(ranking), "plain_names": plain}  # where they have room
    figure.update_layout(showlegend=False, margin_t=28, meta=meta)
    return figure


def near_leader(ranking: Ranking) -> list[float] | None:
    """The part of the axis that holds the better half, where the others squeeze it together.

    None where it would not be at least twice as fine as the whole.
    """
    better = ranking.rows[: max(2, len(ranking.rows) // 2)]
    whole, part = _extent(ranking.rows), _extent(better)
    if part[1] - part[0] <= 0 or whole[1] - whole[0] < 2 * (part[1] - part[0]):
        return None
    margin = 0.08 * (part[1] - part[0])
    return [part[0] - margin, part[1] + margin]


def _extent(rows: Iterable[RankRow]) -> tuple[float, float]:
    values = [value for row in rows for value in (row.low, row.high, *row.seed_values)]
    return min(values), max(values)


def _ranking_of(view: RunView) -> Ranking:
    assert view.ranking is not None
    return view.ranking


def _label(row: RankRow, name: str = "") -> str:
    return f"{escape(name or row.architecture)}  <b>{row.place}</b>"


def _seed_dots(rows: Iterable[RankRow], styles: dict[str, Any], decimals: int) -> go.Scatter:
    dots = [(row, value) for row in rows for value in row.seed_values]
    return go.Scatter(
        x=[value for _, value in dots],
        y=[_label(row) for row, _ in dots],
        mode="markers",
        marker={
            "size": 6,
            "opacity": 0.5,
            "color": [styles[row.architecture].colour.light for row, _ in dots],
        },
        hovertemplate=f"one seed: %{{x:.{decimals}f}}<extra></extra>",
        name="seeds",
    )


def _interval(row: RankRow, name: str, colour: str, decimals: int) -> go.Scatter:
    ends = f"{row.low:.{decimals}f} to {row.high:.{decimals}f}"
    seeds = words.plural(len(row.seed_values), "seed")
    return go.Scatter(
        x=[row.mean],
        y=[_label(row)],
        mode="markers",
        marker={"size": 11, "color": colour, "line": {"color": PAPER, "width": 2}},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [row.high - row.mean],
            "arrayminus": [row.mean - row.low],
            "color": colour,
            "thickness": 2.5,
            "width": 0,
        },
        hovertemplate=(
            f"{name}<br>{row.mean:.{decimals}f}, interval {ends}<br>{seeds}<extra></extra>"
        ),
        name=escape(row.architecture),
    )


def cost_figure(view: RunView, cost: Quantity) -> go.Figure | None:
    """Quality against one cost, with the Pareto front of the two. None where nothing was measured,
    and no front where costs decide nothing.

    Filled points are on the ranking's front over all costs, hollow ones are beaten on every axis.
    """
    ranking, costs = _ranking_of(view), CostTable(view.costs)
    measured = [
        (row, value) for row in ranking.rows if (value := costs.value(row.architecture, cost))
    ]
    if not measured:
        return None
    scale = cost.scale([value for _, value in measured])
    unit = cost.unit_words(scale)
    figure = blank(360, f"{cost.title}, {unit}", metric_title(view))
    points = [(value / scale.factor, row.mean) for row, value in measured]
    if not costs.doubts():
        front = pareto_front(points, cost.lower_is_better, view.lower_is_better)
        figure.add_scatter(
            x=[x for x, _ in front],
            y=[y for _, y in front],
            mode="lines",
            line={"color": FLOOR, "width": 1.5, "dash": "dot", "shape": "hv"},
            hoverinfo="skip",
            name="Pareto front",
        )
    styles, decimals = line_styles(view), words.metric_decimals(ranking)
    for row, value in measured:
        ends = costs.spread(row.architecture, cost)
        spread = (ends[0] / scale.factor, ends[1] / scale.factor) if ends else None
        colour = styles[row.architecture].colour.light
        name, x = hover_name(view, row.architecture), value / scale.factor
        figure.add_trace(_cost_point(row, name, x, spread, colour, unit, decimals))
    figure.update_xaxes(type="log", **_log_axis([x for x, _ in points]))
    add_baseline(figure, ranking, on_test=True)
    figure.update_layout(showlegend=False, meta={"named_points": True})
    return figure


def _cost_point(
    row: RankRow,
    hover: str,
    x: float,
    spread: tuple[float, float] | None,
    colour: str,
    unit: str,
    decimals: int,
) -> go.Scatter:
    error = {
        "type": "data",
        "symmetric": False,
        "array": [max(0.0, spread[1] - x)] if spread else [0.0],
        "arrayminus": [max(0.0, x - spread[0])] if spread else [0.0],
        "color": colour,
        "thickness": 1,
        "width": 0,
    }
    repeats = (
        f" (repeats {words.significant(spread[0])} to {words.significant(spread[1])})"
        if spread
        else ""
    )
    name = escape(row.architecture)
    return go.Scatter(
        x=[x],
        y=[row.mean],
        mode="markers+text",
        text=[name],
        textposition="top center",
        marker={
            "size": 11,
            "color": colour if row.on_front else PAPER,
            "line": {"color": colour, "width": 2},
        },
        error_x=error,
        error_y={
            **error,
            "array": [row.high - row.mean],
            "arrayminus": [row.mean - row.low],
        },
        hovertemplate=(
            f"{hover}<br>{words.significant(x)} {escape(unit)}{repeats}"
            f"<br>{row.mean:.{decimals}f}<extra></extra>"
        ),
        name=name,
    )


def pareto_front(
    points: Iterable[tuple[float, float]], lower_x: bool, lower_y: bool
) -> list[tuple[float, float]]:
    """The points that no other beats on both axes, from the best x to the best y.

    >>> pareto_front([(1, 3), (2, 2), (3, 2.5), (4, 1)], True, True)
    [(1, 3), (2, 2), (4, 1)]
    """
    x_sign, y_sign = (1 if lower_x else -1), (1 if lower_y else -1)
    front: list[tuple[float, float]] = []
    for x, y in sorted(set(points), key=lambda point: (x_sign * point[0], y_sign * point[1])):
        if not front or y_sign * y < y_sign * front[-1][1]:
            front.append((x, y))
    return front


def _log_axis(values: list[float]) -> dict[str, Any]:
    """Range and round ticks of a logarithmic axis, with room for the names of the points."""
    low, high = math.log10(min(values)), math.log10(max(values))
    margin = max(0.12 * (high - low), (0.5 - (high - low)) / 2, 0.08)
    low, high = low - margin, high + margin
    steps = (1, 2, 5) if high - low < 2.5 else (1,)
    decades = range(math.floor(low), math.ceil(high) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    ticks = [tick for tick in ticks if low <= math.log10(tick) <= high]
    return {
        "range": [low, high],
        "tickvals": ticks,
        "ticktext": [f"{tick:,.0f}" if tick >= 1 else f"{tick:g}" for tick in ticks],
    }
