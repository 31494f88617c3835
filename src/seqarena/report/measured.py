"""What `seqarena measure` found, as sections of a page: every curve, its numbers, what they say."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from seqarena.core.measurement import Machine, Measurement, Series, latest
from seqarena.report import units
from seqarena.report.diagrams import diagrams_section
from seqarena.report.explorer import explorer_section
from seqarena.report.markup import Cell, Markup, definitions, element, join, table
from seqarena.report.sections import Figure, Section, figure_html, section_html
from seqarena.report.series_figures import baseline_names, not_on_a_logarithm, series_figure
from seqarena.report.series_reading import (
    Group,
    groups,
    looks_of,
    middle,
    middle_word,
    quantity_words,
    saying,
    told,
)
from seqarena.report.shell import page_html
from seqarena.report.style import SVG_DASHES, css
from seqarena.report.timeline import timeline_section

_ACROSS = 10  # points that a table has columns for
Catalog = Mapping[str, Mapping[str, Any]]


def render_measurements(
    name: str,
    measurements: Sequence[Measurement],
    catalog: Catalog,
    *,
    served: bool = False,
) -> str:
    """The page of a folder that holds measurements and no comparison."""
    found = latest(measurements)
    sections = [
        _answer(name, found),
        *measured_sections(found, catalog, served=served),
        timeline_section(catalog, found),
    ]
    return page_html(name, sections, served=served)


def measured_sections(
    measurements: Sequence[Measurement], catalog: Catalog, *, served: bool = False
) -> list[Section | None]:
    """One section a kind of measurement, then the drawn diagrams and the explorer of maps."""
    found = latest(measurements)
    order = architectures_of(found)
    by_kind: dict[str, list[Group]] = {}
    for group in groups(found):
        by_kind.setdefault(group.measurement, []).append(group)
    sections = [_curves(kind, shown, order) for kind, shown in by_kind.items()]
    return [*sections, diagrams_section(found, catalog), explorer_section(found, served=served)]


def architectures_of(measurements: Sequence[Measurement]) -> list[str]:
    """Every architecture that was measured, in the order of first appearance."""
    return list(dict.fromkeys(one.architecture for one in measurements))


def group_block(group: Group, name: str, order: Sequence[str]) -> tuple[Markup, Figure]:
    """A figure with its legend, its axis buttons and its numbers. `name` is its place's."""
    figure = Figure(name, series_figure(group, order))
    block = element(
        "div",
        element("h3", group.heading),
        _legend(group, name, order),
        figure_html(figure, _label(group), _caption(group)),
        _sayings(group),
        element(
            "details",
            element("summary", "The numbers, and what they depend on"),
            _numbers(group),
            _settings(group),
        ),
        class_="measured",
    )
    return block, figure


def _answer(name: str, found: Sequence[Measurement]) -> Section:
    curves = [one for one in found if isinstance(one, Series)]
    kinds = list(dict.fromkeys(units.words(one.measurement) for one in found))
    models = units.plural(len(architectures_of(found)), "architecture")
    counted = [units.plural(len(curves), "curve")] if curves else []
    if len(curves) < len(found):
        counted.append(units.plural(len(found) - len(curves), "map"))
    said = " and ".join(counted) or "Nothing measured yet"
    machine = _machine_words(found[-1].machine) if found else ""
    html = element(
        "section",
        element("h1", name),
        element("p", machine, class_="facts"),
        element("p", element("b", said), element("span", f"of {models}"), class_="verdict"),
        element("p", f"Measured: {', '.join(kinds)}.", class_="doubt") if kinds else None,
        element("ul", *_headlines(curves), class_="cards", aria_label="What the curves say"),
        id="answer",
        aria_label="What was measured",
    )
    return Section("answer", "Answer", html)


def _headlines(curves: Sequence[Series]) -> list[Markup]:
    """For each figure that estimates something, the lowest and the highest, as a card."""
    cards = []
    for group in groups(curves):
        said = [(one, saying(one)[0]) for one in group.series if saying(one)]
        if not said:
            continue
        said.sort(key=lambda pair: pair[1].estimate.value)
        ends = [said[0], said[-1]] if len(said) > 1 else said
        words = "; ".join(f"{one.label}: {told(found)}" for one, found in ends)
        cards.append(element("li", element("b", f"{group.title}, {said[0][1].words}"), " ", words))
    return cards


def _machine_words(machine: Machine) -> str:
    threads = units.plural(machine.threads, "thread")
    facts = (machine.processor, threads, machine.device, machine.dtype)
    return " · ".join([*facts, f"torch {machine.torch_version}", machine.measured_at[:10]])


