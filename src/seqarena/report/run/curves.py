"""How the architectures learned: curves, the search for the learning rate, slices of the metric."""

from collections.abc import Sequence
from dataclasses import dataclass

from seqarena.core import words
from seqarena.core.results.records import RunView
from seqarena.report.page.parts import Chip, Figure, Section, Table, headings, number_cell
from seqarena.report.page.style import SVG_DASHES, css
from seqarena.report.run.curve_figures import (
    search_figure,
    slices_figure,
    training_figure,
    validation_figure,
)
from seqarena.report.run.labels import ARCHITECTURE, architecture_cell
from seqarena.report.run.line_styles import line_styles
from seqarena.report.run.reading import SliceGroup, slice_groups

_NARROW = 5  # columns of a heatmap that still fit half the page


@dataclass(frozen=True, kw_only=True)
class CurvesSection(Section):
    """One legend for all curves; figures of half the width, then figures of the whole width."""

    template = "run/curves.html"
    chips: Sequence[Chip]
    has_leaders: bool
    half: Sequence[Figure]
    whole: Sequence[Figure]
    table: Table | None


def curves_section(view: RunView) -> CurvesSection | None:
    """The curves and slices of the trials. None where no trial has any."""
    curves = _curve_figures(view)
    groups = slice_groups(view)
    half, whole = list(curves), []
    for group in groups:
        if len(group.slices) > 1:
            figure = _slices_figure(view, group, len(half) + len(whole))
            (half if len(group.slices) <= _NARROW else whole).append(figure)
    single = [group for group in groups if len(group.slices) == 1]
    if not half and not whole and not single:
        return None
    return CurvesSection(
        name="curves",
        link="Curves",
        heading="How they learned",
        figures=(*half, *whole),
        chips=_chips(view) if curves else (),
        has_leaders=bool(view.ranking and view.ranking.leaders),
        half=half,
        whole=whole,
        table=_singles_table(view, single) if single else None,
    )


def _curve_figures(view: RunView) -> list[Figure]:
    wanted = [
        (
            "validation",
            "Validation",
            validation_figure(view),
            "Quality on the validation data while training goes on. Line: mean over seeds at the "
            "chosen learning rate. Shaded: from the lowest seed to the highest. The frame leaves "
            "out the first eighth of the tokens.",
        ),
        (
            "training",
            "Training loss",
            training_figure(view),
            f"The loss on the training data in the same trials.{_in_nats(view)} Neighbouring steps "
            "are averaged where they are dense.",
        ),
        (
            "search",
            "Learning-rate search",
            search_figure(view),
            "The learning rate is the size of a training step. One rule and one cap gave every "
            "architecture its tries. Ring: the rate that was best on the validation data. Cross at "
            "the top: training diverged.",
        ),
    ]
    return [
        Figure(name, drawn, f"{title} for each architecture.", caption, title)
        for name, title, drawn, caption in wanted
        if drawn is not None
    ]


def _in_nats(view: RunView) -> str:
    """What a nat is, where the loss is counted in them: numbers have a loss of their own."""
    return "" if view.data.get("loss") else " A nat is 1.44 bits."


def _chips(view: RunView) -> list[Chip]:
    leaders = view.ranking.leaders if view.ranking else ()
    return [
        Chip(name, name, css(style.colour), SVG_DASHES[style.dash], name in leaders)
        for name, style in line_styles(view).items()
    ]


def _slices_figure(view: RunView, group: SliceGroup, place: int) -> Figure:
    metric, kind = words.of_name(view.metric), words.of_name(group.name)
    return Figure(
        f"slices-{place}",
        slices_figure(view, group),
        f"{metric} of each architecture by {kind}.",
        f"Test split, mean over seeds. Number: {metric}. Shade: how far from the best of its "
        "column.",
        f"{words.capitalised(metric)} by {kind}",
    )


def _singles_table(view: RunView, groups: Sequence[SliceGroup]) -> Table:
    rows = []
    for name in groups[0].values:
        values = [group.values[name][0] for group in groups]
        cells = [number_cell(words.significant(value, 4), value) for value in values]
        rows.append([architecture_cell(view, name), *cells])
    heads = headings(ARCHITECTURE, *(words.of_name(group.slices[0]) for group in groups))
    caption = "Further values on the test split, mean over seeds"
    return Table(caption, heads, rows, name="further-values")
