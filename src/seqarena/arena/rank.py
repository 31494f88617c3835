"""Ranking: from finished trials to places, intervals, ties and a verdict.

    learning rate   the best on validation among the search trials; test is never looked at
    scores          test values of every finished trial (roles search and seed) at that rate
    order           by the mean over seeds; architectures with diverged seeds come after the others
    tie             the gap to the leader cannot be told apart from chance (arena/statistics.py)
    winner          the leader, where it is told apart from every other, none of its seeds diverged,
                    seed noise has been measured, and it beats every baseline (arena/baselines)

p values are corrected for all pairs of architectures, so that the leader may be picked by its
score. The search trial's seed stays in the ranking; it was chosen on validation, so its test value
is only as optimistic as the two splits are alike.
"""

import math
from collections.abc import Sequence

from seqarena.arena.baselines.judging import judge, no_recommendation, with_baselines
from seqarena.arena.entries import RankingEntry, enter, is_scored, score
from seqarena.arena.front import pareto_front
from seqarena.arena.recommend import recommend, verdict
from seqarena.arena.statistics import (
    SeedNoise,
    TestedEstimate,
    gap_estimate,
    mean_estimate,
    seed_noise,
)
from seqarena.arena.tuning import window
from seqarena.core import words
from seqarena.core.errors import UserError
from seqarena.core.results.baselines import BaselineRecord
from seqarena.core.results.quantities import CostTable
from seqarena.core.results.records import Ranking, RankRow, TrialSummary


