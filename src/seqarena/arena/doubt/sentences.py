"""What a comparison leaves open, in sentences: training that was too short, ties that more seeds or
more test data would settle, learning rates at the edge of those tried."""

from collections.abc import Sequence

from seqarena.arena.doubt.parting import MOST_NAMED
from seqarena.arena.doubt.undertrained import LEAST_STEPS
from seqarena.arena.statistics import SeedNoise
from seqarena.core import words
from seqarena.core.results.records import Parting, Ranking, RankRow

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
_MOST = 3  # names written out before "and n more"


def open_questions(ranking: Ranking) -> tuple[str, ...]:
    """One sentence for each thing that the budget leaves open."""
    found = (_undertrained(ranking), _seeds(ranking), _test_data(ranking), _edges(ranking))
    return tuple(sentence for sentence in found if sentence)


def training_doubt(ranking: Ranking) -> str:
    """What the verdict says of the amount of training; empty where it decides nothing."""
    leader = ranking.rows[0]
    if ranking.too_short:
        steps = words.plural(leader.steps, "step")
        return f"after {steps} of training there is no winner ({LEAST_STEPS} at least)"
    gap, gains = _deciding_gap(ranking), _gains(_deciding(ranking))
    if gap is None or not gains or max(gains) <= gap:
        return ""
    return (
        f"a doubling of training still brings {_span(gains)} {words.of_name(ranking.metric)}, "
        f"more than the gap of {words.amount(gap)} that decides"
    )


def noise_origin(
    noise: SeedNoise | None, repeat: float | None, seeds: int, confidence: float
) -> str:
    """How the noise floor was measured. `repeat` is the difference of a trial run twice."""
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
        "or as all do where that is more, differ by less in "
        f"{words.percent(confidence)} of cases "
        f"(seeds of {words.plural(noise.num_measured, 'architecture')}, "
        f"{noise.common.degrees:.0f} degrees of freedom){repeated}"
    )


def _undertrained(ranking: Ranking) -> str:
    rows = [row for row in ranking.rows if row.gain_per_doubling is not None]
    gains = _gains(rows)
    if not gains or max(gains) <= ranking.noise_floor:
        return ""
    named = [f"{row.architecture} {words.amount(row.gain_per_doubling or 0.0)}" for row in rows[:3]]
    more = f" ({_span(gains)} among all)" if len(rows) > 3 else ""
    return (
        "Undertrained: by the second half of the validation curves, a doubling of training brings "
        f"{words.listed(named)} {words.of_name(ranking.metric)}{more}."
    )


def _seeds(ranking: Ranking) -> str:
    parts = [_more_seeds(one) for one in ranking.partings if one.times_test_data is None]
    if not parts:
        return ""
    more = f"; and {len(parts) - _MOST} more" if len(parts) > _MOST else ""
    return f"To part {'; '.join(parts[:_MOST])}{more}."


def _more_seeds(one: Parting) -> str:
    pair = f"{one.leader} and {one.architecture}"
    if one.more_seeds is None or one.seconds is None:
        return f"{pair} (gap {words.amount(one.gap)}): over {MOST_NAMED:,} seeds each"
    seeds, time = words.plural(one.more_seeds, "more seed"), words.duration(one.seconds)
    return f"{pair}: about {seeds} each, {time} of training"


def _test_data(ranking: Ranking) -> str:
    short = [one for one in ranking.partings if one.times_test_data is not None]
    parts = [
        f"{one.leader} and {one.architecture} {_times(one.times_test_data or 1.0)}"
        for one in short[:_MOST]
    ]
    if not parts:
        return ""
    return (
        "Seeds do not part these at the gap that was measured, more test data would: "
        f"{'; '.join(parts)} as much."
    )


def _times(factor: float) -> str:
    return f"about {words.times(factor)} times" if factor < 1000 else "over 1,000 times"


def _edges(ranking: Ranking) -> str:
    rows = [row for row in ranking.rows if row.learning_rate_at_edge and len(row.tried_rates) > 1]
    if not rows:
        return ""
    named = [f"{row.architecture} ({words.rate(row.learning_rate)})" for row in rows]
    verb = "has its" if len(rows) == 1 else "have their"
    return (
        f"{words.listed(named, most=_MOST)} {verb} best learning rate at the edge of those tried: "
        "beyond it may be a better one."
    )


def _deciding(ranking: Ranking) -> Sequence[RankRow]:
    """The rows between which it is decided: those that tie, or the winner and the second."""
    tied = [row for row in ranking.rows if row.ties_leader]
    return tied if len(tied) > 1 else ranking.rows[:2]


def _deciding_gap(ranking: Ranking) -> float | None:
    rows = _deciding(ranking)
    return max(row.gap_to_leader for row in rows) if len(rows) > 1 else None


def _gains(rows: Sequence[RankRow]) -> list[float]:
    return [row.gain_per_doubling for row in rows if row.gain_per_doubling is not None]


def _span(gains: Sequence[float]) -> str:
    low, high = (words.amount(value) for value in (min(gains), max(gains)))
    return low if low == high else f"{low} to {high}"
