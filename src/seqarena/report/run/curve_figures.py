"""Figures of the way there: curves over tokens, the learning-rate search, the slices."""

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from seqarena.core import words
from seqarena.core.results.records import RunView, TrialSummary
from seqarena.report.figures import INK, PAPER, band, blank, metric_title
from seqarena.report.page.style import HEAT, LineStyle
from seqarena.report.run.baseline_lines import add_baseline
from seqarena.report.run.labels import hover_name
from seqarena.report.run.line_styles import line_styles
from seqarena.report.run.reading import (
    Curve,
    SliceGroup,
    architectures,
    chosen_rate,
    chosen_trials,
    mean_curve,
)


def validation_figure(view: RunView) -> go.Figure | None:
    """The metric on validation against tokens: mean over seeds and, shaded, lowest to highest."""
    figure = _curves_figure(
        view, lambda trial: trial.validation_curve, f"validation {metric_title(view)}"
    )
    if figure is not None:
        add_baseline(figure, view.ranking, on_test=False)
    return figure


def training_figure(view: RunView) -> go.Figure | None:
    """The training loss against tokens: mean over seeds, neighbours averaged where dense."""
    loss = view.data.get("loss", "nats")
    return _curves_figure(
        view, lambda trial: trial.training_curve, f"training loss, {loss} (lower is better)"
    )


def _curves_figure(
    view: RunView, curve_of: Callable[[TrialSummary], Sequence[tuple[int, float]]], y_title: str
) -> go.Figure | None:
    figure, styles = blank(400, "training tokens", y_title), line_styles(view)
    decimals, drawn = words.metric_decimals(view.ranking), []
    for name in architectures(view):
        trials = chosen_trials(view, name)
        curve = mean_curve([curve_of(trial) for trial in trials])
        if curve is None:
            continue
        drawn.append(curve)
        if len(trials) > 1:
            figure.add_trace(_band(name, curve, styles[name]))
        figure.add_scatter(
            x=curve.tokens,
            y=curve.mean,
            mode="lines" if len(curve.tokens) > 1 else "markers",
            line=_line(styles[name]),
            legendgroup=name,
            name=escape(name),
            hovertemplate=(
                f"{hover_name(view, name)}<br>%{{x:.3s}} tokens: %{{y:.{decimals}f}}<extra></extra>"
            ),
        )
    if not drawn:
        return None
    figure.update_xaxes(tickformat="~s", rangemode="tozero")
    figure.update_yaxes(**_frame(drawn))
    figure.update_layout(legend={"orientation": "h", "y": -0.2}, meta={"toggled": True})
    return figure


def _band(name: str, curve: Curve, style: LineStyle) -> go.Scatter:
    return band(
        curve.tokens, curve.low, curve.high, style.colour.light, 0.14,
        showlegend=False, legendgroup=name, name=escape(name),
    )  # fmt: skip


def _frame(curves: Sequence[Curve]) -> dict[str, Any]:
    """A vertical range that holds every mean after the first eighth of its tokens."""
    late = [
        value
        for curve in curves
        for tokens, value in zip(curve.tokens, curve.mean, strict=True)
        if tokens >= curve.tokens[-1] / 8 and math.isfinite(value)
    ]
    margin = 0.06 * (max(late) - min(late)) if late else 0.0
    return {"range": [min(late) - margin, max(late) + margin]} if margin > 0 else {}


def _line(style: LineStyle) -> dict[str, Any]:
    return {"color": style.colour.light, "dash": style.dash, "width": 1.8}


