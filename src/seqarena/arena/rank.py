"""Ranking: from finished trials to places, intervals, ties and a verdict.

    learning rate   the best on validation among the search trials; test is never looked at
    scores          test values of every finished trial (roles search and seed) at that rate
    order           by the mean over seeds; architectures with diverged seeds come after the others
    tie             the gap to the leader cannot be told apart from chance (arena/statistics.py)
    winner          the leader, where it is told apart from every other, none of its seeds diverged,
                    seed noise has been measured, and it beats every baseline (arena/baselines)

p values are corrected for all pairs of architectures, so that the leader may be picked by its
score, and for every look at the comparison (doubt/looks.py). The search trial's seed stays in the
ranking: with three seeds and three rates that are alike a mean is too good by at most .28 of a
seed's deviation, which leaves coverage and false findings where they are (benchmarks/doubt.py).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seqarena.arena.baselines.judging import judge, no_recommendation, with_baselines
from seqarena.arena.doubt.looks import seed_counts, share_spent
from seqarena.arena.doubt.parting import TiedPair, data_to_part, seeds_to_part, within_reach
from seqarena.arena.doubt.sentences import noise_origin, open_questions
from seqarena.arena.doubt.undertrained import LEAST_STEPS
from seqarena.arena.entries import RankingEntry, enter, is_scored, score
from seqarena.arena.front import pareto_front
from seqarena.arena.recommend import recommend, so_far, verdict
from seqarena.arena.requests import SearchRequest
from seqarena.arena.statistics import (
    SeedNoise,
    TestedEstimate,
    gap_estimate,
    mean_estimate,
    seed_noise,
)
from seqarena.arena.tuning import window
from seqarena.core.errors import UserError
from seqarena.core.results.baselines import BaselineRecord
from seqarena.core.results.quantities import CostTable
from seqarena.core.results.records import Parting, Ranking, RankRow, TrialSummary


def rank(
    trials: Sequence[TrialSummary],
    costs: CostTable,
    *,
    metric: str,
    lower_is_better: bool,
    excluded: dict[str, str],
    search: SearchRequest | None = None,
    confidence: float = 0.95,
    baselines: Sequence[BaselineRecord] = (),
) -> Ranking:
    """The ranking of all architectures that have a test score.

    `excluded` names architectures that are not to be ranked, with the reason; those whose trials
    diverged or have not finished are added to it. The order of `trials` changes nothing. `search`
    says after how many seeds a comparison is looked at (doubt/looks.py); without it this is the
    only look. `baselines` are of the same test split.
    Raises UserError when nothing can be ranked or the trials do not belong to one comparison.
    """
    entries, reasons = enter(trials, excluded, lower_is_better, metric)
    if not entries:
        why = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise UserError(f"nothing to rank: {why or 'no trial was given'}")
    return rank_entries(
        entries,
        reasons,
        trials,
        costs,
        metric=metric,
        lower_is_better=lower_is_better,
        unfinished=unfinished(trials, excluded),
        search=search,
        confidence=confidence,
        baselines=baselines,
    )


def unfinished(trials: Sequence[TrialSummary], excluded: Mapping[str, str]) -> int:
    """How many trials of a comparison have not ended."""
    waiting = [trial for trial in trials if trial.status in ("planned", "running")]
    return sum(trial.architecture not in excluded for trial in waiting)


def rank_entries(
    entries: Sequence[RankingEntry],
    reasons: dict[str, str],
    trials: Sequence[TrialSummary],
    costs: CostTable,
    *,
    metric: str,
    lower_is_better: bool,
    unfinished: int = 0,
    search: SearchRequest | None = None,
    confidence: float = 0.95,
    baselines: Sequence[BaselineRecord] = (),
) -> Ranking:
    """The ranking of what `enter` gives of the trials: at least one entry, and why others have no
    place."""
    if not 0 < confidence < 1:
        raise UserError(f"confidence is {confidence}: it must lie between 0 and 1, such as 0.95")
    sign = 1 if lower_is_better else -1
    entries = sorted(
        entries,
        key=lambda entry: (_diverged_share(entry), sign * entry.sample.mean, entry.architecture),
    )
    doubt = _doubt(entries, trials, sign, search, confidence)
    rows = _rows(entries, doubt)
    sound = [row for row in rows if not row.diverged_seeds] or rows
    deciding = costs.deciding
    front = pareto_front(sound, deciding, doubt.floor(entries, 0))
    rows = [row.model_copy(update={"on_front": row.architecture in front}) for row in rows]
    leaders = tuple(row.architecture for row in rows if row.ties_leader)
    too_short = 0 < rows[0].steps < LEAST_STEPS
    named = len(rows) > 1 and len(leaders) == 1 and doubt.noise is not None and not too_short
    ranking = Ranking(
        metric=metric,
        lower_is_better=lower_is_better,
        rows=tuple(rows),
        excluded=reasons,
        noise_floor=doubt.floor(entries, 0),
        noise_floor_origin=noise_origin(
            doubt.noise, doubt.repeat, len(entries[0].sample.seeds), confidence
        ),
        repeat_difference=doubt.repeat,
        winner=leaders[0] if named and not rows[0].diverged_seeds else None,
        leaders=leaders,
        verdict="",
        recommendation=(),
        confidence=confidence,
        look_share=doubt.share,
        partings=_partings(entries, rows, doubt),
        too_short=too_short,
    )
    ranking = judge(ranking, entries, doubt.noise, baselines)
    said = verdict(ranking, deciding, seeds_measured=doubt.noise is not None)
    below = ranking.leader_below_baseline
    advice = no_recommendation(ranking) if below else recommend(ranking, deciding)
    return ranking.model_copy(
        update={
            "verdict": so_far(with_baselines(said, ranking), unfinished),
            "recommendation": (*advice, *costs.doubts()),
            "open_questions": open_questions(ranking),
        }
    )


def repeat_difference(trials: Sequence[TrialSummary]) -> float | None:
    """The largest difference on test between a trial and its repetition with the same seed."""
    original = {_identity(trial): trial for trial in trials if trial.role != "repeat"}
    differences = []
    for trial in trials:
        other = original.get(_identity(trial))
        if trial.role == "repeat" and is_scored(trial) and other is not None and is_scored(other):
            differences.append(abs(score(trial) - score(other)))
    return max(differences, default=None)


@dataclass(frozen=True, kw_only=True)
class _Doubt:
    """What the rows of one ranking share."""

    noise: SeedNoise | None  # None: every architecture ran with one seed
    repeat: float | None
    share: float  # of the error, which this look may spend
    among: int
    sign: int  # 1 where lower is better, else -1
    confidence: float

    @property
    def level(self) -> float:
        return 1 - self.confidence

    def floor(self, entries: Sequence[RankingEntry], index: int) -> float:
        """The noise floor for an entry and the leader; of single runs, the repeats' difference."""
        if self.noise is None:
            return self.repeat or 0.0
        seeds = len(entries[index].sample.seeds), len(entries[0].sample.seeds)
        return self.noise.floor(index, 0, seeds, self.confidence)


