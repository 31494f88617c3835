"""The second half of the page: the curves, the complexity table, what was run and how."""

import json
import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from seqarena.core.records import RunView
from seqarena.report import units
from seqarena.report.curves import (
    search_figure,
    slices_figure,
    training_figure,
    validation_figure,
)
from seqarena.report.markup import Cell, Markup, definitions, element, table
from seqarena.report.reading import (
    SliceGroup,
    architectures,
    chosen_rate,
    chosen_trials,
    slice_groups,
)
from seqarena.report.sections import (
    Figure,
    Section,
    figure_html,
    lead,
    named,
    section_html,
    stacked,
)
from seqarena.report.style import SVG_DASHES, css, looks

_NARROW = 5  # columns of a heatmap that still fit half the page
_FORMULA = 20  # characters of a formula that a cell holds on one line
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def curves_section(view: RunView) -> Section | None:
    """Validation, training loss, learning-rate search and slices, with one legend for all."""
    wanted = [
        (
            "validation",
            "Validation",
            validation_figure(view),
            "Mean over seeds at the chosen learning rate; shaded from the lowest to the highest. "
            "The frame fits what follows the first eighth of the tokens.",
        ),
        (
            "training",
            "Training loss",
            training_figure(view),
            "The same trials; neighbouring steps are averaged where they are dense.",
        ),
        (
            "search",
            "Learning-rate search",
            search_figure(view),
            "The same number of tries for each. Ring: the rate chosen, on validation. "
            "Cross at the top: diverged.",
        ),
    ]
    figures, blocks = [], []
    for name, title, drawn, caption in wanted:
        if drawn is not None:
            figures.append(Figure(name, drawn))
            block = figure_html(figures[-1], f"{title} for each architecture.", caption)
            blocks.append(element("div", element("h3", title), block))
    legend = _legend(view) if figures else None
    wide = []
    for group in slice_groups(view):
        if len(group.slices) > 1:
            figures.append(Figure(f"slices-{len(figures)}", slices_figure(view, group)))
            place = blocks if len(group.slices) <= _NARROW else wide
            place.append(_slices_block(view, group, figures[-1]))
    single = [group for group in slice_groups(view) if len(group.slices) == 1]
    if single:
        wide.append(_singles_table(view, single))
    if not figures and not wide:
        return None
    html = section_html(
        "curves",
        "How they learned",
        legend,
        element("div", *blocks, class_="pair") if blocks else None,
        *wide,
    )
    return Section("curves", "Curves", html, tuple(figures))


def _legend(view: RunView) -> Markup:
    leaders = view.ranking.leaders if view.ranking else ()
    chips = [
        element(
            "button",
            _line_sample(css(look.colour), SVG_DASHES[look.dash]),
            name,
            type="button",
            class_="chip",
            aria_pressed="true",
            data_architecture=name,
            data_leader=name in leaders,
        )
        for name, look in looks(view).items()
    ]
    shows = [element("button", "all", type="button", class_="all", data_show="all")]
    if leaders:
        shows.append(
            element("button", "leaders only", type="button", class_="all", data_show="leaders")
        )
    return element(
        "div", *chips, *shows, class_="chips", role="group", aria_label="Show or hide architectures"
    )


def _line_sample(colour: str, dashes: str | None) -> Markup:
    line = element("line", x1="0", y1="4", x2="26", y2="4", stroke_dasharray=dashes)
    return element("svg", line, viewBox="0 0 26 8", aria_hidden="true", style=f"--own:{colour}")


def _slices_block(view: RunView, group: SliceGroup, figure: Figure) -> Markup:
    metric = units.words(view.metric)
    kind = units.words(group.name)
    caption = (
        f"Test split, mean over seeds. Number: {metric}. Shade: how far from the best of its "
        "column."
    )
    return element(
        "div",
        element("h3", f"{metric.capitalize()} by {kind}"),
        figure_html(figure, f"{metric} of each architecture by {kind}.", caption),
    )


def _singles_table(view: RunView, groups: list[SliceGroup]) -> Markup:
    rows = [
        [
            named(view, name),
            *(
                Cell(units.significant(group.values[name][0], 4), group.values[name][0])
                for group in groups
            ),
        ]
        for name in groups[0].values
    ]
    headings = ["architecture", *(units.words(group.slices[0]) for group in groups)]
    return table("Further values on the test split, mean over seeds", headings, rows)


def complexity_section(view: RunView) -> Section | None:
    """What each architecture costs on paper, and where it comes from."""
    entries = [(name, view.catalog[name]) for name in architectures(view) if name in view.catalog]
    if not entries:
        return None
    headings = [
        "architecture",
        "work per layer",
        "serial steps",
        "longest path",
        "state",
        "year",
        "idea and paper",
    ]
    rows = [
        [
            Cell(stacked(named(view, name), _said(entry, "title"), wraps=True), name),
            *(
                Cell(_formula(_said(entry, key)), _said(entry, key))
                for key in ("work", "serial_steps", "path_length", "state")
            ),
            Cell(_said(entry, "year"), entry.get("year")),
            element(
                "div",
                stacked(_said(entry, "idea"), _said(entry, "paper"), wraps=True),
                class_="idea",
            ),
        ]
        for name, entry in entries
    ]
    return Section(
        "complexity",
        "Complexity",
        section_html(
            "complexity",
            "On paper",
            lead(
                "Work is what one layer computes over a whole sequence; serial steps are those "
                "that must wait for one another; the longest path is how many steps a signal "
                "takes between two positions; state is what decoding carries along. T is the "
                "length of the sequence, D the width, E an inner width, N the size of a state, W a "
                "window, K a kernel, L a chunk or stride, H the number of heads."
            ),
            table("Complexity and origin of each architecture", headings, rows),
        ),
    )


