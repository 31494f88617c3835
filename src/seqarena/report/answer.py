"""The first half of the page: the answer with its doubt, the ranking, the costs."""

from collections.abc import Callable

from seqarena.core.quantities import CostTable, Quantity, cost_quantities
from seqarena.core.records import Ranking, RankRow, RunView
from seqarena.report import units
from seqarena.report.figures import cost_figure, near_leader, ranking_figure
from seqarena.report.markup import Cell, Markup, element, join, table
from seqarena.report.reading import architectures, chosen_trials
from seqarena.report.sections import (
    Figure,
    Section,
    family_key,
    figure_html,
    lead,
    named,
    section_html,
    stacked,
)

_LONG_CARD = 200  # characters from which a card takes the whole width
_LONGEST_HEADLINE = 60  # characters before a colon that still read as a headline


def answer_section(view: RunView) -> Section:
    """Name, verdict in large words, its doubt, and the recommendation as cards."""
    name = join([element("h1", view.name), element("p", _facts(view), class_="facts")])
    if view.ranking is None:
        return Section("answer", "Answer", _landmark(name, *_not_yet(view)))
    ranking = view.ranking
    cards = [
        element("li", *_card(sentence), class_="long" if len(sentence) > _LONG_CARD else None)
        for sentence in ranking.recommendation
    ]
    return Section(
        "answer",
        "Answer",
        _landmark(
            name,
            _headline(ranking),
            element("p", _doubt(ranking), class_="doubt"),
            element("ul", *cards, class_="cards", aria_label="Recommendation") if cards else None,
        ),
    )


def _landmark(*parts: Markup | None) -> Markup:
    return element("section", *parts, id="answer", aria_label="The answer")


def _facts(view: RunView) -> str:
    """The run in one line: what was asked of how many, how large, for how long, on what."""
    names = architectures(view)
    trials = [trial for name in names for trial in chosen_trials(view, name)]
    facts = [units.words(view.task), str(view.data.get("name", ""))]
    facts.append(units.plural(len(names), "architecture"))
    if trials:
        sizes, tokens = [t.parameters for t in trials], [t.tokens for t in trials]
        facts.append(f"{_span(sizes)} parameters")
        facts.append(f"{_span(tokens)} training tokens each")
    if view.provenance:
        facts += [view.provenance.device, view.provenance.dtype]
    return " · ".join(fact for fact in facts if fact)


