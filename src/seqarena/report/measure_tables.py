"""Measured curves and maps as terminal tables: a row a curve, a column for each x, what it says."""

from collections.abc import Sequence

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from seqarena.core.measurement import Map, Measurement, Series
from seqarena.report import units
from seqarena.report.curve_sayings import looks_at, says, sentence
from seqarena.report.series_reading import Group as Curves
from seqarena.report.series_reading import groups, middle, middle_word, quantity_words

_COLUMNS = 8  # of a curve with more points, these many are shown, evenly in the logarithm


def measurement_tables(measurements: Sequence[Measurement]) -> RenderableType:
    """One table a quantity and axis, each with its sentence below; one of all maps."""
    parts: list[RenderableType] = []
    for curves in groups(measurements):
        parts += [_curve_table(curves), Text(sentence(curves.series), style="bold"), Text()]
    maps = [found for found in measurements if isinstance(found, Map)]
    if maps:
        parts.append(_map_table(maps))
    return Group(*parts)


def _curve_table(curves: Curves) -> Table:
    places = shown_places(sorted({p.x for series in curves.series for p in series.points}))
    scale, name = curves.scale, quantity_words(curves)
    if curves.quantity.startswith("share"):
        scale, name = units.Scale(0.01, "%"), f"{name}, %"
    title = f"{name} against {units.words(curves.axis)}, {middle_word(curves.quantity)}s"
    table = _table(title[:1].upper() + title[1:])
    table.add_column("architecture", overflow="fold")
    for x in places:
        table.add_column(f"{x:,g}", justify="right", no_wrap=True)
    table.add_column("says", overflow="fold")
    drawn: set[tuple[str, ...]] = set()
    for series in curves.series:
        words = says(series)
        measured = {point.x: middle(series.quantity, point) for point in series.points}
        cells = [units.scaled(measured.get(x), scale) for x in places]
        said = f"{words.text}; {words.aside}" if words.aside else words.text
        table.add_row(Text(_label(series)), *cells, Text(said))
        for name, values in series.baselines.items():
            known = {p.x: value for p, value in zip(series.points, values, strict=False)}
            row = (f"  {name}", *(units.scaled(known.get(x), scale) for x in places), "")
            if row not in drawn:  # a baseline that all curves share stands once
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
        table.add_row(Text(found.label), found.measurement, Text(looks_at(found).text))
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


def shown_places(x: Sequence[float], most: int = _COLUMNS) -> list[float]:
    """At most `most` of the sorted places: the first, the last, and what stands between them at
    even steps of the index's logarithm."""
    if len(x) <= most:
        return list(x)
    indices = np.unique(np.geomspace(1, len(x), most).round().astype(int)) - 1
    return [x[int(index)] for index in indices]
