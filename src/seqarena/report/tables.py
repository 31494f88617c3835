"""Terminal tables: the ranking, the catalog, the tasks. Each takes the form that fits its width.

The width is known when a table is printed: a terminal's own, or 80 columns (or COLUMNS) where the
output goes to a pipe or a file. A narrower table has fewer columns, never broken words.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from seqarena.core import words
from seqarena.core.results.baselines import BaselineRow
from seqarena.core.results.quantities import CostTable, Quantity
from seqarena.core.results.records import Ranking, RankRow, RunView

_ASCII = str.maketrans({"µ": "u", "–": "-", "−": "-", "†": "+"})
_NAME = "that is"  # heading of the plain names
_IDEA_WIDTH, _MEANING_WIDTH = 40, 24  # columns that such a text needs at least


class FittingTable:
    """The first of some forms of a table that is no wider than the place it is printed to; the last
    where none is."""

    def __init__(self, *forms: Callable[[bool], Sequence[RenderableType]]) -> None:
        """Each form takes whether the terminal knows ASCII only, and gives what is printed. A form
        fits where the words of all its columns stay whole."""
        self.forms = forms

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        unbounded = options.update(max_width=10_000)
        parts: Sequence[RenderableType] = ()
        for form in self.forms:
            parts = form(options.ascii_only)
            needed = max(Measurement.get(console, unbounded, part).minimum for part in parts)
            if needed <= options.max_width:
                break
        yield from parts


class _Column(NamedTuple):
    heading: str
    cell: Callable[[RankRow], str]
    baseline: Callable[[BaselineRow], str] = lambda row: ""


def ranking_table(view: RunView) -> RenderableType:
    """The ranking with verdict and recommendation below, or one line while nothing is ranked."""
    ranking = view.ranking
    if ranking is None:
        few, sentence = words.unranked(view)
        reasons = [f"{name}: {why}" for name, why in view.reasons.items()]
        return Text("\n".join([f"{few}. {sentence}", *reasons, *_failed(view)]))
    quality, costs = _quality_columns(view, ranking), _cost_columns(view)

    def named(plain: bool) -> list[RenderableType]:
        return [_ranked(ranking, [_name_column(view), *quality, *costs], plain)]

    def whole(plain: bool) -> list[RenderableType]:
        return [_ranked(ranking, quality + costs, plain)]

    def halves(plain: bool) -> list[RenderableType]:
        return [_ranked(ranking, columns, plain) for columns in (quality, costs) if columns]

    def stacked(plain: bool) -> list[RenderableType]:
        return [_stacked(ranking, quality + costs, plain)]

    return Group(FittingTable(named, whole, halves, stacked), _Notes(view, ranking))


def _ranked(ranking: Ranking, columns: Sequence[_Column], plain: bool) -> Table:
    """A row an architecture."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold")
    rows, known = ranking.rows, ranking.baselines
    cells = [[*(_place(ranking, row) for row in rows), *[""] * len(known)]]
    cells += [
        [*(_name(ranking, row) for row in rows), *(f"{one.name} (baseline)" for one in known)]
    ]
    cells += [[*map(column.cell, rows), *map(column.baseline, known)] for column in columns]
    cells = [[_printable(cell, plain) for cell in own] for own in cells]
    headings = ["#", "architecture", *(_printable(column.heading, plain) for column in columns)]
    for heading, own in zip(headings, cells, strict=True):
        _add_fixed(table, heading, own, right=heading not in ("architecture", _NAME))
    styles = ["bold" if row.architecture in ranking.leaders else "" for row in rows]
    for number, own in enumerate(zip(*cells, strict=True)):
        if number == len(rows):
            table.add_section()
        style = styles[number] if number < len(rows) else "dim"
        table.add_row(*(Text(cell) for cell in own), style=style)
    return table


def _add_fixed(table: Table, heading: str, cells: Iterable[str], *, right: bool = False) -> None:
    """A column whose cells stay on one line."""
    widths = [cell_len(line) for line in [*heading.split("\n"), *cells]]
    justify = "right" if right else "left"
    table.add_column(heading, justify=justify, no_wrap=True, min_width=max(widths))


