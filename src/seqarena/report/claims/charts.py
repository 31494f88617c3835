"""The small chart of a claim: its curves, or a row a curve where each is one point."""

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

from seqarena.core import words
from seqarena.core.results.measurement import Series
from seqarena.report.figures import blank
from seqarena.report.measured.curves import CurveBlock, curve_block
from seqarena.report.measured.series_reading import (
    CurveGroup,
    line_styles_of,
    middle,
    middle_word,
    quantity_words,
)

HEIGHT = 260  # pixels
_ROW, _FRAME = 44, 70  # pixels of a row, and of the axis below the rows


def small_chart(group: CurveGroup, name: str, order: Sequence[str]) -> CurveBlock:
    """The block with its chart small: of several baselines it draws the first alone. Curves of one
    point each become rows that carry their names."""
    whole = curve_block(group, name, order)
    drawn = group._replace(series=tuple(_with_first_baseline(one) for one in group.series))
    small = curve_block(drawn, name, order, height=HEIGHT)
    block = whole._replace(figure=small.figure, chips=small.chips)
    if len({point.x for one in group.series for point in one.points}) > 1:
        return block
    caption = f"Dot: {middle_word(group.quantity)} of the repeats. Line: from lowest to highest."
    figure = block.figure._replace(drawn=_rows(group, order), caption=caption)
    return block._replace(figure=figure, chips=[])


def _with_first_baseline(one: Series) -> Series:
    return one.model_copy(update={"baselines": dict(list(one.baselines.items())[:1])})


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
