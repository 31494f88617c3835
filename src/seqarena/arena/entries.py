"""The entries of the ranking: each architecture at its learning rate, with its test scores."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from seqarena.arena.doubt.undertrained import LEAST_STEPS, mean_slope
from seqarena.arena.statistics import Sample
from seqarena.core.errors import UserError
from seqarena.core.results.records import TrialSummary, TriedRate

SHARES = ("accuracy", "exact", "span_f1", "f1")  # metrics that are right answers over all


@dataclass(frozen=True, kw_only=True)
class LearningRate:
    """The rate chosen for one architecture, and all that it tried."""

    value: float
    at_edge: bool
    tried: tuple[TriedRate, ...]


@dataclass(frozen=True, kw_only=True)
class RankingEntry:
    """One architecture that takes part, with its test scores at its learning rate."""

    architecture: str
    learning_rate: LearningRate
    sample: Sample
    parameters: int
    diverged_seeds: tuple[int, ...]
    failed_seeds: tuple[int, ...]
    skipped_steps: int
    steps: int  # of a trial
    seconds: float  # of training, the mean of its trials
    slope_per_doubling: float | None  # of the validation curve, see doubt/undertrained.py


def enter(
    trials: Sequence[TrialSummary],
    excluded: dict[str, str],
    lower_is_better: bool,
    metric: str = "",
) -> tuple[list[RankingEntry], dict[str, str]]:
    """The entries, and why each other architecture has none (`excluded` and what is found here).

    Raises UserError when the trials do not belong to one comparison: a seed that ran twice without
    the role `repeat`, or test splits with different numbers of chunks.
    """
    entries, reasons = [], dict(excluded)
    by_architecture: dict[str, list[TrialSummary]] = {}
    for trial in sorted(trials, key=lambda one: (one.architecture, one.seed, one.trial)):
        by_architecture.setdefault(trial.architecture, []).append(trial)
    for architecture, own in by_architecture.items():
        if architecture in excluded:
            continue
        rate = choose_learning_rate(own, lower_is_better=lower_is_better)
        entry = rate if isinstance(rate, str) else _entry(architecture, own, rate, metric)
        if isinstance(entry, str):
            reasons[architecture] = entry
        else:
            entries.append(entry)
    _check_paired(entries)
    return entries, reasons


def choose_learning_rate(
    trials: Sequence[TrialSummary], *, lower_is_better: bool
) -> LearningRate | str:
    """The rate of one architecture, or in words why there is none.

    Only validation decides, among the search trials (the seed trials where nothing was searched).
    A rate at which a search trial diverged comes after all that stayed finite; of equal rates the
    lower one is taken. `at_edge` counts diverged rates as tried: they bound the search. A trial
    that failed says nothing of its rate.
    """
    done = [trial for trial in trials if trial.status in ("finished", "diverged")]
    done = [trial for trial in done if trial.role != "repeat"]
    done = [trial for trial in done if trial.role == "search"] or done
    if not done:
        failed = [trial for trial in trials if trial.status == "failed"]
        return f"failed: {failed[0].failure}" if failed else "no trial has finished yet"
    rates = sorted({trial.learning_rate for trial in done})
    listed = ", ".join(f"{rate:g}" for rate in rates)
    if all(_diverged(trial) for trial in done):
        return f"diverged at every learning rate tried ({listed})"
    tried = tuple(_tried(rate, trials) for rate in rates)
    if len(rates) == 1:
        return LearningRate(value=rates[0], at_edge=True, tried=tried)
    sign = 1 if lower_is_better else -1
    candidates = []
    for rate in rates:
        here = [trial for trial in done if trial.learning_rate == rate]
        value = _mean_validation(here)
        if value is not None:
            unstable = any(_diverged(trial) for trial in here)
            candidates.append((unstable, sign * value, rate))
    if not candidates:
        return f"no validation value to choose a learning rate by ({listed} were tried)"
    best = min(candidates)[2]
    return LearningRate(value=best, at_edge=best in (rates[0], rates[-1]), tried=tried)


def _tried(rate: float, trials: Sequence[TrialSummary]) -> TriedRate:
    """What became of all trials at a rate."""
    here = [t for t in trials if t.learning_rate == rate and t.role != "repeat"]
    here = [trial for trial in here if trial.status in ("finished", "diverged")]
    return TriedRate(
        learning_rate=rate,
        validation_value=_mean_validation(here),
        trials=len(here),
        diverged=sum(_diverged(trial) for trial in here),
    )


def _mean_validation(trials: Sequence[TrialSummary]) -> float | None:
    """Over the trials that stayed finite; None where none did."""
    values = [
        trial.validation_value
        for trial in trials
        if not _diverged(trial) and trial.validation_value is not None
    ]
    return sum(values) / len(values) if values else None


def _entry(
    architecture: str, trials: Sequence[TrialSummary], rate: LearningRate, metric: str
) -> RankingEntry | str:
    here = [t for t in trials if t.role != "repeat" and t.learning_rate == rate.value]
    seeds = [trial.seed for trial in here]
    twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if twice:
        raise UserError(
            f"{architecture} has two trials at learning rate {rate.value:g} and seed {twice[0]}: "
            "the second is a repetition and must have the role 'repeat'"
        )
    scored = [trial for trial in here if is_scored(trial)]
    if not scored:
        return f"no test value at its learning rate {rate.value:g}"
    widths = {len(trial.test_chunk_values) for trial in scored}
    if len(widths) > 1:
        raise UserError(_unpaired(f"the trials of {architecture}", widths))
    steps = max(trial.steps for trial in scored)
    curves = [] if 0 < steps < LEAST_STEPS else [trial.validation_curve for trial in scored]
    return RankingEntry(
        architecture=architecture,
        learning_rate=rate,
        sample=Sample(
            seeds=tuple(trial.seed for trial in scored),
            values_S=np.array([score(trial) for trial in scored]),
            chunks_SC=np.array([trial.test_chunk_values for trial in scored], dtype=float),
            num_scored=scored[0].test_num_scored or None if metric in SHARES else None,
        ),
        parameters=scored[0].parameters,
        diverged_seeds=tuple(trial.seed for trial in here if _diverged(trial)),
        failed_seeds=tuple(trial.seed for trial in here if trial.status == "failed"),
        skipped_steps=sum(trial.skipped_steps for trial in here),
        steps=steps,
        seconds=fmean(trial.training_seconds for trial in scored),
        slope_per_doubling=mean_slope(curves),
    )


def _check_paired(entries: Sequence[RankingEntry]) -> None:
    widths = {entry.sample.chunks_SC.shape[1] for entry in entries}
    if len(widths) > 1:
        raise UserError(_unpaired("the architectures", widths))
    for entry in entries:
        if not np.isfinite(entry.sample.chunks_SC).all():
            raise UserError(f"{entry.architecture} has a test chunk whose value is not a number")


def _unpaired(who: str, widths: set[int]) -> str:
    counts = " and ".join(str(width) for width in sorted(widths))
    return f"{who} were tested on {counts} chunks: one comparison needs the same test split for all"


def _diverged(trial: TrialSummary) -> bool:
    values = (trial.validation_value, trial.test_value)
    not_finite = any(value is not None and not math.isfinite(value) for value in values)
    return trial.status == "diverged" or (trial.status == "finished" and not_finite)


def is_scored(trial: TrialSummary) -> bool:
    """Whether the trial finished with a finite test value."""
    return trial.status == "finished" and trial.test_value is not None and not _diverged(trial)


def score(trial: TrialSummary) -> float:
    """The test value of a trial for which `is_scored` holds."""
    assert trial.test_value is not None
    return trial.test_value
