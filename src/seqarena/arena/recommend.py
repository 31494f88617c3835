"""The verdict and the recommendation: which architecture to use and why, in words with figures."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from seqarena.arena.front import (
    AXES,
    Axis,
    beats,
    best_on,
    by_architecture,
    cost_ratio,
    measured_axes,
)
from seqarena.core.records import Measures, Ranking, RankRow

MARGIN = 1.05  # cost ratios below this are within what timing on a busy machine repeats
_LISTED = 3  # names written out before "and n more"


def recommend(ranking: Ranking, measures: Sequence[Measures]) -> tuple[str, ...]:
    """At most six sentences: best quality, then each cost with a best of its own, then the beaten.

    An architecture with several goals gets one sentence for all of them.
    """
    costs = by_architecture(measures)
    front = [row for row in ranking.rows if row.on_front]
    choice = _quality_choice(ranking, front, costs)
    goals: dict[str, list[Axis]] = {}
    for axis in measured_axes(front, costs):
        best = best_on(axis, front, costs)
        ratio = cost_ratio(axis, costs.get(choice.architecture), costs.get(best.architecture))
        keeps = ratio is not None and ratio < MARGIN
        goals.setdefault((choice if keeps else best).architecture, []).append(axis)
    sentences = [_quality_sentence(ranking, choice, goals.get(choice.architecture, []), costs)]
    by_name = {row.architecture: row for row in front}
    for name, axes in goals.items():
        if name != choice.architecture:
            sentences.append(_cost_sentence(ranking, by_name[name], choice, axes, costs))
    beaten = _beaten_sentence(ranking, costs)
    return (*sentences, beaten) if beaten else tuple(sentences)


def verdict(
    ranking: Ranking, measures: Sequence[Measures], *, seeds_measured: bool, unfinished: int
) -> str:
    """One sentence with figures: who won, by how much, against what noise; or why nobody did."""
    leader, unit = ranking.rows[0], _words(ranking.metric)
    if len(ranking.rows) == 1:
        text = (
            f"Nothing to compare: {leader.architecture} ({figure(ranking, leader.mean)} {unit}) "
            "is the only architecture with a result"
        )
    elif len(ranking.leaders) > 1:
        text = _tie(ranking, by_architecture(measures))
    else:
        text = _lead(ranking, seeds_measured)
    if not seeds_measured:
        text += "; seed noise is not measured (one seed each): run at least three seeds"
    if leader.diverged_seeds:
        lost, ran = len(leader.diverged_seeds), len(leader.diverged_seeds) + len(leader.seeds)
        text += f"; {lost} of {ran} seeds of {leader.architecture} diverged and are not in its mean"
    if unfinished:
        text = (
            f"So far ({unfinished} trial{_s(unfinished)} unfinished): {text[0].lower()}{text[1:]}"
        )
    return text + "."


def amount(value: float) -> str:
    """Two significant digits, never in powers of ten.

    >>> amount(0.0312), amount(1234.0)
    ('0.031', '1234')
    """
    digits = max(2, math.floor(math.log10(abs(value))) + 1) if value else 2
    return np.format_float_positional(value, precision=digits, fractional=False, trim="-")


def figure(ranking: Ranking, value: float) -> str:
    """A value of the metric, with the decimals that show the noise floor or, without one, the
    smallest gap to the leader: two significant digits of it."""
    gaps = [row.gap_to_leader for row in ranking.rows[1:] if row.gap_to_leader > 0]
    scale = ranking.noise_floor or min(gaps, default=0.0) or 0.01 * abs(value) or 1.0
    decimals = min(6, max(0, 1 - math.floor(math.log10(scale))))
    return f"{value:.{decimals}f}"


def _tie(ranking: Ranking, costs: Mapping[str, Measures]) -> str:
    tied = [row for row in ranking.rows if row.ties_leader]
    unit, floor = _words(ranking.metric), amount(ranking.noise_floor)
    gap = max(row.gap_to_leader for row in tied)
    first = f"{tied[0].architecture} ({figure(ranking, tied[0].mean)} {unit})"
    names = _listed(
        [first, *(f"{row.architecture} ({figure(ranking, row.mean)})" for row in tied[1:])]
    )
    if gap == 0:
        text = f"No winner: {names} do not differ"
    elif gap <= ranking.noise_floor:
        most = "" if len(tied) == 2 else "at most "
        text = (
            f"No winner: {names} differ by {most}{amount(gap)}, inside the noise floor of {floor}"
        )
    elif len(tied) == 2:
        low, high = amount(tied[1].gap_low), amount(tied[1].gap_high)
        text = (
            f"No winner: {names} differ by {amount(gap)}, but the "
            f"{100 * ranking.confidence:g} % interval of that gap, {low} to {high}, contains zero"
        )
    else:
        text = (
            f"No winner: {names} differ by at most {amount(gap)}, each inside the noise floor of "
            f"{floor} or with a {100 * ranking.confidence:g} % interval of its gap that contains "
            "zero"
        )
    cheaper = _cheaper(tied, costs)
    return f"{text}; {cheaper}" if cheaper else text


def _lead(ranking: Ranking, seeds_measured: bool) -> str:
    leader, second = ranking.rows[:2]
    unit, interval = _words(ranking.metric), f"{100 * ranking.confidence:g} % interval"
    head = "Winner" if seeds_measured else "No winner yet, though ahead"
    return (
        f"{head}: {leader.architecture}, {figure(ranking, leader.mean)} {unit} "
        f"({interval} {figure(ranking, leader.low)} to {figure(ranking, leader.high)}), "
        f"{amount(second.gap_to_leader)} ahead of {second.architecture} "
        f"({amount(second.gap_low)} to {amount(second.gap_high)}"
        + (f"; noise floor {amount(ranking.noise_floor)})" if seeds_measured else ")")
    )


def _cheaper(tied: Sequence[RankRow], costs: Mapping[str, Measures]) -> str:
    """On the first axis that tells them apart: the cheapest of the tied against the leader, or
    against the dearest where the leader is the cheapest."""
    for axis in measured_axes(tied, costs):
        known = [row for row in tied if axis.cost(costs.get(row.architecture)) is not None]
        best = best_on(axis, known, costs)
        dearest = max(known, key=lambda row: axis.cost(costs[row.architecture]) or 0.0)
        worst = dearest if best is tied[0] or tied[0] not in known else tied[0]
        ratio = cost_ratio(axis, costs[worst.architecture], costs[best.architecture])
        if ratio is not None and ratio >= MARGIN:
            gain = axis.better.format(_times(ratio))
            return f"{best.architecture} {gain} than {worst.architecture}"
    return ""


def _quality_choice(
    ranking: Ranking, front: Sequence[RankRow], costs: Mapping[str, Measures]
) -> RankRow:
    """Of the front's members level with the leader inside the noise floor, the one that is best on
    most costs. One that ties by a wide interval alone is too uncertain to be sent to."""
    tied = [row for row in front if row.gap_to_leader <= ranking.noise_floor]
    axes = measured_axes(tied, costs)
    wins = [best_on(axis, tied, costs).architecture for axis in axes]
    return max(tied, key=lambda row: (wins.count(row.architecture), -row.place))


def _quality_sentence(
    ranking: Ranking, choice: RankRow, kept: Sequence[Axis], costs: Mapping[str, Measures]
) -> str:
    figures = f"{figure(ranking, choice.mean)} {_words(ranking.metric)}"
    text = f"For the best quality: {choice.architecture}, {figures}"
    others = [row.architecture for row in ranking.rows if row.ties_leader and row is not choice]
    if others:
        text += f", tied with {_listed(others)}"
    if kept:
        margin = f"{100 * (MARGIN - 1):.0f} %"
        nouns = _listed([axis.noun for axis in kept], shown=len(AXES), last=" or ")
        text += f"; none on the front is {margin} better in {nouns}"
    return text + "."


def _cost_sentence(
    ranking: Ranking,
    row: RankRow,
    choice: RankRow,
    axes: Sequence[Axis],
    costs: Mapping[str, Measures],
) -> str:
    goals = _listed([axis.goal for axis in axes], shown=len(AXES))
    own, other = costs.get(row.architecture), costs.get(choice.architecture)
    bare, compared = [], []  # without a ratio (one side unmeasured or zero), and with one
    for axis in axes:
        ratio, absolute = cost_ratio(axis, other, own), _absolute(axis, own)
        if ratio is None:
            bare.append(f"has a {axis.noun} of {absolute}")
        else:
            compared.append(f"{axis.better.format(_times(ratio))} ({absolute})")
    than = f" than {choice.architecture}" if compared else ""
    said = _listed([*bare, *compared], shown=len(AXES)) + than
    return f"For {goals}: {row.architecture} {said}, {_price(ranking, row, choice)}."


def _beaten_sentence(ranking: Ranking, costs: Mapping[str, Measures]) -> str:
    front = [row for row in ranking.rows if row.on_front]
    parts = []
    for row in ranking.rows:
        beaters = [one for one in front if beats(one, row, costs, ranking.noise_floor)]
        axes = measured_axes([row], costs)
        if row.on_front or not beaters or not axes:
            continue
        beater = beaters[0]
        ratios = [
            (ratio, axis)
            for axis in axes
            if (ratio := cost_ratio(axis, costs[row.architecture], costs[beater.architecture]))
        ]
        ratio, axis = max(ratios, key=lambda pair: pair[0], default=(1.0, axes[0]))
        worse = axis.worse.format(_times(ratio)) + ", " if ratio >= MARGIN else ""
        parts.append(
            f"{row.architecture}, which {beater.architecture} beats or equals on every axis "
            f"({worse}{_price(ranking, row, beater)})"
        )
    if not parts:
        return ""
    return f"Never: {_listed(parts, separator='; ', last='; and ')}."


def _price(ranking: Ranking, row: RankRow, against: RankRow) -> str:
    """What the quality of `row` costs or brings against another row."""
    unit = _words(ranking.metric)
    difference = row.gap_to_leader - against.gap_to_leader
    if abs(difference) <= ranking.noise_floor:
        return f"level in {unit}"
    more = (difference > 0) == ranking.lower_is_better
    return f"for {amount(abs(difference))} {'more' if more else 'less'} {unit}"


def _absolute(axis: Axis, measures: Measures | None) -> str:
    value = axis.value(measures)
    assert value is not None
    if axis.unit.startswith("s per "):
        return f"{1e3 * value:.3g} ms{axis.unit[1:]}"
    if axis.unit == "tokens/s":
        return f"{float(f'{value:.3g}'):,.0f} tokens/s"
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f} B"


def _times(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 10 else f"{ratio:.0f}"


def _listed(
    parts: Sequence[str], *, shown: int = _LISTED, separator: str = ", ", last: str = " and "
) -> str:
    if len(parts) > shown:
        return f"{separator.join(parts[:shown])}{last}{len(parts) - shown} more"
    if len(parts) < 2:
        return "".join(parts)
    return f"{separator.join(parts[:-1])}{last}{parts[-1]}"


def _words(metric: str) -> str:
    return metric.replace("_", " ")


def _s(count: int) -> str:
    return "" if count == 1 else "s"