def rank(
    trials: Sequence[TrialSummary],
    costs: CostTable,
    *,
    metric: str,
    lower_is_better: bool,
    excluded: dict[str, str],
    confidence: float = 0.95,
    baselines: Sequence[BaselineRecord] = (),
) -> Ranking:
    """The ranking of all architectures that have a test score.

    `excluded` names architectures that are not to be ranked, with the reason; those whose trials
    diverged or have not finished are added to it. The order of `trials` changes nothing.
    `baselines` are of the same test split.
    Raises UserError when nothing can be ranked or the trials do not belong to one comparison.
    """
    if not 0 < confidence < 1:
        raise UserError(f"confidence is {confidence}: it must lie between 0 and 1, such as 0.95")
    trials = sorted(trials, key=lambda trial: (trial.architecture, trial.seed, trial.trial))
    entries, reasons = enter(trials, excluded, lower_is_better, metric)
    if not entries:
        why = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise UserError(f"nothing to rank: {why or 'no trial was given'}")
    sign = 1 if lower_is_better else -1
    entries.sort(
        key=lambda entry: (_diverged_share(entry), sign * entry.sample.mean, entry.architecture)
    )
    noise = seed_noise([entry.sample for entry in entries])
    repeat = repeat_difference(trials)
    floors = [_floor(index, entries, noise, repeat, confidence) for index in range(len(entries))]
    rows = _rows(entries, floors, noise, sign, confidence)
    sound = [row for row in rows if not row.diverged_seeds] or rows
    deciding = costs.deciding
    front = pareto_front(sound, deciding, floors[0])
    rows = [row.model_copy(update={"on_front": row.architecture in front}) for row in rows]
    leaders = tuple(row.architecture for row in rows if row.ties_leader)
    has_winner = (
        len(rows) > 1 and len(leaders) == 1 and noise is not None and not rows[0].diverged_seeds
    )
    ranking = Ranking(
        metric=metric,
        lower_is_better=lower_is_better,
        rows=tuple(rows),
        excluded=reasons,
        noise_floor=floors[0],
        noise_floor_origin=_origin(noise, repeat, len(entries[0].sample.seeds), confidence),
        repeat_difference=repeat,
        winner=leaders[0] if has_winner else None,
        leaders=leaders,
        verdict="",
        recommendation=(),
        confidence=confidence,
    )
    ranking = judge(ranking, entries, noise, baselines)
    unfinished = sum(
        trial.status in ("planned", "running") and trial.architecture not in excluded
        for trial in trials
    )
    words_of_it = verdict(
        ranking, deciding, seeds_measured=noise is not None, unfinished=unfinished
    )
    below = ranking.leader_below_baseline
    return ranking.model_copy(
        update={
            "verdict": with_baselines(words_of_it, ranking),
            "recommendation": (
                *(no_recommendation(ranking) if below else recommend(ranking, deciding)),
                *costs.doubts(),
            ),
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


def _rows(
    entries: Sequence[RankingEntry],
    floors: Sequence[float],
    noise: SeedNoise | None,
    sign: int,
    confidence: float,
) -> list[RankRow]:
    rows = []
    for index, (entry, floor) in enumerate(zip(entries, floors, strict=True)):
        spread = noise.of_each[index] if noise else None
        mean = mean_estimate(entry.sample, spread, confidence=confidence)
        gap = _gap(index, entries, noise, sign, confidence)
        told_apart = gap.p_value < 1 - confidence if noise else gap.value > floor and gap.low > 0
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
                learning_rate=entry.learning_rate.value,
                learning_rate_at_edge=entry.learning_rate.at_edge,
                tried_rates=entry.learning_rate.tried,
                window=window(
                    entry.learning_rate.tried,
                    entry.learning_rate.value,
                    sign > 0,
                    is_share=entry.sample.num_scored is not None,
                ),
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


def _gap(
    index: int,
    entries: Sequence[RankingEntry],
    noise: SeedNoise | None,
    sign: int,
    confidence: float,
) -> TestedEstimate:
    """The gap to the leader with positive for worse, whichever way the metric points."""
    if index == 0:
        return TestedEstimate(value=0.0, low=0.0, high=0.0, p_value=1.0)
    gap = gap_estimate(
        entries[index].sample,
        entries[0].sample,
        (noise.of_each[index], noise.of_each[0]) if noise else (None, None),
        degrees=noise.common.degrees if noise else math.inf,
        among=len(entries),
        confidence=confidence,
    )
    low, high = sorted((sign * gap.low, sign * gap.high))
    return TestedEstimate(value=sign * gap.value, low=low, high=high, p_value=gap.p_value)


def _floor(
    index: int,
    entries: Sequence[RankingEntry],
    noise: SeedNoise | None,
    repeat: float | None,
    confidence: float,
) -> float:
    """The noise floor for an entry and the leader; of single runs, the repeats' difference."""
    if noise is None:
        return repeat or 0.0
    seeds = len(entries[index].sample.seeds), len(entries[0].sample.seeds)
    return noise.floor(index, 0, seeds, confidence)


def _diverged_share(entry: RankingEntry) -> float:
    """Of the seeds that ran; what diverged is the worst of all values."""
    lost = len(entry.diverged_seeds)
    return lost / (lost + len(entry.sample.seeds))


def _origin(noise: SeedNoise | None, repeat: float | None, seeds: int, confidence: float) -> str:
    if noise is None and repeat is None:
        return "not measured: every architecture ran with one seed only"
    if noise is None:
        return (
            "the difference between a trial and its repetition with the same seed; the noise of "
            "other seeds is not measured, since every architecture ran with one seed only"
        )
    repeated = ""
    if repeat is not None:
        repeated = f"; a trial run twice differs by at most {words.amount(repeat)}"
    return (
        f"two equal entries with {words.plural(seeds, 'seed')} each, which vary as the leader does "
        f"or as all do where that is more, differ by less in {words.percent(confidence)} of cases "
        f"(seeds of {words.plural(noise.num_measured, 'architecture')}, "
        f"{noise.common.degrees:.0f} degrees of freedom){repeated}"
    )


def _identity(trial: TrialSummary) -> tuple[str, float, int]:
    return trial.architecture, trial.learning_rate, trial.seed
