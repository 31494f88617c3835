"""What a comparison leaves open: looks and what they spend, what parts ties, short training."""

import math

import numpy as np
import pytest
from comparisons import comparison, row, trial

from seqarena.arena.doubt.looks import MOST_SEEDS, seed_counts, share_spent
from seqarena.arena.doubt.parting import TiedPair, data_to_part, seeds_to_part, within_reach
from seqarena.arena.doubt.sentences import open_questions, training_doubt
from seqarena.arena.doubt.spread import Spread
from seqarena.arena.doubt.undertrained import LEAST_STEPS, mean_slope, slope_per_doubling
from seqarena.arena.rank import rank
from seqarena.arena.requests import CompareRequest, RunRequest, SearchRequest
from seqarena.arena.statistics import Sample
from seqarena.core.errors import UserError
from seqarena.core.results.quantities import CostTable
from seqarena.core.results.records import Parting, Ranking, TriedRate


def ranked(trials, **options: object) -> Ranking:
    return rank(
        trials, CostTable(), metric="bits_per_byte", lower_is_better=True, excluded={},
        **options,  # type: ignore[arg-type]
    )  # fmt: skip


def test_looks_are_few_and_spend_the_error_once() -> None:
    assert seed_counts(SearchRequest()) == (3, 5)
    assert seed_counts(SearchRequest(num_seeds=1)) == (1,)
    assert seed_counts(SearchRequest(num_seeds=2)) == (2,)
    endless = seed_counts(SearchRequest(until_decided=True))
    assert endless[:5] == (3, 5, 8, 12, 18)
    assert endless[-1] <= MOST_SEEDS
    assert [share_spent((3, 5), n, endless=False) for n in (2, 3, 4, 5, 9)] == [
        0.2, 0.2, 0.8, 0.8, 0.8,
    ]  # fmt: skip
    assert share_spent((3,), 3, endless=False) == 1
    shares = [share_spent(endless, count, endless=True) for count in endless]
    assert shares[:4] == pytest.approx([0.2, 0.4, 0.2, 0.1])
    assert 0.9 < sum(shares) <= 1


def test_a_ranking_counts_its_looks_in_the_p_value() -> None:
    """0.2 of the error at three seeds: p values are five times what they are at a single look."""
    truth = {"lstm": (2.0, 0.02), "gru": (2.05, 0.02)}
    trials = comparison(truth, generator=np.random.default_rng(3))
    single, first = ranked(trials), ranked(trials, search=SearchRequest())
    assert (single.look_share, first.look_share) == (1, 0.2)
    assert single.rows[1].p_value is not None
    assert first.rows[1].p_value == pytest.approx(min(1, 5 * single.rows[1].p_value))


def test_until_decided_is_refused_where_it_cannot_be() -> None:
    with pytest.raises(UserError, match="give --seeds 2 or more"):
        SearchRequest(until_decided=True, num_seeds=1)
    with pytest.raises(UserError, match="--max-minutes limits --until-decided"):
        CompareRequest(run=RunRequest(max_minutes=5))


def pair(gap: float, chunk_deviation: float = 0.0, seeds: int = 5, among: int = 2) -> TiedPair:
    """Seeds of deviation 1 each, and independent test chunks whose gap varies."""
    draw = np.random.default_rng(0)
    chunk_C = draw.standard_normal(400)
    chunk_C = chunk_deviation * (chunk_C - chunk_C.mean()) / chunk_C.std()
    one, other = (
        Sample(
            seeds=tuple(range(seeds)),
            values_S=np.full(seeds, mean),
            chunks_SC=np.tile(mean + share * chunk_C, (seeds, 1)),
        )
        for mean, share in ((gap, 1.0), (0.0, 0.0))
    )
    run = Spread(variance=1.0, degrees=2.0 * (seeds - 1))
    return TiedPair(
        sample=one,
        leader=other,
        runs=(run, run),
        degrees=4.0 * (seeds - 1),
        among=among,
        level=0.05,
    )


def test_the_seeds_that_part_two_are_those_of_the_textbook() -> None:
    """For a power of .8 at 5 %: 2 (1.96 + .84)^2 / gap^2 each, for large numbers."""
    expected = 2 * (1.96 + 0.8416) ** 2 / 0.2**2
    found = seeds_to_part(pair(0.2))
    assert found is not None
    assert found + 5 == pytest.approx(expected, rel=0.01)
    fewer, among_many = seeds_to_part(pair(0.4)), seeds_to_part(pair(0.4, among=15))
    assert fewer is not None
    assert among_many is not None
    assert fewer < among_many < found
    assert data_to_part(pair(0.2)) is None
    assert seeds_to_part(pair(0.01)) is None  # thousands
    assert (seeds_to_part(pair(0.0)), data_to_part(pair(0.0))) == (None, None)


def test_where_the_test_data_are_too_few_no_seeds_are_enough() -> None:
    """The gap's error from 400 chunks of deviation 2 is .1: a gap of .2 wants half of that."""
    short = pair(0.2, chunk_deviation=2.0)
    assert seeds_to_part(short) is None
    expected = ((1.96 + 0.8416) * 0.1 / 0.2) ** 2
    assert data_to_part(short) == pytest.approx(expected, rel=0.1)


def test_what_is_out_of_reach_is_told_from_what_is_not_seen_yet() -> None:
    assert within_reach(pair(0.0, seeds=3))  # the seeds leave a gap of two deviations open
    assert not within_reach(pair(0.0, chunk_deviation=30.0, seeds=3))
    assert not within_reach(pair(0.0, seeds=400))