def _doubt(
    entries: Sequence[RankingEntry],
    trials: Sequence[TrialSummary],
    sign: int,
    search: SearchRequest | None,
    confidence: float,
) -> _Doubt:
    ran = max(_num_ran(entry) for entry in entries)
    share = 1.0
    if search is not None:
        share = share_spent(seed_counts(search), ran, endless=search.until_decided)
    return _Doubt(
        noise=seed_noise([entry.sample for entry in entries]),
        repeat=repeat_difference(trials),
        share=share,
        among=len(entries),
        sign=sign,
        confidence=confidence,
    )


def _rows(entries: Sequence[RankingEntry], doubt: _Doubt) -> list[RankRow]:
    rows = []
    for index, entry in enumerate(entries):
        noise, rate = doubt.noise, entry.learning_rate
        spread = noise.of_each[index] if noise else None
        mean = mean_estimate(entry.sample, spread, confidence=doubt.confidence)
        gap = _gap(index, entries, doubt)
        beyond = gap.value > doubt.floor(entries, index) and gap.low > 0
        told_apart = gap.p_value < doubt.level if noise else beyond
        slope = entry.slope_per_doubling
        rows.append(
            RankRow(
                place=index + 1,
                architecture=entry.architecture,
                mean=mean.value,
                low=mean.low,
                high=mean.high,
                seed_values=tuple(entry.sample.values_S.tolist()),
                seeds=entry.sample.seeds,
                diverged_seeds=entry.diverged_seeds,
                failed_seeds=entry.failed_seeds,
                skipped_steps=entry.skipped_steps,
                learning_rate=rate.value,
                learning_rate_at_edge=rate.at_edge,
                tried_rates=rate.tried,
                window=window(
                    rate.tried,
                    rate.value,
                    doubt.sign > 0,
                    is_share=entry.sample.num_scored is not None,
                ),
                steps=entry.steps,
                gain_per_doubling=None if slope is None else -doubt.sign * slope,
                parameters=entry.parameters,
                gap_to_leader=gap.value,
                gap_low=gap.low,
                gap_high=gap.high,
                # without any seed noise there is no unit to test with
                p_value=gap.p_value if index and noise else None,
                ties_leader=not index
                or (not told_apart and _diverged_share(entry) <= _diverged_share(entries[0])),
                on_front=False,
            )
        )
    return rows


