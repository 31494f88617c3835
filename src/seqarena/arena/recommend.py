"""The verdict and the recommendation: which architecture to use and why, in words with figures."""

from collections.abc import Sequence

from seqarena.arena.doubt.sentences import training_doubt
from seqarena.arena.front import beats, best_on, cost_ratio, measured_costs
from seqarena.core import words
from seqarena.core.results.quantities import CostTable, Quantity
from seqarena.core.results.records import Ranking, RankRow

MARGIN = 1.05  # cost ratios below this are too small to speak of, even where repeats show them
MOST_LOST = 0.05  # of the leader's score: a cheaper architecture that loses more is not proposed
_MOST = 3  # names written out before "and n more"


def recommend(ranking: Ranking, costs: CostTable) -> tuple[str, ...]:
    """At most seven sentences: best quality, each cost with a best of its own, what is cheapest and
    too far behind, and the beaten.

    The best quality is the leader's. An architecture with several goals gets one sentence for all
    of them; one that loses more than `most_lost` is not proposed for any.
    """
    choice = ranking.rows[0]
    below = set(ranking.below_baseline)  # cheap and no better than no training: never advised
    front = [row for row in ranking.rows if row.on_front or row is choice]
    front = [row for row in front if row.architecture not in below]
    offered = [row for row in front if row.gap_to_leader <= most_lost(ranking)]
    goals: dict[str, list[Quantity]] = {}
    for cost in measured_costs(offered, costs):
        best = best_on(cost, offered, costs)
        ratio = cost_ratio(cost, costs, choice.architecture, best.architecture)
        keeps = ratio is not None and ratio < MARGIN
        goals.setdefault((choice if keeps else best).architecture, []).append(cost)
    sentences = [_quality_sentence(ranking, choice, goals.get(choice.architecture, []))]
    by_name = {row.architecture: row for row in front}
    for name, best_in in goals.items():
        if name != choice.architecture:
            sentences.append(_cost_sentence(ranking, by_name[name], choice, best_in, costs))
    more = (_too_far_sentence(ranking, front, costs), _beaten_sentence(ranking, costs))
    return (*sentences, *(sentence for sentence in more if sentence))


def most_lost(ranking: Ranking) -> float:
    """The gap to the leader beyond which nothing is proposed, however cheap, in the metric's
    unit."""
    return max(ranking.noise_floor, MOST_LOST * abs(ranking.rows[0].mean))


def verdict(ranking: Ranking, costs: CostTable, *, seeds_measured: bool) -> str:
    """One sentence with figures: the winner, its lead and the noise, or why there is no winner."""
    leader, unit = ranking.rows[0], words.of_name(ranking.metric)
    if len(ranking.rows) == 1:
        text = (
            f"Nothing to compare: {leader.architecture} ({figure(ranking, leader.mean)} {unit}) "
            "is the only architecture with a result"
        )
    elif len(ranking.leaders) > 1:
        text = _tie(ranking, costs)
    else:
        text = _lead(ranking, seeds_measured)
    if doubt := training_doubt(ranking):
        text += f"; {doubt}"
    if not seeds_measured:
        text += "; seed noise is not measured (one seed each): run at least three seeds"
    ran = len(leader.seeds) + len(leader.diverged_seeds) + len(leader.failed_seeds)
    for lost, what in ((leader.diverged_seeds, "diverged"), (leader.failed_seeds, "failed")):
        if lost:
            text += f"; {len(lost)} of {ran} seeds of {leader.architecture} {what} and are not in "
            text += "its mean"
    fragile = [row for row in ranking.rows[1:] if row.gap_to_leader < 0]
    if fragile and not leader.diverged_seeds:
        text += f"; {_fragile(ranking, fragile[0])}"
    return text + "."


def so_far(text: str, unfinished: int) -> str:
    """The verdict; where trials have not ended, that comes first."""
    if not unfinished:
        return text
    trials = words.plural(unfinished, "trial")
    return f"So far ({trials} unfinished): {text[0].lower()}{text[1:]}"