def test_a_tie_says_what_would_settle_it() -> None:
    truth = {"lstm": (2.0, 0.05), "gru": (2.03, 0.05), "elman": (3.0, 0.05)}
    trials = comparison(truth, generator=np.random.default_rng(5), seeds=4)
    timed = [one.model_copy(update={"training_seconds": 30.0}) for one in trials]
    ranking = ranked(timed)
    (parting,) = ranking.partings
    assert {parting.architecture, parting.leader} == {"lstm", "gru"}
    assert parting.more_seeds is not None
    assert parting.seconds == pytest.approx(60 * parting.more_seeds)
    (said,) = (text for text in ranking.open_questions if text.startswith("To part"))
    assert f"about {parting.more_seeds} more seeds each" in said


def sentences(**fields: object) -> tuple[str, ...]:
    trials = comparison(
        {"lstm": (2.0, 0.01), "gru": (2.1, 0.01)}, generator=np.random.default_rng(0)
    )
    return open_questions(ranked(trials).model_copy(update=fields))


def test_what_is_open_in_full() -> None:
    far = Parting(
        architecture="conv", leader="gru", gap=0.01, more_seeds=None, seconds=None,
        times_test_data=6.2, within_reach=False,
    )  # fmt: skip
    near = far.model_copy(
        update={
            "architecture": "mamba",
            "more_seeds": 9,
            "seconds": 2400.0,
            "times_test_data": None,
        }
    )
    assert sentences(partings=(near, far)) == (
        "To part gru and mamba: about 9 more seeds each, 40 min 0 s of training.",
        "Seeds do not part these at the gap that was measured, more test data would: gru and conv "
        "about 6.2 times as much.",
    )
    tried = (TriedRate(learning_rate=0.01, validation_value=2.0, trials=1, diverged=0),) * 2
    edge = row("conv", 0.0, learning_rate=0.02, learning_rate_at_edge=True, tried_rates=tried)
    assert sentences(rows=(edge,)) == (
        "conv (2e-2) has its best learning rate at the edge of those tried: beyond it may be a "
        "better one.",
    )


def test_the_slope_is_that_of_the_second_half_without_the_last_point() -> None:
    """The last point is of another set of examples."""
    curve = [(t, 5 - 0.3 * math.log2(t)) for t in range(100, 1000, 100)]
    curve = [(t, 9.0) if t < 400 else (t, value) for t, value in curve]
    assert slope_per_doubling([*curve, (1000, 77.0)]) == pytest.approx(-0.3)
    level = [(tokens, 0.984375) for tokens in range(1000, 11_000, 1000)]
    assert slope_per_doubling(level) == 0.0  # and not what the fit's rounding leaves
    assert slope_per_doubling([]) is None
    assert slope_per_doubling([(500, 2.0), (1000, 1.0)]) is None
    assert slope_per_doubling([*curve[:-1], (900, math.nan), (1000, 1.0)]) is None
    assert mean_slope([[*curve, (1000, 1.0)], []]) == pytest.approx(-0.3)


def test_curves_that_fall_by_more_than_what_decides_are_spoken_of() -> None:
    trials = comparison(
        {"lstm": (2.0, 0.01), "gru": (2.1, 0.01)}, generator=np.random.default_rng(0)
    )
    curve = tuple((t, 5 - 0.3 * math.log2(t)) for t in range(100, 1100, 100))
    falling = [one.model_copy(update={"validation_curve": curve}) for one in trials]
    ranking = ranked(falling)
    assert ranking.winner == "lstm"
    assert ranking.rows[0].gain_per_doubling == pytest.approx(0.3)
    gap = ranking.rows[1].gap_to_leader
    brings = "a doubling of training still brings 0.3 bits per byte, more than the gap of"
    assert f"{brings} {gap:.2g} that decides" in ranking.verdict
    assert ranking.open_questions[0].startswith("Undertrained: ")
    flat = [(t, 5 - 0.001 * math.log2(t)) for t, _ in curve]
    still = [one.model_copy(update={"validation_curve": tuple(flat)}) for one in trials]
    assert training_doubt(ranked(still)) == ""
    assert ranked(still).open_questions == ()


def test_a_metric_that_grows_gains_upwards() -> None:
    curve = tuple((t, 0.1 * math.log2(t)) for t in range(100, 1100, 100))
    trials = [
        trial("gru", chunks=np.full(12, 0.9), seed=seed, validation_curve=curve)
        for seed in range(2)
    ]
    ranking = rank(trials, CostTable(), metric="accuracy", lower_is_better=False, excluded={})
    assert ranking.rows[0].gain_per_doubling == pytest.approx(0.1)


@pytest.mark.parametrize("steps", [LEAST_STEPS - 1, LEAST_STEPS])
def test_a_few_steps_name_no_winner(steps: int) -> None:
    trials = comparison(
        {"ema": (2.0, 0.01), "gru": (2.5, 0.01)}, generator=np.random.default_rng(0)
    )
    ranking = ranked([one.model_copy(update={"steps": steps}) for one in trials])
    assert ranking.leaders == ("ema",)
    assert ranking.winner == (None if steps < LEAST_STEPS else "ema")
    assert ranking.verdict.startswith("No winner yet" if steps < LEAST_STEPS else "Winner: ema")
    assert ("after 99 steps of training" in ranking.verdict) == (steps < LEAST_STEPS)
