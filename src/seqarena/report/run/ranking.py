"""The ranking: a chart of means and intervals, then every number in a table that sorts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from seqarena.core import words
from seqarena.core.results.baselines import BaselineRow
from seqarena.core.results.quantities import CostTable, Quantity
from seqarena.core.results.records import WINDOW_LOSS, Ranking, RankRow, RunView
from seqarena.report.figures import near_leader, ranking_figure
from seqarena.report.page.parts import (
    Cell,
    Family,
    Figure,
    Fold,
    Heading,
    Prose,
    Section,
    Table,
    headings,
    number_cell,
)
from seqarena.report.run.labels import ARCHITECTURE, architecture_cell, family_legend, prose
from seqarena.report.run.reading import title


@dataclass(frozen=True, kw_only=True)
class RankingSection(Section):
    """`zooms`: a button shows the better half only. `notes`: sentences about lost seeds."""

    template = "run/ranking.html"
    families: Sequence[Family]
    figure: Figure
    zooms: bool
    table: Table
    notes: Sequence[Prose]
    entry: Fold


def ranking_section(view: RunView) -> RankingSection | None:
    """The ranking. None where nothing is ranked."""
    ranking = view.ranking
    if ranking is None or not ranking.rows:
        return None
    figure = _figure(view, ranking)
    return RankingSection(
        name="ranking",
        link="Ranking",
        heading="Ranking",
        figures=(figure,),
        families=family_legend(view, [row.architecture for row in ranking.rows]),
        figure=figure,
        zooms=near_leader(ranking) is not None,
        table=_table(view, ranking),
        notes=[prose(view, f"{note}.") for row in ranking.rows for note in words.seed_notes(row)],
        entry=Fold("What an entry is", words.AN_ENTRY.replace("`", "")),
    )


def _figure(view: RunView, ranking: Ranking) -> Figure:
    label = (
        f"Means and intervals of {words.of_name(view.metric)} for {len(ranking.rows)} "
        f"architectures; best is {ranking.rows[0].architecture}. "
        "The table below holds the same numbers."
    )
    caption = (
        "Large dot: mean on the test data. Line: its "
        f"{words.percent(ranking.confidence)} interval. Small dots: single seeds. Grey band: the "
        "noise floor from the leader on. An entry whose mean is inside it may differ from the "
        "leader by chance alone."
    )
    return Figure("ranking", ranking_figure(view), label, caption, "Ranking")


def _table(view: RunView, ranking: Ranking) -> Table:
    interval = f"{words.percent(ranking.confidence)} interval"
    size = words.scale_for("count", [row.parameters for row in ranking.rows])
    measured = CostTable(view.costs)
    costs = [_cost_column(measured, ranking, cost) for cost in measured.measured()]
    heads = headings(
        ARCHITECTURE,
        "place",
        Heading(words.of_name(view.metric), interval),
        Heading("gap to leader", interval),
        "p",
        Heading("parameters", size.unit),
        *(heading for heading, _ in costs),
        Heading("learning rate", f"and those within {words.percent(WINDOW_LOSS)}"),
    )
    rows = []
    for row in ranking.rows:
        rows.append(
            [
                _name_cell(view, row.architecture, ranking),
                *_quality_cells(row, ranking),
                number_cell(words.scaled(row.parameters, size), row.parameters),
                *(cell_of(row.architecture) for _, cell_of in costs),
                number_cell(_rate(row), row.learning_rate, under=words.window(row)),
            ]
        )
    rows += [_baseline_cells(one, ranking, len(heads)) for one in ranking.baselines]
    tied = (i for i, row in enumerate(ranking.rows) if row.architecture in ranking.leaders)
    return Table(
        _caption(ranking),
        heads,
        rows,
        sortable=True,
        shaded=frozenset(tied),
        name="ranking",
        export=_export(view, ranking, measured),
    )


def _export(view: RunView, ranking: Ranking, costs: CostTable) -> list[list[Any]]:
    """Every number in full, in the units of the records; the seeds' values behind."""
    measured = costs.measured()
    most = max(len(row.seed_values) for row in ranking.rows)
    heads = ["architecture", "name", "place", "ties_with_leader", ranking.metric, "low", "high"]
    heads += ["gap_to_leader", "gap_low", "gap_high", "p", "parameters", "learning_rate"]
    heads += [cost.key for cost in measured] + [f"seed_value_{i + 1}" for i in range(most)]
    rows: list[list[Any]] = [heads]
    for row in ranking.rows:
        own = [row.architecture, title(view, row.architecture), row.place, row.ties_leader]
        own += [row.mean, row.low, row.high, row.gap_to_leader, row.gap_low, row.gap_high]
        own += [row.p_value, row.parameters, row.learning_rate]
        own += [costs.value(row.architecture, cost) for cost in measured]
        rows.append([*own, *row.seed_values, *[None] * (most - len(row.seed_values))])
    for one in ranking.baselines:
        own = [one.title, f"{one.name} baseline", None, None, one.value, None, None]
        own += [one.lead, one.lead_low, one.lead_high, one.p_value]
        rows.append(own + [None] * (len(heads) - len(own)))
    return rows