def _span(values: list[int]) -> str:
    low, high = (units.with_unit(value, "count") for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def _headline(ranking: Ranking) -> Markup:
    """The verdict, its first words large: up to a colon, and the leader's name where it follows."""
    verdict = ranking.verdict
    colon = verdict.rfind(": ", 0, _LONGEST_HEADLINE)
    if colon < 0:
        large = len(verdict) <= _LONGEST_HEADLINE
        return element("p", element("b" if large else "span", verdict), class_="verdict")
    head, rest = verdict[:colon], verdict[colon + 2 :]
    leader = f"{ranking.rows[0].architecture}, " if ranking.rows else ""
    if leader and rest.startswith(leader):
        head, rest = f"{head}: {leader[:-2]}", rest.removeprefix(leader)
    return element("p", element("b", head), " ", element("span", rest), class_="verdict")


def _card(sentence: str) -> tuple[str, ...]:
    head, colon, rest = sentence.partition(": ")
    if not colon or len(head) > _LONGEST_HEADLINE:
        return (sentence,)
    return (element("b", head), " ", rest)


def _doubt(ranking: Ranking) -> str:
    metric, decimals = units.words(ranking.metric), units.metric_decimals(ranking)
    counts = {len(row.seed_values) for row in ranking.rows}
    said = []
    if counts:
        low, high = min(counts), max(counts)
        seeds = units.plural(high, "seed") if low == high else f"{low} to {high} seeds"
        said.append(
            f"Each mean is over {seeds}, with its {units.percent(ranking.confidence)} interval."
        )
    if ranking.noise_floor > 0:
        said.append(f"A gap below {ranking.noise_floor:.{decimals}f} {metric} is noise.")
    if ranking.repeat_difference is not None:
        same = ranking.repeat_difference == 0
        by = "exactly" if same else f"to within {units.significant(ranking.repeat_difference)}"
        said.append(f"The same trial run twice agreed {by}.")
    return " ".join(said)


def _not_yet(view: RunView) -> list[Markup]:
    done = sum(trial.status == "finished" for trial in view.trials)
    trials = units.plural(len(view.trials), "trial")
    states = ("finished", "running", "planned", "diverged")
    rows = []
    for name in architectures(view):
        own = [trial for trial in view.trials if trial.architecture == name]
        values = [t.validation_value for t in own if t.validation_value is not None]
        best = (min if view.lower_is_better else max)(values) if values else None
        counts = [sum(trial.status == state for trial in own) for state in states]
        rows.append(
            [
                named(view, name),
                *(Cell(str(count), count) for count in counts),
                Cell(units.ABSENT if best is None else f"{best:.4g}", best),
            ]
        )
    return [
        element("p", element("b", "Nothing is ranked yet"), class_="verdict"),
        element("p", f"{done} of {trials} have finished. What there is follows.", class_="doubt"),
        table(
            "Trials by state",
            ["architecture", *states, f"best validation {units.words(view.metric)}"],
            rows,
        ),
    ]


def ranking_section(view: RunView) -> Section | None:
    """The dots and intervals, then every number in a sortable table."""
    ranking = view.ranking
    if ranking is None or not ranking.rows:
        return None
    figure = Figure("ranking", ranking_figure(view))
    leader, metric = ranking.rows[0], units.words(view.metric)
    label = (
        f"Means and intervals of {metric} for {len(ranking.rows)} architectures; best is "
        f"{leader.architecture}. The table below holds the same numbers."
    )
    caption = (
        "Large dot: mean on the test split. Line: its "
        f"{units.percent(ranking.confidence)} interval. Small dots: single seeds. Grey band: the "
        "noise floor, counted from the leader; an entry inside it cannot be told from the leader."
    )
    return Section(
        "ranking",
        "Ranking",
        section_html(
            "ranking",
            "Ranking",
            family_key(view, [row.architecture for row in ranking.rows]),
            element(
                "button",
                "Better half only",
                type="button",
                class_="plot-range",
                aria_pressed="false",
                data_figure="figure-ranking",
            )
            if near_leader(ranking)
            else None,
            figure_html(figure, label, caption),
            _ranking_table(view, ranking),
            *_diverged_notes(ranking),
        ),
        (figure,),
    )


def _ranking_table(view: RunView, ranking: Ranking) -> Markup:
    decimals = units.metric_decimals(ranking)
    size = units.scale_for("count", [row.parameters for row in ranking.rows])
    table_of = CostTable(view.costs)
    costs = [_cost_column(table_of, ranking, cost) for cost in table_of.measured()]
    headings: list[str | Markup] = [
        "architecture",
        "place",
        _heading(units.words(view.metric), f"{units.percent(ranking.confidence)} interval"),
        _heading("gap to leader", f"{units.percent(ranking.confidence)} interval"),
        "p",
        _heading("parameters", size.unit),
        *(heading for heading, _ in costs),
        "learning rate",
    ]
    rows = []
    for row in ranking.rows:
        rows.append(
            [
                Cell(named(view, row.architecture), row.architecture),
                Cell(str(row.place), row.place),
                Cell(
                    stacked(
                        f"{row.mean:.{decimals}f}",
                        f"{row.low:.{decimals}f} to {row.high:.{decimals}f}",
                    ),
                    row.mean,
                    best=row is ranking.rows[0],
                ),
                *_gap_cells(row, row is ranking.rows[0], decimals),
                Cell(units.scaled(row.parameters, size), row.parameters),
                *(cell(row.architecture) for _, cell in costs),
                Cell(
                    units.rate(row.learning_rate) + ("*" if row.learning_rate_at_edge else ""),
                    row.learning_rate,
                ),
            ]
        )
    tied = ["tied" if row.architecture in ranking.leaders else "" for row in ranking.rows]
    caption = "All numbers. Shaded: leaders that tie. Bold: best of the column. A heading sorts."
    if any(row.learning_rate_at_edge for row in ranking.rows):
        caption += " *: the best learning rate is at the edge of those tried."
    return table(caption, headings, rows, sortable=True, row_classes=tied)


def _gap_cells(row: RankRow, leads: bool, decimals: int) -> list[Cell]:
    if leads:
        return [Cell(units.ABSENT, 0), Cell(units.ABSENT)]
    p_value = units.ABSENT if row.p_value is None else _probability(row.p_value)
    return [
        Cell(
            stacked(
                units.signed(row.gap_to_leader, decimals),
                f"{units.signed(row.gap_low, decimals)} to {units.signed(row.gap_high, decimals)}",
            ),
            row.gap_to_leader,
        ),
        Cell(p_value, row.p_value),
    ]


def _heading(title: str, unit: str) -> Markup:
    return stacked(title, unit) if unit else element("span", title)


def _diverged_notes(ranking: Ranking) -> list[Markup]:
    return [
        element(
            "p",
            f"{row.architecture}: {units.plural(len(row.diverged_seeds), 'seed')} diverged at the "
            "chosen rate and not in its mean.",
            class_="lead",
        )
        for row in ranking.rows
        if row.diverged_seeds
    ]


def _probability(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _cost_column(
    costs: CostTable, ranking: Ranking, cost: Quantity
) -> tuple[Markup, Callable[[str], Cell]]:
    """A heading with the unit, and what makes a cell of it; the best value is set in bold."""
    values = [costs.value(row.architecture, cost) for row in ranking.rows]
    present = [value for value in values if value is not None]
    scale = cost.scale(present)
    best = (min if cost.lower_is_better else max)(present, default=None)

    def cell(architecture: str) -> Cell:
        value = costs.value(architecture, cost)
        return Cell(units.scaled(value, scale), value, best=value is not None and value == best)

    return _heading(cost.heading, cost.unit_words(scale)), cell


def costs_section(view: RunView) -> Section | None:
    """Quality against each measured cost."""
    if view.ranking is None or not view.ranking.rows:
        return None
    drawn = [
        (cost, figure)
        for cost in cost_quantities()
        if (figure := cost_figure(view, cost)) is not None
    ]
    if not drawn:
        return None
    blocks, figures = [], []
    for cost, plot in drawn:
        figure = Figure(cost.key, plot)
        direction = "left" if cost.lower_is_better else "right"
        vertical = "lower" if view.lower_is_better else "upper"
        label = f"{units.words(view.metric)} against {cost.title.lower()}, one point each."
        block = figure_html(figure, label, f"Better is to the {vertical} {direction}.")
        blocks.append(element("div", element("h3", cost.title), block))
        figures.append(figure)
    return Section(
        "costs",
        "Costs",
        section_html(
            "costs",
            "What quality costs",
            lead(
                "The dotted line is the front of the two axes: nothing lies beyond it. A filled "
                "point is on the front of all costs together; a hollow one is matched or beaten "
                "on every axis by another. Thin bars: interval of the mean, and spread of the "
                "repeated measurements."
            ),
            family_key(view, [row.architecture for row in view.ranking.rows]),
            element("div", *blocks, class_="pair"),
        ),
        tuple(figures),
    )
