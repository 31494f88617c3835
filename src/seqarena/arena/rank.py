"""Ranking: from finished trials to places, intervals, ties and a verdict.

    learning rate   the best on validation among the search trials; test is never looked at
    scores          test values of every finished trial (roles search and seed) at that rate
    order           by the mean over seeds
    tie             the gap to the leader is inside the noise floor, or its interval contains zero
    winner          the leader, where nothing ties with it and seed noise has been measured

A winner needs no correction for the number of rivals: it must be ahead of every one of them, so
the chance of a false one is at most that of its closest rival. The p values, which are read
one by one, are Holm-corrected. The search trial's seed stays in the ranking; it was chosen on
validation, so its test value is only as optimistic as the two splits are alike.
"""

from collections.abc import Sequence

from seqarena.arena.entries import RankingEntry, enter, is_scored, score
from seqarena.arena.front import pareto_front
from seqarena.arena.recommend import recommend, verdict
from seqarena.arena.statistics import (
    Draws,
    Sample,
    SeedNoise,
    Spread,
    TestedEstimate,
    gap_estimate,
    holm,
    make_draws,
    mean_estimate,
    pooled_spread,
    seed_noise,
)
from seqarena.core import words
from seqarena.core.errors import UserError
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
    seed: int = 0,
) -> Ranking:
    """The ranking of all architectures that have a test score.

    `excluded` names architectures that are not to be ranked, with the reason; those whose trials
    diverged or have not finished are added to it. The order of `trials` changes nothing.
    Raises UserError when nothing can be ranked or the trials do not belong to one comparison.
    """
    if not 0 < confidence < 1:
        raise UserError(f"confidence is {confidence}: it must lie between 0 and 1, such as 0.95")
    trials = sorted(trials, key=lambda trial: (trial.architecture, trial.seed, trial.trial))
    entries, reasons = enter(trials, excluded, lower_is_better)
    if not entries:
        why = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise UserError(f"nothing to rank: {why or 'no trial was given'}")
    sign = 1 if lower_is_better else -1
    entries.sort(key=lambda entry: (sign * entry.sample.mean, entry.architecture))
    noise = seed_noise([entry.sample for entry in entries])
    repeat = repeat_difference(trials)
    floors = [_floor(entry, entries[0], noise, repeat, confidence, seed) for entry in entries]
    rows = _rows(entries, floors, sign, confidence, seed)
    front = pareto_front(rows, costs, floors[0])
    rows = [row.model_copy(update={"on_front": row.architecture in front}) for row in rows]
    leaders = tuple(row.architecture for row in rows if row.ties_leader)
    has_winner = len(rows) > 1 and len(leaders) == 1 and noise is not None
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
    unfinished = sum(
        trial.status in ("planned", "running") and trial.architecture not in excluded
        for trial in trials
    )
    return ranking.model_copy(
        update={
            "verdict": verdict(
                ranking, costs, seeds_measured=noise is not None, unfinished=unfinished
            ),
            "recommendation": recommend(ranking, costs),
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
    sign: int,
    confidence: float,
    seed: int,
) -> list[RankRow]:
    samples = [entry.sample for entry in entries]
    pooled = pooled_spread(samples)
    draws = make_draws(samples[0].chunks_SC.shape[1], seed)
    gaps = [
        _gap(entry.sample, samples[0], draws, pooled, sign, confidence) for entry in entries[1:]
    ]
    # without any seed noise there is no unit to test with
    corrected = [None] * len(gaps) if pooled is None else holm([gap.p_value for gap in gaps])
    rows = []
    for index, (entry, floor) in enumerate(zip(entries, floors, strict=True)):
        mean = mean_estimate(entry.sample, draws, pooled=pooled, confidence=confidence)
        gap = (
            gaps[index - 1] if index else TestedEstimate(value=0.0, low=0.0, high=0.0, p_value=1.0)
        )
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
                parameters=entry.parameters,
                gap_to_leader=gap.value,
                gap_low=gap.low,
                gap_high=gap.high,
                p_value=corrected[index - 1] if index else None,
                ties_leader=gap.value <= floor or gap.low <= 0,
                on_front=False,
            )
        )
    return rows


def _gap(
    sample: Sample,
    leader: Sample,
    draws: Draws,
    pooled: Spread | None,
    sign: int,
    confidence: float,
) -> TestedEstimate:
    """The gap with positive for worse, whichever way the metric points."""
    gap = gap_estimate(sample, leader, draws, pooled=pooled, confidence=confidence)
    low, high = sorted((sign * gap.low, sign * gap.high))
    return TestedEstimate(value=sign * gap.value, low=low, high=high, p_value=gap.p_value)


def _floor(
    entry: RankingEntry,
    leader: RankingEntry,
    noise: SeedNoise | None,
    repeat: float | None,
    confidence: float,
    seed: int,
) -> float:
    """The noise floor for these two numbers of seeds; of single runs, the repeats' difference."""
    if noise is None:
        return repeat or 0.0
    first, second = len(entry.sample.seeds), len(leader.sample.seeds)
    return noise.floor(first, second, confidence=confidence, seed=seed)


def _origin(noise: SeedNoise | None, repeat: float | None, seeds: int, confidence: float) -> str:
    if noise is None and repeat is None:
        return "not measured: every architecture ran with one seed only"
    if noise is None:
        return (
            "the difference between a trial and its repetition with the same seed; the noise of "
            "other seeds is not measured, since every architecture ran with one seed only"
        )
    scaled = (
        "; seed noise differs between architectures, so it is scaled to the median one"
        if noise.robust
        else ""
    )
    repeated = ""
    if repeat is not None:
        repeated = f"; a trial run twice differs by at most {words.amount(repeat)}"
    return (
        f"two entries of one architecture with {words.plural(seeds, 'seed')} each differ by less "
        f"in {words.percent(confidence)} of cases, resampled from the seed residuals of "
        f"{words.plural(noise.architectures, 'architecture')} ({noise.degrees} degrees of freedom)"
        f"{scaled}{repeated}"
    )


def _identity(trial: TrialSummary) -> tuple[str, float, int]:
    return trial.architecture, trial.learning_rate, trial.seed
