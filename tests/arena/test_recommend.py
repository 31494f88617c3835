"""The Pareto front by hand and by its properties; the recommendation's sentences."""

import pytest
from comparisons import cost, costs, row, table
from hypothesis import given
from hypothesis import strategies as st

from seqarena.arena.front import beats, best_on, cost_ratio, pareto_front
from seqarena.arena.recommend import MOST_LOST, most_lost, recommend, so_far, verdict
from seqarena.core.results.measurement import Series
from seqarena.core.results.quantities import CostTable, quantity
from seqarena.core.results.records import Ranking, RankRow

FLOOR = 0.01
DECODING = quantity("decode_seconds_per_token")


def ranking_of(rows: list[RankRow], measured: list[list[Series]], **fields: object) -> Ranking:
    front = pareto_front(rows, table(measured), FLOOR)
    placed = [
        one.model_copy(update={"place": place, "on_front": one.architecture in front})
        for place, one in enumerate(rows, start=1)
    ]
    leaders = tuple(one.architecture for one in rows if one.ties_leader)
    facts: dict[str, object] = {
        "metric": "bits_per_byte",
        "lower_is_better": True,
        "rows": tuple(placed),
        "excluded": {},
        "noise_floor": FLOOR,
        "noise_floor_origin": "",
        "repeat_difference": None,
        "winner": leaders[0] if len(leaders) == 1 else None,
        "leaders": leaders,
        "verdict": "",
        "recommendation": (),
    }
    return Ranking.model_validate(facts | fields)


LADDER = [row("attention", 0.0), row("lstm", 0.05), row("gru", 0.09), row("elman", 0.5)]
LADDER_COSTS = [
    costs("attention", 4e-3, 20_000, 8e6, 1e6),
    costs("lstm", 2e-3, 9_000, 4e6, 4096),
    costs("gru", 1e-3, 10_000, 3e6, 2048),
    costs("elman", 1.5e-3, 9_500, 3e6, 2048),
]


def test_front_by_hand() -> None:
    # lstm is off by gru in every cost but better in quality; elman loses to gru everywhere
    assert pareto_front(LADDER, table(LADDER_COSTS), FLOOR) == ("attention", "lstm", "gru")


def test_quality_inside_the_noise_floor_counts_as_equal() -> None:
    rows = [row("lstm", 0.0), row("gru", 0.008)]
    measured = [costs("lstm", 2.0, 1.0, 1.0, 1.0), costs("gru", 1.0, 1.0, 1.0, 1.0)]
    assert pareto_front(rows, table(measured), FLOOR) == ("gru",)
    assert pareto_front(rows, table(measured), 0.001) == ("lstm", "gru")


def test_equals_beat_nobody() -> None:
    rows = [row("lstm", 0.0), row("gru", 0.0)]
    measured = [costs(name, 1.0, 1.0, 1.0, 1.0) for name in ("lstm", "gru")]
    assert pareto_front(rows, table(measured), FLOOR) == ("lstm", "gru")


def test_what_was_not_measured_neither_wins_nor_loses() -> None:
    rows = [row("lstm", 0.0), row("gru", 0.5)]
    measured = [costs("lstm", 1.0, 1.0, 1.0, 1.0), costs("gru", 2.0, 0.5, 2.0, None)]
    assert pareto_front(rows, table(measured), FLOOR) == ("lstm", "gru")
    assert pareto_front(rows, CostTable(), FLOOR) == ("lstm",)


def test_a_chain_of_ties_keeps_its_better_end() -> None:
    """c beats b and b beats a, each level in quality with the next, but c is not level with a."""
    rows = [row("a", 0.0), row("b", 0.008), row("c", 0.016)]
    measured = [costs(name, cost, 1.0, 1.0, 1.0) for name, cost in (("a", 3), ("b", 2), ("c", 1))]
    assert pareto_front(rows, table(measured), FLOOR) == ("a", "c")


LEVELS = st.sampled_from([None, 1.0, 2.0, 3.0])
FIELDS = st.lists(
    st.tuples(st.integers(0, 6), LEVELS, LEVELS, LEVELS, LEVELS), min_size=1, max_size=8
)


@given(FIELDS)
def test_properties_of_the_front(field) -> None:
    rows = [row(str(index), one[0] * 0.006) for index, one in enumerate(field)]
    measured = [costs(str(index), *one[1:]) for index, one in enumerate(field)]
    known = table(measured)
    front = set(pareto_front(rows, table(measured), FLOOR))
    assert front
    for one in rows:
        beaters = {o.architecture for o in rows if beats(o, one, known, FLOOR)}
        assert (one.architecture in front) == (not beaters & front)
    assert set(pareto_front(rows[::-1], table(measured[::-1]), FLOOR)) == front


