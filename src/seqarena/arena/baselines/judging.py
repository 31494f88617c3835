"""What baselines say of a ranking: nothing that does not beat the best of them is called best.

An architecture beats a baseline where their gap, paired by test chunk, is told apart from chance at
the ranking's confidence, by the same statistics as two architectures (arena/statistics.py) with the
baseline as one rival more. A baseline has no seeds: it is computed and not drawn. Where it has no
chunk values its value is taken as known, and the choice of test examples is the architecture's
alone, which makes the interval wider.

The best baseline is the best on the test split. That favours baselines a little: to beat all of
them is what is asked.
"""

import math
from collections.abc import Sequence

import numpy as np

from seqarena.arena.entries import RankingEntry
from seqarena.arena.statistics import Sample, SeedNoise, TestedEstimate, gap_estimate
from seqarena.core import words
from seqarena.core.results.baselines import BaselineRecord, BaselineRow
from seqarena.core.results.records import Ranking

_MOST_DOUBLINGS = 5  # of training: farther than that a slope says nothing
_SHORT = 12  # characters of a detail that a headline has room for


def judge(
    ranking: Ranking,
    entries: Sequence[RankingEntry],
    noise: SeedNoise | None,
    baselines: Sequence[BaselineRecord],
) -> Ranking:
    """The ranking with its baselines, the best first, and with the architectures that do not beat
    the best of them; no winner is among those. `entries` are those of the ranking's rows."""
    if not baselines:
        return ranking
    sign = 1 if ranking.lower_is_better else -1
    found = sorted(baselines, key=lambda one: (sign * one.value, one.name))

    def lead(index: int, record: BaselineRecord) -> TestedEstimate:
        return _lead(index, entries, noise, record, sign, ranking)

    beaten = [_is_beaten(lead(k, found[0]), noise, ranking) for k in range(len(entries))]
    behind = tuple(row.architecture for row, won in zip(ranking.rows, beaten) if not won)
    return ranking.model_copy(
        update={
            "baselines": tuple(_row(record, lead(0, record)) for record in found),
            "below_baseline": behind,
            "winner": None if ranking.winner in behind else ranking.winner,
        }
    )


def with_baselines(verdict: str, ranking: Ranking) -> str:
    """The verdict; where the leader does not beat the best baseline, that comes first."""
    if not ranking.leader_below_baseline:
        return verdict
    best, leader = ranking.baselines[0], ranking.rows[0]
    unit, percent = words.of_name(ranking.metric), words.percent(ranking.confidence)
    ahead = best.lead > 0
    ends = (best.lead_low, best.lead_high) if ahead else (-best.lead_high, -best.lead_low)
    decimals = max(2, words.decimals(abs(best.lead) or 0.01))
    low, high = (f"{end:.{decimals}f}".replace("-", "−") for end in ends)
    how = "ahead, which may be chance" if ahead else "behind"
    baseline, value = (f"{figure:.{decimals}f}" for figure in (best.value, leader.mean))
    gap = words.amount(abs(best.lead))
    short = f" ({best.detail})" if 0 < len(best.detail) <= _SHORT else ""
    return (
        f"No architecture beats the {best.name} baseline{short}: {baseline} {unit} against {value} "
        f"of {leader.architecture} ({gap} {how}; {percent} interval {low} to {high}). {verdict}"
    )


def no_recommendation(ranking: Ranking) -> tuple[str, ...]:
    """What to say instead of a recommendation where the leader does not beat the best baseline."""
    best = ranking.baselines[0]
    seconds = words.with_unit(best.seconds, "seconds")
    return (
        f"No recommendation: nothing here beats the {best.name} baseline ({best.idea}), computed "
        f"in {seconds}. {_way_to(ranking)}, or use the baseline.",
    )


def _way_to(ranking: Ranking) -> str:
    """How much more training the leader would need at the rate at which it still learns."""
    leader, behind = ranking.rows[0], -ranking.baselines[0].lead
    gain = leader.gain_per_doubling or 0.0
    if behind <= 0 or gain <= 0 or behind / gain > _MOST_DOUBLINGS:
        return "Train longer or larger"
    times = words.times(2 ** (behind / gain))
    return (
        f"Train longer or larger: {leader.architecture} still gains {words.amount(gain)} a "
        f"doubling, at which at least {times} times the training reaches it"
    )


def _lead(
    index: int,
    entries: Sequence[RankingEntry],
    noise: SeedNoise | None,
    record: BaselineRecord,
    sign: int,
    ranking: Ranking,
) -> TestedEstimate:
    """How far an entry is ahead of a baseline: positive for better, whichever way the metric
    points. The p value counts all looks, as those of gaps do."""
    sample = entries[index].sample
    gap = gap_estimate(
        _sample(record, sample.chunks_SC.shape[1], sample.num_scored),
        sample,
        (None, noise.of_each[index] if noise else None),
        degrees=noise.common.degrees if noise else math.inf,
        among=len(entries) + 1,
        confidence=ranking.confidence,
    )
    return gap.turned(sign, ranking.look_share)


def _sample(record: BaselineRecord, chunks: int, num_scored: int | None) -> Sample:
    values_C = np.full(chunks, record.value)
    if len(record.chunk_values) == chunks:
        values_C = np.array(record.chunk_values)
    else:
        num_scored = None
    return Sample(
        seeds=(0,),
        values_S=np.array([record.value]),
        chunks_SC=values_C[None],
        num_scored=num_scored,
    )


def _is_beaten(lead: TestedEstimate, noise: SeedNoise | None, ranking: Ranking) -> bool:
    """Whether the entry is told apart, and better. Without seed noise there is no test of seeds:
    the interval, of the choice of test examples, decides."""
    if noise is None:
        return lead.low > 0
    return lead.value > 0 and lead.p_value < 1 - ranking.confidence


def _row(record: BaselineRecord, lead: TestedEstimate) -> BaselineRow:
    return BaselineRow(
        name=record.name,
        idea=record.idea,
        detail=record.detail,
        value=record.value,
        validation_value=record.validation_value,
        seconds=record.seconds,
        lead=lead.value,
        lead_low=lead.low,
        lead_high=lead.high,
        p_value=lead.p_value,
    )