def _said(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    return units.ABSENT if value is None else str(value)


def _formula(order: str) -> str:
    """Raised powers; a short formula is not to break at its spaces."""
    raised = re.sub(r"\^(\d)", lambda power: power[1].translate(_RAISED), order)
    return raised.replace(" ", "\u00a0") if len(raised) <= _FORMULA else raised


def run_section(view: RunView) -> Section:
    """How to run it again, on what, who is missing and why, and how the numbers were made."""
    excluded = view.ranking.excluded if view.ranking else {}
    provenance = view.provenance.model_dump(exclude={"kind"}) if view.provenance else {}
    parts = [
        element("h3", "Run it again"),
        element("pre", element("code", view.command), tabindex="0"),
        element(
            "div",
            _facts("Data", view.data),
            _facts("Plan", _settings(view.plan)),
            _facts("Machine and versions", provenance),
            class_="facts-columns",
        ),
        *([element("h3", "Not ranked"), definitions(excluded.items())] if excluded else []),
        element("h3", "What was trained"),
        _trained_table(view),
        element("h3", "How the numbers were made"),
        element("ul", *(element("li", note) for note in _method(view)), class_="method"),
        element(
            "details",
            element("summary", "The whole plan, as stored"),
            element("pre", element("code", json.dumps(view.plan, indent=2)), tabindex="0"),
        ),
    ]
    return Section("run", "What was run", section_html("run", "What was run", *parts))


def _facts(title: str, facts: dict[str, Any]) -> Markup | None:
    return element("div", element("h3", title), definitions(_flat(facts))) if facts else None


def _settings(plan: dict[str, Any]) -> dict[str, Any]:
    """The plan without what the page says elsewhere and without the models' inner settings."""
    elsewhere = ("name", "command", "excluded", "task_digest", "code")
    return {
        key: value
        for key, value in plan.items()
        if key not in elsewhere
        and not (isinstance(value, list | tuple) and any(isinstance(v, dict) for v in value))
    }


def _flat(facts: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as pairs of words: {"budget": {"tokens": 1}} gives ("budget, tokens", "1")."""
    for key, value in facts.items():
        name = f"{prefix}{units.words(str(key))}"
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{name}, ")
        else:
            yield name, _value(str(key), value)


def _value(key: str, value: Any) -> str:
    if isinstance(value, list | tuple):
        return _repeats([_value(key, item) for item in value]) or units.ABSENT
    if value is None or value == {}:
        return units.ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and key.endswith("bytes"):
        return f"{units.with_unit(value, 'bytes')} ({value:,} bytes)"
    if isinstance(value, int) and key not in ("year", "seed", "seeds"):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _repeats(items: list[str]) -> str:
    """Neighbours that are equal are counted: "loop × 2, scan"."""
    runs = [(item, len(list(group))) for item, group in groupby(items)]
    return ", ".join(item if count == 1 else f"{item} × {count}" for item, count in runs)


def _trained_table(view: RunView) -> Markup:
    rows = []
    for name in architectures(view):
        own = [trial for trial in view.trials if trial.architecture == name]
        trial = next(iter(chosen_trials(view, name)), own[0])
        counts = {state: sum(t.status == state for t in own) for state in ("finished", "diverged")}
        rows.append(
            [
                named(view, name),
                Cell(f"{trial.parameters:,}", trial.parameters),
                Cell(f"{trial.width:,}", trial.width),
                Cell(units.rate(chosen_rate(view, name)), chosen_rate(view, name)),
                Cell(units.with_unit(trial.tokens, "count"), trial.tokens),
                Cell(units.significant(trial.training_seconds), trial.training_seconds),
                Cell(units.significant(trial.training_flops), trial.training_flops),
                Cell(f"{counts['finished']} of {len(own)}", counts["finished"]),
                Cell(str(counts["diverged"]), counts["diverged"]),
                _repeats(list(trial.algorithms)) or units.ABSENT,
            ]
        )
    headings = [
        "architecture",
        "parameters",
        "width",
        "learning rate",
        "tokens",
        "training, s",
        "training, FLOPs",
        "trials finished",
        "diverged",
        "algorithm of each layer",
    ]
    return table("One trial at the chosen rate, and how many there were", headings, rows)


def _method(view: RunView) -> list[str]:
    metric = units.words(view.metric)
    notes = [
        "The test split is the validation split, as the plan asks: the learning rate was chosen on "
        "the data that it is judged by, so the values are somewhat too good."
        if view.data.get("test_is_validation")
        else "The learning rate is chosen on the validation split alone. The test split ranks; it "
        "chooses nothing."
    ]
    ranking = view.ranking
    if ranking is None:
        return notes
    confidence = units.percent(ranking.confidence)
    notes += [
        f"The {confidence} interval of a mean comes from a two-level bootstrap over seeds and "
        "chunks of the test split. The gap to the leader is paired: the same seeds, the same "
        "chunks.",
        "p is the paired test against the leader, corrected for the number of comparisons (Holm).",
        f"The noise floor is {ranking.noise_floor:.{units.metric_decimals(ranking)}f} {metric}: "
        f"{ranking.noise_floor_origin}.",
        "Two architectures tie when their gap is inside the noise floor or its interval holds "
        "zero. Where leaders tie there is no winner.",
        "Costs are measured alone on the machine, after training; the spread is that of the "
        "repeats.",
    ]
    return notes
