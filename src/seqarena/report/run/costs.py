"""Quality against each measured cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from seqarena.core import words
from seqarena.core.results.quantities import CostTable, cost_quantities
from seqarena.core.results.records import RunView
from seqarena.report.figures import cost_figure
from seqarena.report.page.parts import Family, Figure, Section
from seqarena.report.run.labels import family_legend


@dataclass(frozen=True, kw_only=True)
class CostsSection(Section):
    """One figure a cost, under a legend of the families. `doubts`: why costs decide nothing."""

    template = "run/costs.html"
    families: Sequence[Family]
    doubts: Sequence[str]


def costs_section(view: RunView) -> CostsSection | None:
    """The figures of the costs that were measured. None where there are none."""
    if view.ranking is None or not view.ranking.rows:
        return None
    vertical = "lower" if view.lower_is_better else "upper"
    figures = []
    for cost in cost_quantities():
        drawn = cost_figure(view, cost)
        if drawn is None:
            continue
        label = f"{words.of_name(view.metric)} against {cost.name}, one point each."
        horizontal = "left" if cost.lower_is_better else "right"
        caption = f"{cost.meaning} Better is to the {vertical} {horizontal}.".strip()
        figures.append(Figure(cost.key, drawn, label, caption, cost.title))
    if not figures:
        return None
    return CostsSection(
        name="costs",
        link="Costs",
        heading="What quality costs",
        figures=tuple(figures),
        families=family_legend(view, [row.architecture for row in view.ranking.rows]),
        doubts=CostTable(view.costs).doubts(),
    )