def search_figure(view: RunView) -> go.Figure | None:
    """Validation against the tried rates: the chosen rate ringed, diverged trials crossed."""
    figure, styles = (
        blank(400, "learning rate", f"validation {metric_title(view)}"),
        line_styles(view),
    )
    crossed = False
    for name in architectures(view):
        tried = _tried(view, name)
        scored = {rate: value for rate, value in tried.items() if value is not None}
        lost = [rate for rate, value in tried.items() if value is None]
        if scored:
            chosen = chosen_rate(view, name)
            figure.add_trace(_search_line(view, name, scored, chosen, styles[name]))
        if lost:
            crossed = True
            figure.add_scatter(
                x=lost,
                y=[0.96] * len(lost),
                yaxis="y2",
                mode="markers",
                marker={"symbol": "x", "size": 9, "color": styles[name].colour.light},
                hovertemplate=f"{hover_name(view, name)} diverged at %{{x:.2g}}<extra></extra>",
                legendgroup=name,
                showlegend=False,
                name=escape(name),
            )
    if not figure.data:
        return None
    if crossed:
        figure.update_layout(
            yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True}
        )
    add_baseline(figure, view.ranking, on_test=False)
    rates = sorted({trial.learning_rate for trial in view.trials})
    figure.update_xaxes(
        type="log", tickvals=rates, ticktext=[words.rate(rate) for rate in rates], minor_ticks=""
    )
    figure.update_layout(legend={"orientation": "h", "y": -0.2}, meta={"toggled": True})
    return figure


def _tried(view: RunView, architecture: str) -> dict[float, float | None]:
    """Learning rate -> validation value of its search trial, None where that diverged."""
    return {
        trial.learning_rate: None if trial.status == "diverged" else trial.validation_value
        for trial in sorted(view.trials, key=lambda trial: trial.learning_rate)
        if trial.architecture == architecture
        and trial.role == "search"
        and (trial.status == "diverged" or trial.validation_value is not None)
    }


def _search_line(
    view: RunView, name: str, scored: dict[float, float], chosen: float | None, style: LineStyle
) -> go.Scatter:
    return go.Scatter(
        x=list(scored),
        y=list(scored.values()),
        mode="lines+markers",
        line={**_line(style), "width": 1.5},
        marker={
            "opacity": 1,
            "size": [12 if rate == chosen else 7 for rate in scored],
            "color": [PAPER if rate == chosen else style.colour.light for rate in scored],
            "line": {"color": style.colour.light, "width": 2.5},
        },
        legendgroup=name,
        name=escape(name),
        hovertemplate=f"{hover_name(view, name)} at %{{x:.2g}}: %{{y:.4g}}<extra></extra>",
    )


def slices_figure(view: RunView, group: SliceGroup) -> go.Figure:
    """Architectures down, slices across; the number is the metric, the shade its gap to the best.

    Shading by the gap, and not by the value, keeps a hard slice from looking like a bad model.
    """
    names = list(group.values)
    gaps = _gaps(group, view.lower_is_better)
    decimals = max(2, words.metric_decimals(view.ranking) - 1)
    texts = [
        ["" if v is None else f"{v:.{decimals}f}" for v in group.values[name]] for name in names
    ]
    labels = [escape(name.removeprefix(group.name).strip(" _:=,")) for name in group.slices]
    figure = blank(80 + 30 * len(names), x_title=words.of_name(group.name))
    figure.add_heatmap(
        x=labels,
        y=[escape(name) for name in names],
        z=gaps,
        text=texts,
        texttemplate="%{text}" if len(labels) <= 8 else "",
        textfont={"size": 12},
        colorscale=[(position, colour.light) for position, colour in HEAT],
        zmin=0,
        zmax=max((gap for row in gaps for gap in row if gap), default=1),
        showscale=False,
        xgap=2,
        ygap=2,
        customdata=[[hover_name(view, name)] * len(labels) for name in names],
        hovertemplate="%{customdata}, %{x}: %{text}<br>%{z:.3g} from the best<extra></extra>",
    )
    figure.update_xaxes(type="category", showgrid=False, ticks="", side="bottom")
    figure.update_yaxes(
        type="category",
        autorange="reversed",
        showgrid=False,
        ticks="",
        tickfont={"color": INK, "size": 13},
    )
    return figure


def _gaps(group: SliceGroup, lower_is_better: bool) -> list[list[float | None]]:
    """One row an architecture: for each slice, how far from the best of all architectures."""
    best = [_best(list(column), lower_is_better) for column in zip(*group.values.values())]
    return [
        [None if value is None else abs(value - best[i]) for i, value in enumerate(values)]
        for values in group.values.values()
    ]


def _best(values: list[float | None], lower_is_better: bool) -> float:
    present = [value for value in values if value is not None]
    return min(present) if lower_is_better else max(present)