def _name_cell(view: RunView, architecture: str, ranking: Ranking) -> Cell:
    cell = architecture_cell(view, architecture, sortable=True)
    return cell._replace(text=f"{cell.text} †") if architecture in ranking.below_baseline else cell


def _baseline_cells(one: BaselineRow, ranking: Ranking, columns: int) -> list[Cell]:
    """A baseline set apart: its value and its gap, and neither place nor costs."""
    decimals = words.metric_decimals(ranking)
    ends = f"{words.signed(one.lead_low, decimals)} to {words.signed(one.lead_high, decimals)}"
    cells = [
        Cell(f"{one.name} baseline", f"{one.name} baseline", under=one.detail),
        number_cell(words.ABSENT, None),
        number_cell(f"{one.value:.{decimals}f}", one.value),
        number_cell(words.signed(one.lead, decimals), one.lead, under=ends),
        number_cell(_probability(one.p_value), one.p_value),
    ]
    return cells + [number_cell("", None)] * (columns - len(cells))


def _caption(ranking: Ranking) -> str:
    caption = (
        "All numbers. Shaded: leaders that tie. Bold: best of the column, and what the repeats do "
        "not tell from it. A heading sorts."
    )
    if any(row.learning_rate_at_edge for row in ranking.rows):
        caption += " *: the best learning rate is at the edge of those tried."
    if ranking.baselines:
        caption += " Baselines have no place: they are computed and not trained."
    if ranking.below_baseline:
        caption += f" †: does not beat the {ranking.baselines[0].name} baseline."
    return caption


def _rate(row: RankRow) -> str:
    return words.rate(row.learning_rate) + ("*" if row.learning_rate_at_edge else "")


def _quality_cells(row: RankRow, ranking: Ranking) -> list[Cell]:
    """Place, mean, gap to the leader and p; the leader has neither gap nor p."""
    decimals, leads = words.metric_decimals(ranking), row is ranking.rows[0]
    ends = f"{row.low:.{decimals}f} to {row.high:.{decimals}f}"
    cells = [
        number_cell(str(row.place), row.place),
        number_cell(f"{row.mean:.{decimals}f}", row.mean, best=leads, under=ends),
    ]
    if leads:
        return [*cells, number_cell(words.ABSENT, 0), number_cell(words.ABSENT, None)]
    ends = f"{words.signed(row.gap_low, decimals)} to {words.signed(row.gap_high, decimals)}"
    return [
        *cells,
        number_cell(words.signed(row.gap_to_leader, decimals), row.gap_to_leader, under=ends),
        number_cell(_probability(row.p_value), row.p_value),
    ]


def _probability(value: float | None) -> str:
    if value is None:
        return words.ABSENT
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _cost_column(
    costs: CostTable, ranking: Ranking, cost: Quantity
) -> tuple[Heading, Callable[[str], Cell]]:
    """A heading with the unit, and a function that makes a cell; the best value is bold."""
    values = [costs.value(row.architecture, cost) for row in ranking.rows]
    present = [value for value in values if value is not None]
    scale = cost.scale(present)
    best = costs.best([row.architecture for row in ranking.rows], cost)

    def cell_of(architecture: str) -> Cell:
        value = costs.value(architecture, cost)
        return number_cell(words.scaled(value, scale), value, best=architecture in best)

    return Heading(cost.heading, cost.unit_words(scale)), cell_of