@given(FIELDS)
def test_sentences_stay_few_and_different(field) -> None:
    best = min(one[0] for one in field)
    gaps = [(one[0] - best) * 0.006 for one in field]
    order = sorted(range(len(field)), key=lambda index: gaps[index])
    rows = [row(str(index), gaps[index]) for index in order]
    measured = [costs(str(index), *field[index][1:]) for index in order]
    ranking = ranking_of(rows, measured)
    sentences = recommend(ranking, table(measured))
    assert 1 <= len(sentences) <= 7
    assert len(set(sentences)) == len(sentences)
    assert all(sentence.endswith(".") for sentence in sentences)
    assert not any("None" in sentence or "nan" in sentence for sentence in sentences)
    said = verdict(ranking, table(measured), seeds_measured=True)
    assert said.endswith(".")


def test_the_recommendation_of_the_ladder() -> None:
    ranking = ranking_of(LADDER, LADDER_COSTS)
    assert recommend(ranking, table(LADDER_COSTS)) == (
        "For the best quality: attention, 2.000 bits per byte; none within 5 % of it is measurably "
        "5 % better in training speed.",
        "For the fastest decoding, the least memory while training and the smallest state: gru "
        "decodes 4.0 times faster (1 ms per token), trains in 2.7 times less memory (3 MB) and "
        "keeps a state 488 times smaller (2.05 kB) than attention, for 0.09 more bits per byte.",
        "Never: elman, which gru beats or equals on every axis (decodes 1.5 times slower, for 0.41 "
        "more bits per byte).",
    )


def timings(architecture: str, *decode: float, shares: float | None = None) -> list[Series]:
    """Repeats of decoding, and a state that all have."""
    settings = {} if shares is None else {"others_share": shares, "disturbed": True}
    decoding = cost(architecture, "decode_seconds_per_token", *decode)
    return [
        decoding.model_copy(update={"settings": settings}),
        cost(architecture, "state_bytes", 8.0),
    ]


def test_no_sentence_tells_costs_apart_whose_repeats_overlap() -> None:
    rows = [row("lstm", 0.0), row("gru", 0.05), row("elman", 0.5)]
    measured = [timings("lstm", 3.0, 3.1, 4.5), timings("gru", 1.0, 2.0, 3.2)]
    measured.append(timings("elman", 0.1, 0.2, 2.5))
    known = table(measured)
    assert known.level("lstm", "gru", DECODING)
    assert not known.level("lstm", "elman", DECODING)
    assert known.best(("lstm", "gru", "elman"), DECODING) == {"gru", "elman"}
    assert best_on(DECODING, rows, known).architecture == "gru"  # of the two, better in quality
    assert cost_ratio(DECODING, known, "lstm", "gru") == 1.0
    assert cost_ratio(DECODING, known, "lstm", "elman") == 3.1 / 0.2
    ranking = ranking_of(rows[:2], measured[:2])
    assert recommend(ranking, table(measured[:2])) == (
        "For the best quality: lstm, 2.000 bits per byte; none within 5 % of it is measurably 5 % "
        "better in decoding speed or state size.",
    )
    assert "faster" not in verdict(
        ranking_of([rows[0], row("gru", 0.004)], measured[:2]),
        table(measured[:2]),
        seeds_measured=True,
    )


def test_what_is_level_in_cost_and_quality_is_not_beaten() -> None:
    rows = [row("lstm", 0.0), row("gru", 0.005)]
    apart = [timings("lstm", 1.0, 1.1), timings("gru", 1.2, 1.3)]
    overlapping = [timings("lstm", 1.0, 1.25), timings("gru", 1.2, 1.3)]
    assert pareto_front(rows, table(apart), FLOOR) == ("lstm",)
    assert pareto_front(rows, table(overlapping), FLOOR) == ("lstm", "gru")


def test_costs_of_a_busy_machine_decide_nothing() -> None:
    measured = [timings("lstm", 3.0, 3.1, shares=0.6), timings("gru", 1.0, 1.1)]
    known = table(measured)
    assert known.disturbed == 0.6
    assert known.value("gru", DECODING) == 1.05  # it is shown all the same
    assert known.best(("lstm", "gru"), DECODING) == set()
    assert known.deciding.measured() == []
    assert "60 % of its cores by others" in known.doubts()[0]


def test_the_best_quality_is_the_leader_whatever_ties_with_it() -> None:
    """The headline and the cards have one criterion; a cheaper one that is level is a trade."""
    rows = [row("lstm", 0.0), row("gru", 0.004)]
    measured = [costs("lstm", 1.0, 2.0, 1.0, 4.0), costs("gru", 0.5, 1.0, 0.5, 2.0)]
    ranking = ranking_of(rows, measured)
    first, second = recommend(ranking, table(measured))
    assert first.startswith("For the best quality: lstm, 2.000 bits per byte, tied with gru")
    assert second.startswith("For the fastest decoding, the least memory")
    assert second.endswith("than lstm, level in bits per byte.")
    beaten = [row("lstm", 0.0), row("gru", 0.004)]  # the leader is dearer on every axis
    dear = [costs("lstm", 1.0, 1.0, 1.0, 4.0), costs("gru", 0.5, 2.0, 0.5, 2.0)]
    assert pareto_front(beaten, table(dear), FLOOR) == ("gru",)
    said = recommend(ranking_of(beaten, dear), table(dear))
    assert said[0].startswith("For the best quality: lstm")
    assert "the fastest training" in said[1]