def figure(ranking: Ranking, value: float) -> str:
    """A value of the metric, with the decimals that show the noise floor or, without one, the
    smallest gap to the leader: two significant digits of it."""
    fineness = ranking.fineness or 0.01 * abs(value) or 1.0
    return f"{value:.{words.decimals(fineness)}f}"


def _tie(ranking: Ranking, costs: CostTable) -> str:
    tied = [row for row in ranking.rows if row.ties_leader]
    unit, floor = words.of_name(ranking.metric), words.amount(ranking.noise_floor)
    gap = max(row.gap_to_leader for row in tied)
    amount = words.amount(gap)
    first = f"{tied[0].architecture} ({figure(ranking, tied[0].mean)} {unit})"
    others = [f"{row.architecture} ({figure(ranking, row.mean)})" for row in tied[1:]]
    names = words.listed([first, *others], most=_MOST)
    if gap == 0:
        text = f"No winner: {names} do not differ"
    elif gap <= ranking.noise_floor:
        most = "" if len(tied) == 2 else "at most "
        text = f"No winner: {names} differ by {most}{amount}, inside the noise floor of {floor}"
    else:
        most = "" if len(tied) == 2 else "at most "
        p_values = [row.p_value for row in tied if row.p_value is not None]
        least = f"p {min(p_values, default=1.0):.2f}{' or more' if len(p_values) > 1 else ''}"
        doubt = least if p_values else "one seed each"
        among = words.plural(len(ranking.rows), "architecture")
        text = (
            f"No winner: {names} differ by {most}{amount}, which may be chance "
            f"({doubt}, among {among})"
        )
    cheaper = _cheaper([row for row in tied if row.gap_to_leader <= most_lost(ranking)], costs)
    return f"{text}; {cheaper}" if cheaper else text


def _fragile(ranking: Ranking, row: RankRow) -> str:
    """What to say of a row whose finished seeds are better than the leader."""
    lost, ran = len(row.diverged_seeds), len(row.diverged_seeds) + len(row.seeds)
    return (
        f"{row.architecture} ({figure(ranking, row.mean)}) cannot lead, since {lost} of its "
        f"{ran} seeds diverged"
    )


def _lead(ranking: Ranking, seeds_measured: bool) -> str:
    leader = ranking.rows[0]
    second = next((row for row in ranking.rows[1:] if row.gap_to_leader >= 0), None)
    unit, interval = words.of_name(ranking.metric), f"{words.percent(ranking.confidence)} interval"
    wins = seeds_measured and not ranking.too_short
    head = "Winner" if wins else "No winner yet, though ahead"
    if ranking.leader_below_baseline:
        head = "Ahead of the other architectures"
    floor = f"; noise floor {words.amount(ranking.noise_floor)}" if seeds_measured else ""
    ahead = (
        ""
        if second is None
        else (
            f", {words.amount(second.gap_to_leader)} ahead of {second.architecture} "
            f"({words.amount(second.gap_low)} to {words.amount(second.gap_high)}{floor})"
        )
    )
    return (
        f"{head}: {leader.architecture}, {figure(ranking, leader.mean)} {unit} "
        f"({interval} {figure(ranking, leader.low)} to {figure(ranking, leader.high)}){ahead}"
    )


def _cheaper(tied: Sequence[RankRow], costs: CostTable) -> str:
    """On the first axis that tells them apart: the cheapest of the tied against the leader, or
    against the dearest where the leader is the cheapest."""
    for cost in measured_costs(tied, costs):
        known = [row for row in tied if costs.burden(row.architecture, cost) is not None]
        best = best_on(cost, known, costs)
        dearest = max(known, key=lambda row: costs.burden(row.architecture, cost) or 0.0)
        worst = dearest if best is tied[0] or tied[0] not in known else tied[0]
        ratio = cost_ratio(cost, costs, worst.architecture, best.architecture)
        if ratio is not None and ratio >= MARGIN:
            gain = cost.phrases.gain.format(words.times(ratio))
            return f"{best.architecture} {gain} than {worst.architecture}"
    return ""


