"""Measured curves: each figure with its legend, its estimates, its numbers and their settings."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from seqarena.core import words
from seqarena.core.results.measurement import Machine, Measurement, Series
from seqarena.report.measured.series_figures import (
    baseline_names,
    not_on_a_logarithm,
    series_figure,
)
from seqarena.report.measured.series_reading import (
    CurveEstimate,
    CurveGroup,
    estimate_text,
    estimates_of,
    groups,
    line_styles_of,
    middle,
    middle_word,
    quantity_words,
)
from seqarena.report.page.parts import Cell, Chip, Figure, Section, Table, headings, number_cell
from seqarena.report.page.style import SVG_DASHES, css

_ACROSS = 10  # points that a table has columns for


class CurveBlock(NamedTuple):
    """One figure with everything that belongs to it."""

    figure: Figure
    chips: Sequence[Chip]
    estimates: Table | None
    numbers: Table
    settings: Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class CurvesOfKind(Section):
    """The curves that one kind of measurement found."""

    template = "measured/curves.html"
    blocks: Sequence[CurveBlock]


def curve_sections(found: Sequence[Measurement], order: Sequence[str]) -> list[CurvesOfKind]:
    """One section a kind of measurement. `order` gives each architecture its colour."""
    by_kind: dict[str, list[CurveGroup]] = {}
    for group in groups(found):
        by_kind.setdefault(group.measurement, []).append(group)
    return [_section(kind, shown, order) for kind, shown in by_kind.items()]


def architectures_of(measurements: Sequence[Measurement]) -> list[str]:
    """Every architecture that was measured, in the order of first appearance."""
    return list(dict.fromkeys(one.architecture for one in measurements))


def machine_facts(machine: Machine) -> list[str]:
    """The machine and the day of a measurement, as short texts."""
    threads = words.plural(machine.threads, "thread")
    facts = [machine.processor, threads, machine.device, machine.dtype]
    return [*facts, f"torch {machine.torch_version}", machine.measured_at[:10]]


def curve_block(
    group: CurveGroup, name: str, order: Sequence[str], *, height: int = 400
) -> CurveBlock:
    """The block of one figure, `height` pixels tall. `name` is unique on the page."""
    curves = words.plural(len(group.series), "curve")
    label = f"{group.heading}, {curves}. The table below holds the same numbers."
    drawn = series_figure(group, order, height=height)
    return CurveBlock(
        figure=Figure(name, drawn, label, _caption(group), group.heading),
        chips=_chips(group, order),
        estimates=_estimates(group),
        numbers=_numbers(group),
        settings=_settings(group),
    )


def _section(kind: str, shown: Sequence[CurveGroup], order: Sequence[str]) -> CurvesOfKind:
    name = "measured-" + re.sub(r"[^a-z0-9]+", "-", kind.lower()).strip("-")
    blocks = [curve_block(group, f"{name}-{i}", order) for i, group in enumerate(shown)]
    title = words.of_name(kind).capitalize()
    figures = tuple(block.figure for block in blocks)
    return CurvesOfKind(name=name, link=title, heading=title, figures=figures, blocks=blocks)


def _chips(group: CurveGroup, order: Sequence[str]) -> list[Chip]:
    """A chip for each curve, then a grey one for each baseline."""
    styles = line_styles_of(group.series, order)
    chips = [
        Chip(one.label, str(place), css(style.colour), SVG_DASHES[style.dash])
        for place, (one, style) in enumerate(zip(group.series, styles, strict=True))
    ]
    return chips + [Chip(name, name, "var(--muted)", "3 3") for name in baseline_names(group)]


def _caption(group: CurveGroup) -> str:
    sentences = [f"Line: {middle_word(group.quantity)} of the repeats."]
    if any(len(point.repeats) > 1 for one in group.series for point in one.points):
        sentences.append("Shaded: from the lowest repeat to the highest.")
    if known := baseline_names(group):
        sentences.append(f"Thin and dashed: known without a measurement ({', '.join(known)}).")
    if lost := not_on_a_logarithm(group):
        verb = "appears" if lost == 1 else "appear"
        points = words.plural(lost, "point")
        sentences.append(f"{points} at zero or below {verb} only on a linear axis.")
    return " ".join(sentences)


def _estimates(group: CurveGroup) -> Table | None:
    """One row a curve, one column an estimate, each with its 95 % interval."""
    rows = [
        (one.label, {found.words: found for found in estimates_of(one)}) for one in group.series
    ]
    columns = list(dict.fromkeys(name for _, by_name in rows for name in by_name))
    if not columns:
        return None
    return Table(
        f"{group.heading}: estimates (95 % interval)",
        headings("curve", *columns),
        [
            [Cell(label), *(_estimate_cell(by_name.get(name)) for name in columns)]
            for label, by_name in rows
        ],
        sortable=True,
    )


def _estimate_cell(found: CurveEstimate | None) -> Cell:
    if found is None:
        return number_cell(words.ABSENT, None)
    return number_cell(estimate_text(found), found.estimate.value)


def _numbers(group: CurveGroup) -> Table:
    """Every point: places across, or down where they are many."""
    places = sorted({point.x for one in group.series for point in one.points})
    columns: list[tuple[str, dict[float, float]]] = []
    for one in group.series:
        found = {point.x: middle(group.quantity, point) for point in one.points}
        columns.append((one.label, found))
        for known, values in one.baselines.items():
            by_x = {point.x: value for point, value in zip(one.points, values)}
            columns.append((f"{known}, {one.label}", by_x))
    caption = f"{quantity_words(group)}, {middle_word(group.quantity)} of the repeats"
    axis, scale = words.of_name(group.axis), group.scale

    def cell(values: dict[float, float], x: float) -> Cell:
        return number_cell(words.scaled(values.get(x), scale), values.get(x))

    if len(places) > _ACROSS:
        down = [[Cell(f"{x:g}"), *(cell(values, x) for _, values in columns)] for x in places]
        heads = headings(axis, *(label for label, _ in columns))
        return Table(caption, heads, down, kind="long-table")
    across = [[Cell(label), *(cell(values, x) for x in places)] for label, values in columns]
    return Table(caption, headings(axis, *(f"{x:g}" for x in places)), across)


def _settings(group: CurveGroup) -> list[tuple[str, str]]:
    """Each curve's settings, and the machine and day of its measurement."""
    pairs = []
    for one in group.series:
        facts = [f"{words.of_name(key)} {_plain(value)}" for key, value in one.settings.items()]
        pairs.append((one.label, "; ".join([*facts, _machine_line(one)])))
    return pairs


def _machine_line(one: Series) -> str:
    return " · ".join(machine_facts(one.machine))


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{words.of_name(str(key))} {_plain(own)}" for key, own in value.items())
    if isinstance(value, list | tuple):
        return " ".join(_plain(own) for own in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