def _stacked(ranking: Ranking, columns: Sequence[_Column], plain: bool) -> Table:
    """A line a number, under the name of its architecture."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for row in ranking.rows:
        name = _printable(_name(ranking, row), plain)
        table.add_row(Text(f"{_place(ranking, row)} {name}", style="bold"), "")
        for column in columns:
            heading = column.heading.replace("\n", " ")
            table.add_row(
                Text(f"  {_printable(heading, plain)}"), Text(_printable(column.cell(row), plain))
            )
    for one in ranking.baselines:
        table.add_row(Text(f"{one.name} (baseline)", style="bold"), "")
        for column in columns:
            if cell := column.baseline(one):
                heading = _printable(column.heading.replace("\n", " "), plain)
                table.add_row(Text(f"  {heading}"), Text(_printable(cell, plain)))
    return table


def _name(ranking: Ranking, row: RankRow) -> str:
    return f"{row.architecture}{' †' if row.architecture in ranking.below_baseline else ''}"


def _place(ranking: Ranking, row: RankRow) -> str:
    return f"{row.place}{'=' if row.ties_leader and len(ranking.leaders) > 1 else ''}"


class _Notes:
    """The verdict, the recommendation and what the table's marks mean."""

    def __init__(self, view: RunView, ranking: Ranking) -> None:
        self.view, self.ranking = view, ranking

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        ranking, plain = self.ranking, options.ascii_only
        lines = [Text(_printable(ranking.verdict, plain), style="bold"), Text()]
        lines += [Text(f"- {_printable(reason, plain)}") for reason in ranking.recommendation]
        lines += [Text(f"- {_printable(text, plain)}") for text in ranking.open_questions]
        lines += [Text()] if ranking.recommendation or ranking.open_questions else []
        lines.append(Text(_printable("; ".join(_marks(ranking)), plain), style="dim"))
        lines += [
            Text(_printable(f"not ranked: {name}: {why}", plain), style="dim")
            for name, why in ranking.excluded.items()
        ]
        lines += [Text(_printable(line, plain), style="red") for line in _failed(self.view)]
        yield Padding(Group(*lines), (0, 0, 1, 0))


def _marks(ranking: Ranking) -> list[str]:
    decimals = words.metric_decimals(ranking)
    notes = [f"noise floor {ranking.noise_floor:.{decimals}f} {words.of_name(ranking.metric)}"]
    if any(row.ties_leader for row in ranking.rows) and len(ranking.leaders) > 1:
        notes.append("= ties with the leader")
    if any(row.learning_rate_at_edge for row in ranking.rows):
        notes.append("* best rate at the edge of those tried")
    if ranking.below_baseline:
        notes.append(f"† does not beat the {ranking.baselines[0].name} baseline")
    return notes + [note for row in ranking.rows for note in words.seed_notes(row)]


def _failed(view: RunView) -> list[str]:
    return [f"failed: {label}: {why}" for label, why in view.failures.items()]


def _printable(text: str, plain: bool) -> str:
    """The text, without the few signs that an ASCII terminal cannot print."""
    return text.translate(_ASCII) if plain else text


def _two_lines(heading: str) -> str:
    """A long heading broken at the space nearest to its middle."""
    spaces = [i for i, letter in enumerate(heading) if letter == " "]
    if len(heading) <= 10 or not spaces:
        return heading
    middle = min(spaces, key=lambda i: abs(i - len(heading) / 2))
    return f"{heading[:middle]}\n{heading[middle + 1 :]}"


def _quality_columns(view: RunView, ranking: Ranking) -> list[_Column]:
    decimals = words.metric_decimals(ranking)
    parameters = words.scale_for("count", [row.parameters for row in ranking.rows])

    def learning_rate(row: RankRow) -> str:
        return words.rate(row.learning_rate) + ("*" if row.learning_rate_at_edge else " ")

    def gap(row: RankRow) -> str:
        return "" if row.place == 1 else words.signed(row.gap_to_leader, decimals)

    return [
        _Column(
            _two_lines(words.of_name(view.metric)),
            lambda row: f"{row.mean:.{decimals}f}",
            lambda row: f"{row.value:.{decimals}f}",
        ),
        _Column(
            f"{words.percent(ranking.confidence)}\ninterval",
            lambda row: f"{row.low:.{decimals}f}–{row.high:.{decimals}f}",
        ),
        _Column("gap to\nleader", gap, lambda row: words.signed(row.lead, decimals)),
        _Column("learning\nrate", learning_rate),
        _Column(
            f"parameters\n{parameters.unit}".strip(),
            lambda row: words.scaled(row.parameters, parameters),
        ),
    ]


