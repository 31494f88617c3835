"""Forecasts of a few test windows: the best architecture's quantiles as a fan, beside the truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import plotly.graph_objects as go

from seqarena.core import words
from seqarena.core.results.forecast_windows import ForecastRecord, ForecastWindow
from seqarena.core.results.records import RunView
from seqarena.report.figures import INK, MUTED, band, blank
from seqarena.report.page.parts import Chip, Figure, Section
from seqarena.report.page.style import SVG_DASHES, LineStyle, css
from seqarena.report.run.labels import hover_name
from seqarena.report.run.line_styles import line_styles
from seqarena.report.run.reading import architectures, chosen_trials, title

_MOST_LINES = 3  # architectures whose medians are drawn
_BAND_OPACITY = 0.16


@dataclass(frozen=True, kw_only=True)
class ForecastsSection(Section):
    """`lead` says what the figures show; a chip shows and hides an architecture."""

    template = "answers/forecasts.html"
    lead: str
    chips: Sequence[Chip]


def forecasts_section(view: RunView) -> ForecastsSection | None:
    """None where no trial recorded a forecast."""
    found = _forecasts(view)
    if not found:
        return None
    leader = next(iter(found))
    windows = found[leader].windows
    lead = (
        "Windows of the test split, from its first origin to its last. In the colour of this text: "
        "what came. In colours: the median that each architecture had forecast. "
        + _fan_words(view, leader, found[leader].levels)
    )
    figures = tuple(
        Figure(
            f"forecast-{number}",
            _figure(view, found, number),
            f"{_named(window)} before and after {window.times[0]}: the truth and forecasts.",
            "",
            f"{_named(window)}, from {window.times[0]}",
        )
        for number, window in enumerate(windows)
    )
    styles = line_styles(view)
    chips = [
        Chip(name, name, css(styles[name].colour), SVG_DASHES[styles[name].dash]) for name in found
    ]
    return ForecastsSection(
        name="forecasts",
        link="Forecasts",
        heading="What they forecast",
        figures=figures,
        lead=lead,
        chips=chips,
    )


def _forecasts(view: RunView) -> dict[str, ForecastRecord]:
    """Of the best architectures, the record of the trial that validates best."""
    sign = 1 if view.lower_is_better else -1
    found = {}
    for name in architectures(view):
        trials = [
            t for t in chosen_trials(view, name) if t.forecast and t.validation_value is not None
        ]
        if trials:
            best = min(trials, key=lambda trial: sign * (trial.validation_value or 0.0))
            assert best.forecast is not None
            found[name] = best.forecast
    return dict(list(found.items())[:_MOST_LINES])


def _fan_words(view: RunView, leader: str, levels: Sequence[float]) -> str:
    if len(levels) < 2:
        return ""
    share = words.percent(levels[-1] - levels[0])
    whose = title(view, leader)
    return f"The fan is that of {whose}: its widest band should hold {share} of what came."


def _named(window: ForecastWindow) -> str:
    return window.series or "the series"


def _figure(view: RunView, found: dict[str, ForecastRecord], number: int) -> go.Figure:
    leader, styles = next(iter(found)), line_styles(view)
    record, window = found[leader], found[leader].windows[number]
    figure = blank(280)
    for low in range(len(record.levels) // 2):
        figure.add_trace(_band(record, window, low, styles[leader], leader))
    figure.add_scatter(
        x=[*window.past_times, *window.times],
        y=[*window.past, *window.truth],
        mode="lines",
        line={"color": INK, "width": 1.8},
        name="truth",
        legendgroup="truth",
        hovertemplate="truth, %{x}: %{y:.5~g}<extra></extra>",
    )
    for name, other in found.items():
        median = other.levels.index(0.5)
        figure.add_scatter(
            x=window.times,
            y=[step[median] for step in other.windows[number].quantiles],
            mode="lines+markers" if len(window.times) == 1 else "lines",
            line={"color": styles[name].colour.light, "dash": styles[name].dash, "width": 2},
            legendgroup=name,
            name=escape(name),
            hovertemplate=f"{hover_name(view, name)}, %{{x}}: %{{y:.5~g}}<extra></extra>",
        )
    figure.add_shape(
        type="line", x0=window.times[0], x1=window.times[0], yref="paper", y0=0, y1=1,
        line={"color": MUTED, "width": 1, "dash": "dot"},
    )  # fmt: skip
    figure.update_xaxes(type="date" if record.is_time else "linear", nticks=5, tickangle=0)
    figure.update_layout(meta={"toggled": True})
    return figure


def _band(
    record: ForecastRecord, window: ForecastWindow, low: int, style: LineStyle, name: str
) -> go.Scatter:
    """Between the quantile `low` from below and its fellow from above."""
    below = [step[low] for step in window.quantiles]
    above = [step[len(record.levels) - 1 - low] for step in window.quantiles]
    return band(
        window.times, below, above, style.colour.light, _BAND_OPACITY,
        legendgroup=name, name=escape(name),
    )  # fmt: skip
