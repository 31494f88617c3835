"""Charts of a forecast: the gaps to the one that is expected to lead, and the scores themselves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import plotly.graph_objects as go

from seqarena.core import words
from seqarena.core.results.forecasts import Forecast, ForecastView, PairForecast
from seqarena.report.figures import FLOOR, MUTED, PAPER, band, blank
from seqarena.report.page.parts import Chip, Figure, Section
from seqarena.report.page.style import (
    DASHES,
    FAMILY_COLOURS,
    SVG_DASHES,
    LineStyle,
    css,
)


@dataclass(frozen=True, kw_only=True)
class ForecastChartsSection(Section):
    """One legend for both charts."""

    template = "forecast/charts.html"
    lead: str
    chips: Sequence[Chip]


def charts_section(view: ForecastView) -> ForecastChartsSection:
    """The fan of every gap to the target, and the scores."""
    forecast = view.forecast
    styles = line_styles(forecast)
    first = forecast.architectures[0].architecture
    metric = words.of_name(forecast.ladder.metric)
    return ForecastChartsSection(
        name="fan",
        link="Forecast",
        heading="From the ladder to the target",
        lead=(
            "Dots are rungs as they were measured, with 80 % intervals of their noise. Lines are "
            "the method that did best when rungs were hidden. Beyond the top rung the dark band "
            "holds 80 % and the light one 95 %."
        ),
        chips=[
            Chip(name, name, css(style.colour), SVG_DASHES[style.dash], name == first)
            for name, style in styles.items()
        ],
        figures=(
            Figure(
                "gaps",
                gaps_figure(forecast, styles, view),
                f"{metric} behind {first}, each architecture, from the lowest rung to the target",
                f"Above 0: worse than {first}. A line that crosses 0 changes the order. Diamonds: "
                "measured at the target, after the forecast."
                if view.verification
                else f"Above 0: worse than {first}. A line that crosses 0 changes the order.",
                f"Behind {first}",
            ),
            Figure(
                "scores",
                scores_figure(forecast, styles, view),
                f"{metric} of each architecture, from the lowest rung to the target",
                "Scores fall together, and their common level is less certain than their gaps: who "
                "is better is read from the gaps.",
                metric.capitalize(),
            ),
        ),
    )


def line_styles(forecast: Forecast) -> dict[str, LineStyle]:
    """Colour by family, dashes by place inside of the family."""
    every = forecast.ladder.architectures
    families = {name: forecast.ladder.families.get(name, "") for name in every}
    names = sorted(set(families.values()))
    seen: dict[str, int] = {}
    found = {}
    for one in forecast.architectures:
        family = families[one.architecture]
        colour = FAMILY_COLOURS[names.index(family) % len(FAMILY_COLOURS)]
        dash = DASHES[seen.get(family, 0) % len(DASHES)]
        found[one.architecture] = LineStyle(colour, dash)
        seen[family] = seen.get(family, 0) + 1
    return found


def gaps_figure(forecast: Forecast, styles: dict[str, LineStyle], view: ForecastView) -> go.Figure:
    """The gap of each architecture to the first one: rungs, the method's line, the fan."""
    first, *others = (one.architecture for one in forecast.architectures)
    figure = _over_params(forecast, f"{words.of_name(forecast.ladder.metric)} behind {first}")
    figure.add_hline(y=0, line={"color": FLOOR, "width": 1.5})
    for name in others:
        pair = forecast.pair(first, name)
        sign = 1 if pair.better == first else -1
        _draw_gap(figure, forecast, pair, sign, name, styles[name])
    if view.verification is not None:
        for one in view.verification.pairs:
            pair = one.prediction
            if first in (pair.better, pair.worse):
                name = pair.worse if pair.better == first else pair.better
                sign = 1 if pair.better == first else -1
                _diamond(figure, forecast, sign * one.gap, name, styles[name])
    return figure


def scores_figure(
    forecast: Forecast, styles: dict[str, LineStyle], view: ForecastView
) -> go.Figure:
    """The score of each architecture: rungs, the method's line, its 80 % interval at the target."""
    metric = words.of_name(forecast.ladder.metric)
    figure = _over_params(forecast, metric)
    for one in forecast.architectures:
        name, style = one.architecture, styles[one.architecture]
        cells = [(rung.scale / forecast.ladder.top.scale, rung.cell(name))
                 for rung in forecast.ladder.rungs]  # fmt: skip
        x = [params_at(forecast, scale) for scale, _ in cells]
        y = [cell.mean if cell else None for _, cell in cells]
        _points(figure, x, y, name, style, error=None)
        path = one.path
        _line(figure, [params_at(forecast, p[0]) for p in path], [p[1] for p in path], name, style)
        _bar(figure, params_at(forecast, path[-1][0]), one.score, one.score_80, name, style)
    for name, value in (view.verification.scores if view.verification else {}).items():
        _diamond(figure, forecast, value, name, styles[name])
    return figure


