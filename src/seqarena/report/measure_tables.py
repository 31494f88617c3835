"""Measured curves and maps as terminal tables: a row a curve, a column for each x, what it says."""

import textwrap
from collections.abc import Iterator, Sequence

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from seqarena.core import words
from seqarena.core.results.measurement import Map, Series
from seqarena.core.results.measurement import Measurement as Measured
from seqarena.core.results.quantities import quantity
from seqarena.report.measured.series_reading import CurveGroup as Curves
from seqarena.report.measured.series_reading import groups, middle, middle_word, quantity_words
from seqarena.report.measured.summaries import summarise, summarise_map, summary_sentence

_MOST = 8  # columns of x; of a curve with more points some are shown, even in the logarithm
# (columns of x, width of what is said) from roomy to narrow; the first that fits is taken
_FORMS = ((_MOST, 80), (_MOST, 40), *((most, 26) for most in range(_MOST, 3, -1)), (3, 20), (2, 20))


def measurement_tables(measurements: Sequence[Measured]) -> RenderableType:
    """One table a quantity and axis, each with its sentence below; one of all maps."""
    parts: list[RenderableType] = []
    for curves in groups(measurements):
        parts += [_CurveTable(curves), Text(summary_sentence(curves.series), style="bold"), Text()]
    maps = [found for found in measurements if isinstance(found, Map)]
    if maps:
        parts.append(_map_table(maps))
    return Group(*parts)


class _CurveTable:
    """Chooses its form when it is printed, for only then is the width known."""

    def __init__(self, curves: Curves) -> None:
        self.curves = curves

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        roomy = options.update(max_width=10_000)
        for form in _FORMS:
            table = _curve_table(self.curves, *form)
            if Measurement.get(console, roomy, table).maximum <= options.max_width:
                break
        yield table  # the narrowest folds its words where even that is too wide


def _curve_table(curves: Curves, most: int, said_width: int) -> Table:
    places = shown_places(sorted({p.x for series in curves.series for p in series.points}), most)
    scale, name = curves.scale, quantity_words(curves)
    if quantity(curves.quantity).percent:
        scale, name = words.Scale(0.01, "%"), f"{name}, %"
    title = f"{name} against {words.of_name(curves.axis)}, {middle_word(curves.quantity)}s"
    table = _table(title[:1].upper() + title[1:])
    table.add_column("architecture", overflow="fold")
    for x in places:
        table.add_column(f"{x:,g}", justify="right", no_wrap=True)
    table.add_column("says", overflow="fold")
    drawn: set[tuple[str, ...]] = set()
    for series in curves.series:
        summary = summarise(series)
        measured = {point.x: middle(series.quantity, point) for point in series.points}
        cells = [words.scaled(measured.get(x), scale) for x in places]
        said = f"{summary.text}; {summary.aside}" if summary.aside else summary.text
        table.add_row(Text(_label(series)), *cells, Text(textwrap.fill(said, said_width)))
        for baseline, values in series.baselines.items():
            known = {p.x: value for p, value in zip(series.points, values, strict=False)}
            row = (f"  {baseline}", *(words.scaled(known.get(x), scale) for x in places), "")
            if row not in drawn:  # a baseline that curves share is shown once
                table.add_row(*row, style="dim")
            drawn.add(row)
    return table


def _label(series: Series) -> str:
    """The curve's name, with the algorithm that ran where the name does not tell it."""
    ran = series.settings.get("algorithms")
    if series.variant or not isinstance(ran, list | tuple) or not ran:
        return series.label
    return f"{series.label}, {'/'.join(dict.fromkeys(str(name) for name in ran))}"


def _map_table(maps: Sequence[Map]) -> Table:
    table = _table(f"Who looks at whom in: {' '.join(maps[0].words)}")
    table.add_column("map", overflow="fold")
    table.add_column("kind", no_wrap=True)
    table.add_column("reads on average", overflow="fold")
    for found in maps:
        table.add_row(Text(found.label), found.measurement, Text(summarise_map(found).text))
    return table


def _table(title: str) -> Table:
    return Table(
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        header_style="bold",
        title=title,
        title_justify="left",
        title_style="bold",
    )


def shown_places(x: Sequence[float], most: int = _MOST) -> list[float]:
    """At most `most` of the sorted places: the first, the last, and those between them at
    even steps of the index's logarithm."""
    if len(x) <= most:
        return list(x)
    indices = np.unique(np.geomspace(1, len(x), most).round().astype(int)) - 1
    return [x[int(index)] for index in indices]
