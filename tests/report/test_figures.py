"""Figures: what they hold, and colours that can be distinguished and seen."""

import itertools
from typing import get_args

import pytest
from report_views import ARENA, unranked_view, whole_view

from seqarena.core.architecture import Family
from seqarena.core.results.quantities import QUANTITIES
from seqarena.report import figures
from seqarena.report.page import style
from seqarena.report.run import curve_figures, line_styles, reading


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2."""

    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted([luminance(one), luminance(other)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast(theme: str) -> None:
    paper, panel = (getattr(style.ROLES[role], theme) for role in ("paper", "panel"))
    for colour in style.FAMILY_COLOURS:
        assert contrast(getattr(colour, theme), paper) >= 3, colour
    for role in ("ink", "muted", "accent"):
        assert contrast(getattr(style.ROLES[role], theme), paper) >= 4.5, role
        assert contrast(getattr(style.ROLES[role], theme), panel) >= 4.5, role


def test_light_colours_are_distinct_so_that_each_has_one_dark_one() -> None:
    heat = [colour for _, colour in style.HEAT]
    colours = [*style.ROLES.values(), *style.FAMILY_COLOURS, *heat]
    assert len(style.dark_of_light()) == len(colours)


def test_every_architecture_has_a_line_style_of_its_own() -> None:
    shown = line_styles.line_styles(whole_view())
    assert len(set(shown.values())) == len(shown)
    assert shown["gru"].colour == shown["lstm"].colour
    assert shown["gru"].colour != shown["attention"].colour


def test_ranking_figure_holds_means_intervals_seeds_and_floor() -> None:
    view = whole_view()
    assert view.ranking is not None
    figure = figures.ranking_figure(view)
    seeds, *means = figure.data
    assert len(seeds.x) == sum(len(row.seed_values) for row in view.ranking.rows)
    for trace, row in zip(means, view.ranking.rows, strict=True):
        assert trace.x[0] == row.mean
        assert row.mean + trace.error_x.array[0] == pytest.approx(row.high)
        assert row.mean - trace.error_x.arrayminus[0] == pytest.approx(row.low)
    band = figure.layout.shapes[0]
    leader = view.ranking.rows[0].mean
    assert (band.x0, band.x1) == pytest.approx((leader, leader + view.ranking.noise_floor))
    higher = view.model_copy(update={"lower_is_better": False})
    assert figures.ranking_figure(higher).layout.shapes[0].x1 < leader


def test_near_leader_holds_the_better_half_or_is_not_offered() -> None:
    ranking = whole_view().ranking
    assert ranking is not None
    near = figures.near_leader(ranking)
    assert near is not None
    assert near[0] < ranking.rows[0].low
    assert ranking.rows[3].high < near[1] < ranking.rows[-1].low
    assert figures.near_leader(ranking.model_copy(update={"rows": ranking.rows[:2]})) is None


@pytest.mark.parametrize("lower_x", [True, False])
@pytest.mark.parametrize("lower_y", [True, False])
def test_pareto_front_is_what_nobody_beats(lower_x: bool, lower_y: bool) -> None:
    points = [(x, (7 * x + 3) % 11) for x in range(11)] + [(4, 9), (4, 9)]
    sx, sy = (1 if lower_x else -1), (1 if lower_y else -1)

    def beaten(p: tuple, q: tuple) -> bool:
        return p != q and sx * q[0] <= sx * p[0] and sy * q[1] <= sy * p[1]

    expected = {p for p in points if not any(beaten(p, q) for q in points)}
    assert set(figures.pareto_front(points, lower_x, lower_y)) == expected


def test_cost_figures_scale_the_values_and_mark_the_front() -> None:
    view = whole_view()
    figure = figures.cost_figure(view, QUANTITIES["decode_seconds_per_token"])
    assert figure is not None
    points = {trace.name: trace for trace in figure.data if trace.text}
    assert points["gru"].x[0] == pytest.approx(61.0)
    assert "µs" in figure.layout.xaxis.title.text
    assert points["gru"].marker.color != points["tcn"].marker.color == style.ROLES["paper"].light
    low, high = figure.layout.xaxis.range
    assert 10**low < min(p.x[0] for p in points.values())
    assert 10**high > max(p.x[0] for p in points.values())
    nothing = view.model_copy(update={"costs": ()})
    assert figures.cost_figure(nothing, QUANTITIES["decode_seconds_per_token"]) is None


def test_curves_hold_a_band_and_a_mean_for_each_finished_architecture() -> None:
    figure = curve_figures.validation_figure(whole_view())
    assert figure is not None
    assert len(figure.data) == 2 * len(ARENA)
    low, high = figure.layout.yaxis.range
    for trace in figure.data[1::2]:
        late = [y for x, y in zip(trace.x, trace.y, strict=True) if x >= trace.x[-1] / 8]
        assert low < min(late) <= max(late) < high
    started = unranked_view().model_copy(update={"trials": ()})
    assert curve_figures.validation_figure(started) is None
    assert curve_figures.training_figure(started) is None
    assert curve_figures.search_figure(started) is None


def test_search_rings_the_chosen_rate_and_crosses_the_diverged() -> None:
    figure = curve_figures.search_figure(whole_view())
    assert figure is not None
    lines = {t.name: t for t in figure.data if t.yaxis != "y2"}
    crosses = {t.name: list(t.x) for t in figure.data if t.yaxis == "y2"}
    assert crosses == {"mamba": [3e-3], "neural_gpu": [3e-4, 1e-3, 3e-3]}
    sizes = dict(zip(lines["attention"].x, lines["attention"].marker.size, strict=True))
    assert max(sizes, key=lambda rate: sizes[rate]) == 1e-3


def test_slices_are_shaded_by_the_gap_to_the_best() -> None:
    view = whole_view()
    (group,) = reading.slice_groups(view)
    heat = curve_figures.slices_figure(view, group).data[0]
    for column in zip(*heat.z, strict=True):
        assert min(column) == 0
    shown = [float(text) for text in itertools.chain(*heat.text)]
    values = [value for name in group.values for value in group.values[name]]
    assert shown == pytest.approx(values, abs=0.006)


def test_every_family_of_the_catalog_has_a_colour_of_its_own():
    families = {*get_args(Family), "other"}
    assert len({colour.light for colour in style.FAMILY_COLOURS}) >= len(families)