def params_at(forecast: Forecast, scale: float) -> float:
    """Parameters at a scale over the top rung's, where size and tokens grow together. Rungs that
    were trained with other tokens for each parameter are drawn where their compute is."""
    return forecast.ladder.top.params * scale**0.5


def _over_params(forecast: Forecast, y_title: str) -> go.Figure:
    figure = blank(470, "parameters (tokens grow with them)", y_title)
    target = float(forecast.target.params)
    places = [params_at(forecast, rung.scale / forecast.ladder.top.scale)
              for rung in forecast.ladder.rungs]  # fmt: skip
    ticks = [*(places[::2] if len(places) > 4 else places), target]
    figure.update_xaxes(
        type="log",
        tickvals=ticks,
        ticktext=[words.with_unit(float(f"{tick:.2g}"), "count") for tick in ticks],
    )
    for place, text in ((places[-1], "top rung"), (target, "target")):
        figure.add_shape(
            type="line", x0=place, x1=place, yref="paper", y0=0, y1=1, layer="below",
            line={"color": FLOOR, "width": 1, "dash": "dot"},
        )  # fmt: skip
        figure.add_annotation(
            x=math.log10(place), y=1, yref="paper", yanchor="bottom", xanchor="right", text=text,
            showarrow=False, font={"size": 12, "color": MUTED},
        )  # fmt: skip
    figure.update_layout(margin_t=30, meta={"toggled": True})
    return figure


def _draw_gap(
    figure: go.Figure,
    forecast: Forecast,
    pair: PairForecast,
    sign: int,
    name: str,
    style: LineStyle,
) -> None:
    path = [(params_at(forecast, p[0]), *p[1:]) for p in pair.path]
    beyond = [p for p, raw in zip(path, pair.path) if raw[0] >= 0.999]
    for low, high, opacity in ((4, 5, 0.08), (2, 3, 0.16)):
        lower, upper = ([sign * p[place] for p in beyond] for place in (low, high))
        figure.add_trace(
            band(
                [p[0] for p in beyond],
                lower,
                upper,
                style.colour.light,
                opacity,
                legendgroup=name,
                name=escape(name),
            )
        )
    _line(figure, [p[0] for p in path], [sign * p[1] for p in path], name, style)
    measured = [(params_at(forecast, m[0]), *(sign * v for v in m[1:])) for m in pair.measured]
    error = {
        "type": "data",
        "symmetric": False,
        "array": [abs(max(m[2], m[3]) - m[1]) for m in measured],
        "arrayminus": [abs(m[1] - min(m[2], m[3])) for m in measured],
        "color": style.colour.light,
        "thickness": 1.5,
        "width": 0,
    }
    _points(figure, [m[0] for m in measured], [m[1] for m in measured], name, style, error)


def _line(
    figure: go.Figure, x: Sequence[float], y: Sequence[float], name: str, style: LineStyle
) -> None:
    figure.add_scatter(
        x=list(x), y=list(y), mode="lines", legendgroup=name, name=escape(name),
        line={"color": style.colour.light, "dash": style.dash, "width": 1.8},
        hovertemplate=f"<b>{escape(name)}</b><br>%{{x:.3s}} parameters: %{{y:.3f}}<extra></extra>",
    )  # fmt: skip


def _points(
    figure: go.Figure, x: Sequence[float], y: Sequence[float | None], name: str, style: LineStyle,
    error: dict[str, Any] | None,
) -> None:  # fmt: skip
    figure.add_scatter(
        x=list(x), y=list(y), mode="markers", legendgroup=name, name=escape(name), error_y=error,
        marker={"size": 8, "color": style.colour.light, "line": {"color": PAPER, "width": 1.5}},
        hovertemplate=f"<b>{escape(name)}</b><br>%{{x:.3s}} parameters: %{{y:.3f}}<extra></extra>",
    )  # fmt: skip


def _bar(
    figure: go.Figure, x: float, y: float, ends: tuple[float, float], name: str, style: LineStyle
) -> None:
    figure.add_scatter(
        x=[x], y=[y], mode="markers", legendgroup=name, name=escape(name),
        marker={"size": 9, "color": PAPER, "line": {"color": style.colour.light, "width": 2}},
        error_y={
            "type": "data", "symmetric": False, "array": [ends[1] - y], "arrayminus": [y - ends[0]],
            "color": style.colour.light, "thickness": 1.5, "width": 0,
        },
        hovertemplate=f"<b>{escape(name)}</b> at the target: %{{y:.3f}}<extra></extra>",
    )  # fmt: skip


def _diamond(figure: go.Figure, forecast: Forecast, y: float, name: str, style: LineStyle) -> None:
    figure.add_scatter(
        x=[float(forecast.target.params)], y=[y], mode="markers", legendgroup=name,
        name=escape(name),
        marker={
            "size": 13, "symbol": "diamond", "color": style.colour.light,
            "line": {"color": PAPER, "width": 2},
        },
        hovertemplate=f"<b>{escape(name)}</b> measured at the target: %{{y:.3f}}<extra></extra>",
    )  # fmt: skip
