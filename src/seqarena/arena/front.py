"""The Pareto front over quality and the four measured costs.

An architecture beats another when it is no worse on any axis and better on at least one. Qualities
inside the noise floor count as equal, costs are compared as measured. Such a tie is not transitive
(in a chain of three, neighbours can be level and the ends not), so the front is the kernel of the
relation: its members do not beat each other, and each of the others is beaten by a member. Exactly
one such set exists, since the relation has no cycle: round a cycle all costs would be equal and
quality would have to improve at every step.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from seqarena.core.errors import UserError
from seqarena.core.records import Measures, RankRow


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One cost of `Measures` and how it is spoken of."""

    field: str
    larger_is_better: bool
    goal: str
    noun: str
    better: str  # with the ratio to the one compared with
    worse: str
    unit: str

    def cost(self, measures: Measures | None) -> float | None:
        """The cost, smaller is better; None where it was not measured."""
        value = self.value(measures)
        if value is None or not self.larger_is_better:
            return value
        return 1 / value if value > 0 else math.inf

    def value(self, measures: Measures | None) -> float | None:
        return None if measures is None else getattr(measures, self.field)


AXES = (
    Axis(
        field="decode_seconds_per_token",
        larger_is_better=False,
        goal="the fastest decoding",
        noun="decoding speed",
        better="decodes {} times faster",
        worse="decodes {} times slower",
        unit="s per token",
    ),
    Axis(
        field="answer_seconds_per_example",
        larger_is_better=False,
        goal="the fastest answers",
        noun="speed of answering",
        better="answers {} times faster",
        worse="answers {} times slower",
        unit="s per example",
    ),
    Axis(
        field="training_tokens_per_second",
        larger_is_better=True,
        goal="the fastest training",
        noun="training speed",
        better="trains {} times faster",
        worse="trains {} times slower",
        unit="tokens/s",
    ),
    Axis(
        field="peak_training_bytes",
        larger_is_better=False,
        goal="the least memory while training",
        noun="training memory",
        better="trains in {} times less memory",
        worse="trains in {} times more memory",
        unit="B",
    ),
    Axis(
        field="state_bytes",
        larger_is_better=False,
        goal="the smallest state",
        noun="state size",
        better="keeps a state {} times smaller",
        worse="keeps a state {} times larger",
        unit="B",
    ),
)


def pareto_front(
    rows: Sequence[RankRow], measures: Sequence[Measures], noise_floor: float
) -> tuple[str, ...]:
    """The architectures that no member of the front beats, best quality first.

    A cost that only one of two architectures has leaves them incomparable: what was not measured
    neither wins nor loses. Raises UserError when an architecture is measured twice.
    """
    costs = by_architecture(measures)
    known: dict[str, bool] = {}

    def on_front(row: RankRow) -> bool:
        if row.architecture not in known:
            known[row.architecture] = not any(
                on_front(other) for other in rows if beats(other, row, costs, noise_floor)
            )
        return known[row.architecture]

    return tuple(row.architecture for row in rows if on_front(row))


def beats(one: RankRow, other: RankRow, costs: Mapping[str, Measures], noise_floor: float) -> bool:
    """Whether `one` is no worse than `other` on any axis and better on at least one."""
    behind = one.gap_to_leader - other.gap_to_leader
    if one is other or behind > noise_floor:
        return False
    better = -behind > noise_floor
    for axis in AXES:
        mine = axis.cost(costs.get(one.architecture))
        theirs = axis.cost(costs.get(other.architecture))
        if (mine is None) != (theirs is None):
            return False
        if mine is not None and theirs is not None:
            if mine > theirs:
                return False
            better = better or mine < theirs
    return better


def by_architecture(measures: Sequence[Measures]) -> dict[str, Measures]:
    """The measures under their architectures' names. Raises UserError for one that comes twice."""
    table: dict[str, Measures] = {}
    for one in measures:
        if one.architecture in table:
            raise UserError(f"{one.architecture} is measured twice: pass one Measures for each")
        table[one.architecture] = one
    return table


def measured_axes(rows: Iterable[RankRow], costs: Mapping[str, Measures]) -> list[Axis]:
    """The axes on which at least one of the rows was measured."""
    known = [costs[row.architecture] for row in rows if row.architecture in costs]
    return [axis for axis in AXES if any(axis.cost(one) is not None for one in known)]


def best_on(axis: Axis, rows: Sequence[RankRow], costs: Mapping[str, Measures]) -> RankRow:
    """The cheapest row on an axis; of equal ones the best in quality, so not an unmeasured one."""

    def cost(row: RankRow) -> float:
        value = axis.cost(costs.get(row.architecture))
        return math.inf if value is None else value

    return min(rows, key=lambda row: (cost(row), row.place))


def cost_ratio(axis: Axis, dear: Measures | None, cheap: Measures | None) -> float | None:
    """How many times more the first costs; None where that is unknown or without bound."""
    high, low = axis.cost(dear), axis.cost(cheap)
    if high is None or low is None:
        return None
    if high == low:
        return 1.0
    return high / low if low > 0 and math.isfinite(high) else None