def _gap(index: int, entries: Sequence[RankingEntry], doubt: _Doubt) -> TestedEstimate:
    """The gap to the leader with positive for worse, whichever way the metric points; its p value
    counts all pairs and all looks."""
    if index == 0:
        return TestedEstimate(value=0.0, low=0.0, high=0.0, p_value=1.0)
    noise = doubt.noise
    gap = gap_estimate(
        entries[index].sample,
        entries[0].sample,
        (noise.of_each[index], noise.of_each[0]) if noise else (None, None),
        degrees=noise.common.degrees if noise else math.inf,
        among=doubt.among,
        confidence=doubt.confidence,
    )
    return gap.turned(doubt.sign, doubt.share)


def _partings(
    entries: Sequence[RankingEntry], rows: Sequence[RankRow], doubt: _Doubt
) -> tuple[Parting, ...]:
    """What would tell each that ties with the leader apart from it."""
    noise = doubt.noise
    if noise is None:
        return ()
    found = []
    for index, entry in enumerate(entries):
        if not index or not rows[index].ties_leader:
            continue
        pair = TiedPair(
            sample=entry.sample,
            leader=entries[0].sample,
            runs=(noise.of_each[index], noise.of_each[0]),
            degrees=noise.common.degrees,
            among=doubt.among,
            level=doubt.level,
        )
        seeds = seeds_to_part(pair)
        per_seed = entry.seconds + entries[0].seconds
        found.append(
            Parting(
                architecture=entry.architecture,
                leader=entries[0].architecture,
                gap=rows[index].gap_to_leader,
                more_seeds=seeds,
                seconds=None if seeds is None else seeds * per_seed,
                times_test_data=data_to_part(pair),
                within_reach=within_reach(pair, doubt.share),
            )
        )
    return tuple(found)


def _num_ran(entry: RankingEntry) -> int:
    return len(entry.sample.seeds) + len(entry.diverged_seeds) + len(entry.failed_seeds)


def _diverged_share(entry: RankingEntry) -> float:
    """Of the seeds that ran; what diverged is the worst of all values."""
    lost = len(entry.diverged_seeds)
    return lost / (lost + len(entry.sample.seeds))


def _identity(trial: TrialSummary) -> tuple[str, float, int]:
    return trial.architecture, trial.learning_rate, trial.seed
