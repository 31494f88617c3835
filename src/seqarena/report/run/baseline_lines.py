"""The best baseline as a dashed line in every chart of its metric, with its name at the line."""

from collections.abc import Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from seqarena.core.results.baselines import BaselineRow
from seqarena.core.results.records import Ranking
from seqarena.report.page.style import ROLES

_COLOUR = ROLES["muted"].light
_LINE = {"color": _COLOUR, "width": 1.5, "dash": "dash"}
_MARGIN = 0.05  # of an axis, beyond the line


def add_baseline_across(figure: go.Figure, ranking: Ranking, labels: Sequence[str]) -> None:
    """The best baseline's test value as an upright line over rows with these labels."""
    if not ranking.baselines:
        return
    best = ranking.baselines[0]
    figure.add_scatter(  # not seen: it makes the axis hold the line, and tells its value
        x=[best.value] * len(labels),
        y=list(labels),
        mode="markers",
        marker={"size": 8, "opacity": 0, "color": _COLOUR},
        hovertemplate=f"{escape(best.name)} baseline: %{{x:.4g}}<extra></extra>",
        name=_name(best),
    )
    figure.add_shape(
        type="line", x0=best.value, x1=best.value, yref="paper", y0=0, y1=1, line=_LINE,
        layer="below",
    )  # fmt: skip
    figure.add_annotation(
        x=best.value, y=0, yref="paper", yanchor="bottom", text=_name(best), showarrow=False,
        xanchor=_side(ranking), font={"size": 12, "color": _COLOUR},
    )  # fmt: skip


def add_baseline(figure: go.Figure, ranking: Ranking | None, *, on_test: bool) -> None:
    """The best baseline's value as a level line; of validation, where that is known."""
    if ranking is None:
        return
    found = [(one, one.value if on_test else one.validation_value) for one in ranking.baselines]
    known = [(one, value) for one, value in found if value is not None]
    if not known:
        return
    best, value = known[0]
    figure.add_shape(
        type="line", xref="paper", x0=0, x1=1, y0=value, y1=value, line=_LINE, layer="below"
    )
    figure.add_annotation(
        x=1, xref="paper", xanchor="right", y=value, yanchor="bottom", text=_name(best),
        showarrow=False, font={"size": 12, "color": _COLOUR},
    )  # fmt: skip
    _widen(figure, value)


def _widen(figure: go.Figure, value: float) -> None:
    """The vertical axis holds the line, and what it held before."""
    layout: Any = figure.layout
    low, high = layout.yaxis.range or _extent(figure)
    if low <= value <= high:
        return
    margin = _MARGIN * (max(high, value) - min(low, value))
    if layout.yaxis.range is None or value < low:
        low = min(low, value) - margin
    if layout.yaxis.range is None or value > high:
        high = max(high, value) + margin
    layout.yaxis.range = [low, high]


def _extent(figure: go.Figure) -> tuple[float, float]:
    """Of what is drawn against the left axis, ends of error bars included."""
    ends: list[float] = []
    for one in figure.data:
        trace: Any = one
        if trace.yaxis in (None, "y"):
            ends += [y for y in trace.y if y is not None]
            error: Any = trace.error_y
            ends += [y + e for y, e in zip(trace.y, error.array or ())]
            ends += [y - e for y, e in zip(trace.y, error.arrayminus or ())]
    return min(ends), max(ends)


def _side(ranking: Ranking) -> str:
    """Where the name has room: beside the line, on the side of the architectures."""
    ahead = ranking.baselines[0].lead > 0
    return "right" if ahead == ranking.lower_is_better else "left"


def _name(best: BaselineRow) -> str:
    return f"{escape(best.name)} baseline"