def _quality_sentence(ranking: Ranking, choice: RankRow, kept: Sequence[Quantity]) -> str:
    figures = f"{figure(ranking, choice.mean)} {words.of_name(ranking.metric)}"
    text = f"For the best quality: {choice.architecture}, {figures}"
    others = [row.architecture for row in ranking.rows if row.ties_leader and row is not choice]
    if others:
        text += f", tied with {words.listed(others, most=_MOST)}"
    if kept:
        margin = f"{100 * (MARGIN - 1):.0f} %"
        nouns = words.listed([cost.phrases.noun for cost in kept], last=" or ")
        share = words.percent(MOST_LOST)
        text += f"; none within {share} of it is measurably {margin} better in {nouns}"
    return text + "."


def _cost_sentence(
    ranking: Ranking,
    row: RankRow,
    choice: RankRow,
    best_in: Sequence[Quantity],
    costs: CostTable,
) -> str:
    goals = words.listed([cost.phrases.goal for cost in best_in])
    bare, compared = [], []  # without a ratio (one side unmeasured or zero), and with one
    for cost in best_in:
        ratio = cost_ratio(cost, costs, choice.architecture, row.architecture)
        value = costs.value(row.architecture, cost)
        assert value is not None
        absolute = words.in_a_sentence(value, cost.unit, cost.per)
        if ratio is None:
            bare.append(f"has a {cost.phrases.noun} of {absolute}")
        else:
            compared.append(f"{cost.phrases.gain.format(words.times(ratio))} ({absolute})")
    than = f" than {choice.architecture}" if compared else ""
    gains = words.listed([*bare, *compared]) + than
    return f"For {goals}: {row.architecture} {gains}, {_price(ranking, row, choice)}."


def _too_far_sentence(ranking: Ranking, front: Sequence[RankRow], costs: CostTable) -> str:
    """Names what is cheapest on some axis and loses too much to be proposed."""
    limit = most_lost(ranking)
    cheapest = {best_on(cost, front, costs).architecture for cost in measured_costs(front, costs)}
    far = [row for row in front if row.gap_to_leader > limit and row.architecture in cheapest]
    if not far:
        return ""
    named = [f"{row.architecture} ({words.amount(row.gap_to_leader)} behind)" for row in far]
    return (
        f"Not proposed, though cheapest on an axis: {words.listed(named, most=_MOST)}; a trade may "
        f"lose {words.amount(limit)} {words.of_name(ranking.metric)}."
    )


def _beaten_sentence(ranking: Ranking, costs: CostTable) -> str:
    front = [row for row in ranking.rows if row.on_front]
    parts = []
    for row in ranking.rows:
        beaters = [one for one in front if beats(one, row, costs, ranking.noise_floor)]
        measured = measured_costs([row], costs)
        if row.on_front or row is ranking.rows[0] or not beaters or not measured:
            continue
        beater = beaters[0]
        ratios = [
            (ratio, cost)
            for cost in measured
            if (ratio := cost_ratio(cost, costs, row.architecture, beater.architecture))
        ]
        ratio, cost = max(ratios, key=lambda pair: pair[0], default=(1.0, measured[0]))
        worse = cost.phrases.loss.format(words.times(ratio)) + ", " if ratio >= MARGIN else ""
        parts.append(
            f"{row.architecture}, which {beater.architecture} beats or equals on every axis "
            f"({worse}{_price(ranking, row, beater)})"
        )
    if not parts:
        return ""
    return f"Never: {words.listed(parts, most=_MOST, separator='; ', last='; and ')}."


def _price(ranking: Ranking, row: RankRow, against: RankRow) -> str:
    """What the quality of `row` costs or brings against another row."""
    unit = words.of_name(ranking.metric)
    difference = row.gap_to_leader - against.gap_to_leader
    if abs(difference) <= ranking.noise_floor:
        return f"level in {unit}"
    more = (difference > 0) == ranking.lower_is_better
    return f"for {words.amount(abs(difference))} {'more' if more else 'less'} {unit}"