def _curves(kind: str, shown: Sequence[Group], order: Sequence[str]) -> Section:
    name = re.sub(r"[^a-z0-9]+", "-", kind.lower()).strip("-")
    blocks = [group_block(group, f"measured-{name}-{i}", order) for i, group in enumerate(shown)]
    html = section_html(
        f"measured-{name}",
        units.words(kind).capitalize(),
        element("div", *(block for block, _ in blocks), class_="pair"),
    )
    figures = tuple(figure for _, figure in blocks)
    return Section(f"measured-{name}", units.words(kind).capitalize(), html, figures)


def _legend(group: Group, name: str, order: Sequence[str]) -> Markup:
    chips = [
        _chip(one.label, str(place), name, css(look.colour), SVG_DASHES[look.dash])
        for place, (one, look) in enumerate(zip(group.series, looks_of(group.series, order)))
    ]
    chips += [_chip(known, known, name, "var(--muted)", "3 3") for known in baseline_names(group)]
    axes = [
        element(
            "button",
            f"{letter}: logarithmic",
            type="button",
            class_="axis",
            aria_pressed="false",
            data_figure=f"figure-{name}",
            data_axis=f"{letter}axis",
        )
        for letter in "xy"
    ]
    return join(
        [
            element("div", *chips, class_="chips", role="group", aria_label="Show or hide curves"),
            element("div", *axes, class_="chips axes", role="group", aria_label="Axes"),
        ]
    )


def _chip(shown: str, key: str, name: str, colour: str, dashes: str | None) -> Markup:
    line = element("line", x1="0", y1="4", x2="26", y2="4", stroke_dasharray=dashes)
    sample = element("svg", line, viewBox="0 0 26 8", aria_hidden="true", style=f"--own:{colour}")
    return element(
        "button",
        sample,
        shown,
        type="button",
        class_="chip",
        aria_pressed="true",
        data_curve=key,
        data_figure=f"figure-{name}",
    )


def _label(group: Group) -> str:
    curves = units.plural(len(group.series), "curve")
    return f"{group.heading}, {curves}. The table below holds the same numbers."


def _caption(group: Group) -> str:
    said = [f"Line: {middle_word(group.quantity)} of the repeats."]
    if any(len(point.repeats) > 1 for one in group.series for point in one.points):
        said.append("Shaded: from the lowest repeat to the highest.")
    if known := baseline_names(group):
        said.append(f"Thin and dashed, known without measuring: {', '.join(known)}.")
    if lost := not_on_a_logarithm(group):
        verb = "stands" if lost == 1 else "stand"
        points = units.plural(lost, "point")
        said.append(f"{points} at zero or below {verb} only on a linear axis.")
    return " ".join(said)


def _sayings(group: Group) -> Markup | None:
    """What each curve says in one number with its 95 % interval."""
    rows = [(one.label, saying(one)) for one in group.series]
    headings = list(dict.fromkeys(found.words for _, all_ in rows for found in all_))
    if not headings:
        return None
    cells = []
    for label, said in rows:
        by_words = {found.words: found for found in said}
        cells.append([label, *(_said_cell(by_words.get(words)) for words in headings)])
    return table(
        f"{group.heading}: what the curves say (95 % interval)",
        ["curve", *headings],
        cells,
        sortable=True,
    )


def _said_cell(found: Any) -> Cell:
    return Cell(units.ABSENT) if found is None else Cell(told(found), found.estimate.value)


def _numbers(group: Group) -> Markup:
    """Every point: places across, or down where they are many."""
    places = sorted({point.x for one in group.series for point in one.points})
    columns: list[tuple[str, dict[float, float]]] = []
    for one in group.series:
        found = {point.x: middle(group.quantity, point) for point in one.points}
        columns.append((one.label, found))
        for known, values in one.baselines.items():
            by_x = {point.x: value for point, value in zip(one.points, values)}
            columns.append((f"{known}, {one.label}", by_x))
    words = f"{quantity_words(group)}, {middle_word(group.quantity)} of the repeats"
    axis, scale = units.words(group.axis), group.scale

    def cell(values: dict[float, float], x: float) -> Cell:
        return Cell(units.scaled(values.get(x), scale), values.get(x))

    if len(places) > _ACROSS:
        rows = [[f"{x:g}", *(cell(values, x) for _, values in columns)] for x in places]
        return table(words, [axis, *(label for label, _ in columns)], rows, class_="long-table")
    rows = [[label, *(cell(values, x) for x in places)] for label, values in columns]
    return table(words, [axis, *(f"{x:g}" for x in places)], rows)


def _settings(group: Group) -> Markup:
    """Each curve's settings, and the machine and time of its measuring."""
    said = []
    for one in group.series:
        facts = [f"{units.words(key)} {_plain(value)}" for key, value in one.settings.items()]
        said.append((one.label, "; ".join([*facts, _machine_words(one.machine)])))
    return definitions(said)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{units.words(str(key))} {_plain(own)}" for key, own in value.items())
    if isinstance(value, list | tuple):
        return " ".join(_plain(own) for own in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