def _name_column(view: RunView) -> _Column:
    """Plain names, for who does not know the catalog's."""
    titles = {name: str(facts.get("title") or "") for name, facts in view.catalog.items()}
    return _Column(_NAME, lambda row: titles.get(row.architecture, ""))


def _cost_columns(view: RunView) -> list[_Column]:
    costs = CostTable(view.costs)
    return [_cost_column(costs, cost) for cost in costs.measured()]


def _cost_column(costs: CostTable, cost: Quantity) -> _Column:
    scale = cost.scale(costs.values(cost))
    heading = f"{_two_lines(cost.heading)}\n{cost.unit_symbol(scale)}".strip()
    return _Column(heading, lambda row: words.scaled(costs.value(row.architecture, cost), scale))


_ORDERS = (  # key of the row, heading of a column, word of a line
    ("work", "work a layer", "work"),
    ("serial_steps", "serial steps", "steps"),
    ("path_length", "longest path", "path"),
    ("state", "state", "state"),
)


def models_table(rows: Mapping[str, Mapping[str, Any]]) -> RenderableType:
    """The catalog, with the keys of `measure.complexity.catalog_rows`: a row an architecture, its
    plain name before its idea and what it is equal to behind it (`parity`); where the costs of a
    layer do not fit as columns, they are a line below the idea."""
    names = {"name": list(rows), "year": [str(row["year"]) for row in rows.values()]}
    orders = {heading: [str(row[key]) for row in rows.values()] for key, heading, _ in _ORDERS}
    ideas = [
        f"{words.capitalised(str(row['title']))}: {row['idea']}"
        + (f"; {row['parity']}" if row.get("parity") else "")
        for row in rows.values()
    ]
    with_orders = [
        f"{idea}\n" + "; ".join(f"{word} {row[key]}" for key, _, word in _ORDERS)
        for idea, row in zip(ideas, rows.values(), strict=True)
    ]
    below = "idea; a layer's work, serial steps, longest path and state"
    return FittingTable(
        lambda _: [_described(names | orders, "idea", ideas)],
        lambda _: [_described(names, below, with_orders)],
        lambda _: _paragraphs(list(rows), with_orders),
    )


def tasks_table(ideas: Mapping[str, str]) -> RenderableType:
    """A row a task: its name and its idea."""
    return FittingTable(
        lambda _: [_described({"": list(ideas)}, "", list(ideas.values()), header=False)],
        lambda _: _paragraphs(list(ideas), list(ideas.values())),
    )


def settings_table(settings: Mapping[str, tuple[Any, str]]) -> RenderableType:
    """A row a setting: its name, its default and what it is."""
    defaults, notes = zip(*settings.values(), strict=True) if settings else ((), ())
    fixed = {"setting": list(settings), "default": [str(value) for value in defaults]}
    both = [f"default {value}\n{note}".strip() for value, note in settings.values()]
    return FittingTable(
        lambda _: [_described(fixed, "meaning", notes, width=_MEANING_WIDTH)],
        lambda _: _paragraphs(list(settings), both),
    )


def _described(
    fixed: Mapping[str, Sequence[str]],
    heading: str,
    texts: Sequence[str],
    *,
    width: int = _IDEA_WIDTH,
    header: bool = True,
) -> Table:
    """Columns that stay whole, and one of text that wraps at its spaces."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=header)
    for name, cells in fixed.items():
        _add_fixed(table, name, cells)
    table.add_column(heading, min_width=width)
    for row in zip(*fixed.values(), texts, strict=True):
        table.add_row(*(Text(cell) for cell in row))
    return table


def _paragraphs(names: Sequence[str], texts: Sequence[str]) -> list[RenderableType]:
    """Each name on a line of its own, its text indented below."""
    parts: list[RenderableType] = []
    for name, text in zip(names, texts, strict=True):
        parts += [Text(name, style="bold"), Padding(Text(text), (0, 0, 0, 2))]
    return parts
