"""The small chart of a claim: its curves, or a row a curve where each is one point at one place.

Its label says in words what is drawn, for a reader who cannot see it; the table below has the rest.
"""

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

from seqarena.core import words
from seqarena.core.results.measurement import Point, Series
from seqarena.report.figures import blank
from seqarena.report.measured.curves import CurveBlock, curve_block
from seqarena.report.measured.series_figures import apart, not_on_a_logarithm
from seqarena.report.measured.series_reading import (
    CurveGroup,
    line_styles_of,
    middle,
    middle_word,
    ordered,
    quantity_words,
)

HEIGHT = 280  # pixels
_ROW, _FRAME = 44, 70  # pixels of a row, and of the axis below the rows
_SAID = 8  # curves that the label tells of


def small_chart(group: CurveGroup, name: str, order: Sequence[str]) -> CurveBlock:
    """The block with its chart small: of several baselines it draws the first alone. Curves of one
    point each, all at one place, become rows that carry their names."""
    whole = curve_block(group, name, order)
    drawn = group._replace(series=tuple(_with_first_baseline(one) for one in group.series))
    small = curve_block(drawn, name, order, height=HEIGHT)
    figure = small.figure._replace(caption=_caption(group), label=_label(group))
    if not _is_rows(group):
        return whole._replace(figure=figure, chips=small.chips)
    title = words.capitalised(quantity_words(group))
    return whole._replace(figure=figure._replace(drawn=_rows(group, order), title=title), chips=[])


def _with_first_baseline(one: Series) -> Series:
    return one.model_copy(update={"baselines": dict(list(one.baselines.items())[:1])})


def _is_rows(group: CurveGroup) -> bool:
    """Whether each curve is one point, at one place as far as an axis tells places apart."""
    places = sorted(point.x for one in group.series for point in one.points)
    return len(places) == len(group.series) and len(apart(places)) == 1


def _caption(group: CurveGroup) -> str:
    """What is drawn of the repeats; nothing where everything was counted once."""
    said = []
    counts = sorted({len(point.repeats) for one in group.series for point in one.points})
    if counts[-1] > 1:
        middle_is, range_is = ("Dot", "Line") if _is_rows(group) else ("Line", "Band")
        many = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
        said += [f"{middle_is}: {middle_word(group.quantity)} of {many} repeats."]
        said += [f"{range_is}: their range."]
    if lost := not_on_a_logarithm(group):
        verb = "appears" if lost == 1 else "appear"
        points = words.plural(lost, "point")
        said.append(f"{points} at zero or below {verb} only on a linear axis.")
    return " ".join(said)


def _label(group: CurveGroup) -> str:
    """The chart in words: its axes, then where each curve begins and ends."""
    told = "; ".join(_said(group, one) for one in group.series[:_SAID])
    more = len(group.series) - _SAID
    if more > 0:
        told += f"; {words.plural(more, 'curve')} more"
    title = quantity_words(group)
    if not _is_rows(group):
        title += f", against {words.of_name(group.axis)}"
    return f"{words.capitalised(title)}. {told}. The table folded below holds every number."


def _said(group: CurveGroup, one: Series) -> str:
    points = ordered(one)
    first, last = _number(group, points[0]), _number(group, points[-1])
    if len(points) == 1:
        return f"{one.label} {first}"
    return f"{one.label} from {first} at {points[0].x:,g} to {last} at {points[-1].x:,g}"


def _number(group: CurveGroup, point: Point) -> str:
    return words.significant(middle(group.quantity, point) / group.scale.factor)


def _rows(group: CurveGroup, order: Sequence[str]) -> go.Figure:
    figure = blank(_FRAME + _ROW * len(group.series), quantity_words(group))
    factor = group.scale.factor
    for one, style in zip(group.series, line_styles_of(group.series, order), strict=True):
        (point,) = one.points
        value, ends = (
            middle(group.quantity, point) / factor,
            (min(point.repeats), max(point.repeats)),
        )
        figure.add_scatter(
            x=[value],
            y=[escape(one.label)],
            mode="markers",
            marker={"size": 10, "color": style.colour.light},
            error_x={
                "array": [ends[1] / factor - value],
                "arrayminus": [value - ends[0] / factor],
                "color": style.colour.light,
                "thickness": 2,
                "width": 0,
            },
            hovertemplate=f"<b>{escape(one.label)}</b>: {words.significant(value)}<extra></extra>",
            name=escape(one.label),
        )
    figure.update_yaxes(autorange="reversed", ticks="", showgrid=False)
    return figure