def test_the_leader_is_not_both_proposed_and_refused() -> None:
    """Where a cheaper one is level inside the noise, the leader is the best quality still."""
    rows = [row("lstm", 0.0), row("gru", 0.008), row("elman", 0.5)]
    measured = [costs(name, size, 1 / size, size, size)
                for name, size in (("lstm", 2.0), ("gru", 1.0), ("elman", 3.0))]  # fmt: skip
    quality, *others = recommend(ranking_of(rows, measured), table(measured))
    assert quality.startswith("For the best quality: lstm")
    assert others[-1].startswith("Never: elman")
    assert "lstm, which" not in others[-1]


def test_no_trade_loses_more_than_a_stated_amount() -> None:
    """The fastest decoder is the last in quality: it is named, and not proposed."""
    rows = [row("lstm", 0.0), row("gru", 0.09), row("irnn", 0.9)]
    measured = [
        costs("lstm", 3.0, 1.0, 3.0, 3.0),
        costs("gru", 2.0, 1.0, 3.0, 3.0),
        costs("irnn", 1.0, 1.0, 3.0, 3.0),
    ]
    ranking = ranking_of(rows, measured)
    said = recommend(ranking, table(measured))
    assert said[1] == (
        "For the fastest decoding: gru decodes 1.5 times faster (2,000 ms per token) than lstm, "
        "for 0.09 more bits per byte."
    )
    assert said[2] == (
        "Not proposed, though cheapest on an axis: irnn (0.9 behind); a trade may lose 0.1 bits "
        "per byte."
    )
    assert most_lost(ranking) == pytest.approx(MOST_LOST * 2.0)
    noisy = ranking.model_copy(update={"noise_floor": 1.0})  # level in quality: any may be offered
    assert "irnn decodes" in recommend(noisy, table(measured))[1]
    tied = [one.model_copy(update={"ties_leader": True}) for one in ranking.rows]
    wide = ranking.model_copy(update={"rows": tuple(tied), "leaders": ("lstm", "gru", "irnn")})
    told = verdict(wide, table(measured), seeds_measured=True)
    assert told.endswith("gru decodes 1.5 times faster than lstm.")


def test_an_uncertain_tie_is_not_sent_to_for_quality() -> None:
    rows = [row("lstm", 0.0), row("wild", 0.4, gap_low=-0.2, gap_high=1.0, ties_leader=True)]
    measured = [costs("lstm", 2.0, 1.0, 2.0, 2.0), costs("wild", 1.0, 2.0, 1.0, 1.0)]
    assert recommend(ranking_of(rows, measured), table(measured))[0].startswith(
        "For the best quality: lstm, 2.000 bits per byte, tied with wild"
    )


def test_costs_of_nothing_have_no_ratio() -> None:
    rows = [row("lstm", 0.0), row("average", 0.08)]
    measured = [costs("lstm", 1.0, None, None, 4.0), costs("average", 1.0, None, None, 0.0)]
    second = recommend(ranking_of(rows, measured), table(measured))[1]
    assert second == (
        "For the smallest state: average has a state size of 0 B, for 0.08 more bits per byte."
    )


def test_a_metric_that_grows_is_given_up_not_added() -> None:
    ranking = ranking_of(LADDER, LADDER_COSTS, metric="accuracy", lower_is_better=False)
    assert "for 0.09 less accuracy" in recommend(ranking, table(LADDER_COSTS))[1]


def test_without_costs_only_quality_is_spoken_of() -> None:
    assert recommend(ranking_of(LADDER, []), CostTable()) == (
        "For the best quality: attention, 2.000 bits per byte.",
    )


def test_verdicts_in_full() -> None:
    won = ranking_of(LADDER, LADDER_COSTS)
    assert verdict(won, table(LADDER_COSTS), seeds_measured=True) == (
        "Winner: attention, 2.000 bits per byte (95 % interval 1.990 to 2.010), 0.05 ahead of lstm "
        "(0.045 to 0.055; noise floor 0.01)."
    )
    rows = [row("lstm", 0.0), row("gru", 0.004), row("elman", 0.3)]
    measured = [costs("lstm", 1.3, None, None, None), costs("gru", 1.0, None, None, None)]
    tied = ranking_of(rows, measured)
    assert so_far(verdict(tied, table(measured), seeds_measured=True), 2) == (
        "So far (2 trials unfinished): no winner: lstm (2.000 bits per byte) and gru (2.004) "
        "differ by 0.004, inside the noise floor of 0.01; gru decodes 1.3 times faster than lstm."
    )
