"""The Pareto front over quality and the measured costs (core/results/quantities.py).

An architecture beats another when it is no worse on any axis and better on at least one. Qualities
inside the noise floor count as equal. A cost is no worse as it was measured, and it is better where
the repeats of the two do not overlap. Such a tie is not transitive (in a chain of three, neighbours
can be level and the ends not), so the front is the kernel of the relation: its members do not beat
each other, and each of the others is beaten by a member. Exactly one such set exists, since the
relation has no cycle: round a cycle all costs would be equal as measured, and quality would have to
improve at every step.
"""

import math
from collections.abc import Iterable, Sequence

from seqarena.core.results.quantities import CostTable, Quantity, cost_quantities
from seqarena.core.results.records import RankRow


def pareto_front(rows: Sequence[RankRow], costs: CostTable, noise_floor: float) -> tuple[str, ...]:
    """The architectures that no member of the front beats, best quality first.

    A cost that only one of two architectures has leaves them incomparable: what was not measured
    neither wins nor loses.
    """
    known: dict[str, bool] = {}

    def on_front(row: RankRow) -> bool:
        if row.architecture not in known:
            known[row.architecture] = not any(
                on_front(other) for other in rows if beats(other, row, costs, noise_floor)
            )
        return known[row.architecture]

    return tuple(row.architecture for row in rows if on_front(row))


def beats(one: RankRow, other: RankRow, costs: CostTable, noise_floor: float) -> bool:
    """Whether `one` is no worse than `other` on any axis and better on at least one."""
    behind = one.gap_to_leader - other.gap_to_leader
    if one is other or behind > noise_floor:
        return False
    better = -behind > noise_floor
    for cost in cost_quantities():
        mine = costs.burden(one.architecture, cost)
        theirs = costs.burden(other.architecture, cost)
        if (mine is None) != (theirs is None):
            return False
        if mine is not None and theirs is not None:
            if mine > theirs:
                return False
            better = better or not costs.level(one.architecture, other.architecture, cost)
    return better


def measured_costs(rows: Iterable[RankRow], costs: CostTable) -> list[Quantity]:
    """The costs that were measured of at least one of the rows."""
    return costs.measured([row.architecture for row in rows])


def best_on(cost: Quantity, rows: Sequence[RankRow], costs: CostTable) -> RankRow:
    """Of the rows that are level with the cheapest on an axis, the best in quality; where none was
    measured, the best in quality of all."""
    best = costs.best([row.architecture for row in rows], cost)
    return min((row for row in rows if row.architecture in best or not best), key=_place)


def _place(row: RankRow) -> int:
    return row.place


def cost_ratio(cost: Quantity, costs: CostTable, dear: str, cheap: str) -> float | None:
    """How many times more the architecture `dear` costs than `cheap`: 1 where their repeats do not
    tell them apart, None where that is unknown or without bound."""
    high, low = costs.burden(dear, cost), costs.burden(cheap, cost)
    if high is None or low is None:
        return None
    if costs.level(dear, cheap, cost):
        return 1.0
    return high / low if low > 0 and math.isfinite(high) else None
