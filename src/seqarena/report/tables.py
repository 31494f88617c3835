"""The ranking as a terminal table: one wide table, or two narrow ones where the window is small."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from seqarena.core.records import Measures, Ranking, RankRow, RunView
from seqarena.report import units
from seqarena.report.run.reading import measures_of

_PLAIN = str.maketrans({"µ": "u", "–": "-", "−": "-"})


class _Column(NamedTuple):
    heading: str
    cell: Callable[[RankRow, Measures], str]


def ranking_table(view: RunView) -> RenderableType:
    """The ranking with verdict and recommendation below, or one line while nothing is ranked."""
    if view.ranking is None:
        done = sum(trial.status == "finished" for trial in view.trials)
        return Text(f"Nothing is ranked yet: {done} of {len(view.trials)} trials have finished.")
    return _RankingTable(view, view.ranking)


class _RankingTable:
    """Chooses its form when it is printed, for only then is the width known."""

    def __init__(self, view: RunView, ranking: Ranking) -> None:
        self.view = view
        self.ranking = ranking

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        quality = _quality_columns(self.view, self.ranking)
        costs = _cost_columns(self.view) if self.view.measures else []
        plain = options.ascii_only
        wide = self._table(quality + costs, plain)
        if Measurement.get(console, options.update(max_width=10_000), wide).maximum > (
            options.max_width
        ):
            yield self._table(quality, plain)
            if costs:
                yield self._table(costs, plain)
        else:
            yield wide
        yield self._below(plain)

    def _table(self, columns: list[_Column], plain: bool) -> Table:
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold")
        table.add_column("#", justify="right", no_wrap=True)
        table.add_column("architecture", overflow="fold")
        for column in columns:
            table.add_column(_said(column.heading, plain), justify="right", no_wrap=True)
        for row in self.ranking.rows:
            entry = measures_of(self.view, row.architecture)
            style = "bold" if row.architecture in self.ranking.leaders else ""
            cells = [Text(_said(column.cell(row, entry), plain)) for column in columns]
            place = f"{row.place}{'=' if row.ties_leader and len(self.ranking.leaders) > 1 else ''}"
            table.add_row(Text(place), Text(row.architecture), *cells, style=style)
        return table

    def _below(self, plain: bool) -> RenderableType:
        ranking = self.ranking
        decimals = units.metric_decimals(ranking)
        lines = [Text(_said(ranking.verdict, plain), style="bold"), Text()]
        lines += [Text(f"- {_said(reason, plain)}") for reason in ranking.recommendation]
        lines += [Text()] if ranking.recommendation else []
        notes = [f"noise floor {ranking.noise_floor:.{decimals}f} {units.words(ranking.metric)}"]
        if any(row.ties_leader for row in ranking.rows) and len(ranking.leaders) > 1:
            notes.append("= ties with the leader")
        if any(row.learning_rate_at_edge for row in ranking.rows):
            notes.append("* best rate at the edge of those tried")
        notes += [
            f"{row.architecture}: {units.plural(len(row.diverged_seeds), 'seed')} diverged, "
            "not in its mean"
            for row in ranking.rows
            if row.diverged_seeds
        ]
        lines.append(Text(_said("; ".join(notes), plain), style="dim"))
        lines += [
            Text(_said(f"not ranked: {name}: {why}", plain), style="dim")
            for name, why in ranking.excluded.items()
        ]
        return Padding(Group(*lines), (0, 0, 1, 0))


def _said(text: str, plain: bool) -> str:
    """The text, without the few signs that an ASCII terminal cannot print."""
    return text.translate(_PLAIN) if plain else text


def _two_lines(words: str) -> str:
    """A long heading broken at the space nearest to its middle."""
    spaces = [i for i, letter in enumerate(words) if letter == " "]
    if len(words) <= 10 or not spaces:
        return words
    middle = min(spaces, key=lambda i: abs(i - len(words) / 2))
    return f"{words[:middle]}\n{words[middle + 1 :]}"


def _quality_columns(view: RunView, ranking: Ranking) -> list[_Column]:
    decimals = units.metric_decimals(ranking)
    parameters = units.scale_for("count", [row.parameters for row in ranking.rows])

    def learning_rate(row: RankRow, _: Measures) -> str:
        return units.rate(row.learning_rate) + ("*" if row.learning_rate_at_edge else " ")

    def gap(row: RankRow, _: Measures) -> str:
        return "" if row.place == 1 else units.signed(row.gap_to_leader, decimals)

    return [
        _Column(_two_lines(units.words(view.metric)), lambda row, _: f"{row.mean:.{decimals}f}"),
        _Column(
            f"{units.percent(ranking.confidence)}\ninterval",
            lambda row, _: f"{row.low:.{decimals}f}–{row.high:.{decimals}f}",
        ),
        _Column("gap to\nleader", gap),
        _Column("learning\nrate", learning_rate),
        _Column(
            f"parameters\n{parameters.unit}".strip(),
            lambda row, _: units.scaled(row.parameters, parameters),
        ),
    ]


def _cost_columns(view: RunView) -> list[_Column]:
    speed = units.scale_for("count", [m.training_tokens_per_second for m in view.measures])
    latency, per = (
        ("answer_seconds_per_example", "answer\n{}/example")
        if any(m.answer_seconds_per_example is not None for m in view.measures)
        else ("decode_seconds_per_token", "decode\n{}/token")
    )
    decode = units.scale_for("seconds", [getattr(m, latency) for m in view.measures])
    memory = units.scale_for("bytes", [m.peak_training_bytes for m in view.measures])
    state = units.scale_for("bytes", [m.state_bytes for m in view.measures])
    return [
        _Column(
            f"training\n{speed.unit} tokens/s".replace("\n ", "\n"),
            lambda _, entry: units.scaled(entry.training_tokens_per_second, speed),
        ),
        _Column(
            per.format(decode.unit),
            lambda _, entry: units.scaled(getattr(entry, latency), decode),
        ),
        _Column(
            f"peak\n{memory.unit}", lambda _, entry: units.scaled(entry.peak_training_bytes, memory)
        ),
        *(
            [
                _Column(
                    f"state\n{state.unit}", lambda _, entry: units.scaled(entry.state_bytes, state)
                )
            ]
            if any(m.state_bytes is not None for m in view.measures)
            else []
        ),
    ]
