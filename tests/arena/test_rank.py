"""Ranking against planted truths: a winner, a tie, a trap in the choice of the learning rate."""

import math
import random

import numpy as np
import pytest
from comparisons import comparison, cost, costs, table, trial

from seqarena.arena.entries import choose_learning_rate
from seqarena.arena.rank import rank, repeat_difference
from seqarena.core.errors import UserError
from seqarena.core.results.quantities import CostTable
from seqarena.core.results.records import Ranking, TrialSummary

PLANTED = {
    "gru": (2.10, 0.01),
    "lstm": (2.00, 0.01),
    "elman": (2.60, 0.01),
    "attention": (2.30, 0.01),
}


def ranked(trials: list[TrialSummary], **options: object) -> Ranking:
    settings: dict[str, object] = {
        "costs": CostTable(),
        "metric": "bits_per_byte",
        "lower_is_better": True,
        "excluded": {},
    }
    return rank(trials, **(settings | options))  # type: ignore[arg-type]


def planted(truth: dict[str, tuple[float, float]], seed: int = 0, seeds: int = 3):
    return comparison(truth, generator=np.random.default_rng(seed), seeds=seeds)


def test_a_planted_winner_is_found() -> None:
    ranking = ranked(planted(PLANTED))
    assert ranking.winner == "lstm"
    assert ranking.leaders == ("lstm",)
    assert [row.architecture for row in ranking.rows] == ["lstm", "gru", "attention", "elman"]
    assert [row.place for row in ranking.rows] == [1, 2, 3, 4]
    for row in ranking.rows:
        assert row.low <= PLANTED[row.architecture][0] <= row.high
        assert row.mean == pytest.approx(np.mean(row.seed_values))
        assert row.seeds == (0, 1, 2)
    lstm, gru = ranking.rows[:2]
    assert (lstm.gap_to_leader, lstm.p_value, lstm.ties_leader) == (0, None, True)
    assert gru.gap_to_leader == pytest.approx(gru.mean - lstm.mean)
    assert gru.gap_low < gru.gap_to_leader < gru.gap_high
    assert gru.gap_low <= 0.1 <= gru.gap_high
    assert ranking.noise_floor < 0.05
    assert ranking.verdict.startswith("Winner: lstm, ")
    assert "ahead of gru" in ranking.verdict


def test_a_metric_that_grows_turns_the_order_and_keeps_the_sign_of_the_gap() -> None:
    ranking = ranked(planted(PLANTED), lower_is_better=False, metric="accuracy")
    assert ranking.winner == "elman"
    assert all(row.gap_to_leader > 0 for row in ranking.rows[1:])
    assert all(row.gap_low < row.gap_high for row in ranking.rows[1:])


def test_a_planted_tie_has_no_winner_and_says_who_is_cheaper() -> None:
    measured = [costs("lstm", 1.3e-3, None, None, None), costs("gru", 1e-3, None, None, None)]
    truth = {"lstm": (2.0, 0.02), "gru": (2.0, 0.02), "elman": (3.0, 0.02)}
    ranking = ranked(planted(truth, seed=1), costs=table(measured))
    assert ranking.winner is None
    assert set(ranking.leaders) == {"lstm", "gru"}
    assert ranking.verdict.startswith("No winner: ")
    assert "gru decodes 1.3 times faster than lstm" in ranking.verdict
    assert "elman" not in ranking.verdict


def test_ties_rarely_get_a_winner() -> None:
    truth = {"lstm": (2.0, 0.02), "gru": (2.0, 0.02), "elman": (3.0, 0.02)}
    winners = [ranked(planted(truth, seed=seed)).winner for seed in range(120)]
    # nominal 5 %; three standard errors of 120 trials are 6 %
    assert sum(winner is not None for winner in winners) / len(winners) <= 0.11


def test_an_unstable_runner_up_is_a_tie() -> None:
    """Its gap is beyond what the others' noise explains and proves nothing."""
    truth = {name: (2.5 + 0.1 * index, 0.005) for index, name in enumerate("abcdef")}
    trials = planted(truth | {"lstm": (2.0, 0.005)})
    for seed, value in enumerate((2.01, 2.02, 2.9)):
        trials.append(trial("wild", chunks=np.full(12, value), seed=seed))
    ranking = ranked(trials)
    wild = ranking.rows[1]
    assert wild.architecture == "wild"
    assert wild.gap_low < 0
    assert wild.p_value is not None
    assert wild.p_value > 0.05
    assert ranking.winner is None
    assert ranking.leaders == ("lstm", "wild")
    assert f"may be chance (p {wild.p_value:.2f}, among 8 architectures)" in ranking.verdict


def test_a_diverged_seed_bars_a_winner() -> None:
    """2.0 and two diverged seeds do not beat three seeds at 2.5."""
    trials = [
        trial("steady", seed=s, test_value=v, validation_value=v)
        for s, v in enumerate((2.50, 2.51, 2.49))
    ]
    trials.append(trial("fragile", seed=0, test_value=2.0, validation_value=2.0))
    trials += [trial("fragile", seed=s, status="diverged") for s in (1, 2)]
    ranking = ranked(trials)
    assert [row.architecture for row in ranking.rows] == ["steady", "fragile"]
    assert ranking.leaders == ("steady",)
    assert ranking.rows[1].on_front is False
    assert "fragile (2.000) cannot lead, since 2 of its 3 seeds diverged" in ranking.verdict
    alone = ranked([t for t in trials if t.architecture == "fragile"])
    assert alone.winner is None


def test_one_seed_names_no_winner_and_says_what_is_missing() -> None:
    ranking = ranked(planted(PLANTED, seeds=1))
    assert ranking.leaders == ("lstm",)
    assert ranking.winner is None
    assert "seed noise is not measured" in ranking.verdict
    assert ranking.noise_floor == 0
    assert ranking.noise_floor_origin.startswith("not measured")
    assert all(row.p_value is None for row in ranking.rows)
    assert all(row.low < row.mean < row.high for row in ranking.rows)  # the choice of chunks


def test_with_one_seed_the_floor_is_what_a_repetition_shows() -> None:
    trials = [
        trial("lstm", seed=0, test_value=2.0, validation_value=2.0),
        trial("lstm", seed=0, role="repeat", test_value=2.03, validation_value=2.0),
        trial("gru", seed=0, test_value=2.02, validation_value=2.0),
    ]
    ranking = ranked(trials)
    assert ranking.repeat_difference == pytest.approx(0.03)
    assert ranking.noise_floor == pytest.approx(0.03)
    assert ranking.leaders == ("lstm", "gru")


def test_repetitions_are_compared_with_their_twin_only() -> None:
    trials = [
        trial("lstm", seed=0, test_value=2.0),
        trial("lstm", seed=1, test_value=9.0),
        trial("lstm", seed=0, role="repeat", test_value=1.9),
        trial("gru", seed=0, test_value=5.0),
    ]
    assert repeat_difference(trials) == pytest.approx(0.1)
    assert repeat_difference(trials[:2]) is None
    rows = {row.architecture: row for row in ranked(trials).rows}
    assert rows["lstm"].seed_values == (2.0, 9.0)  # the repetition is no further seed


def searched(validation: dict[float, float | None], test: dict[float, float]):
    return [
        trial(
            "lstm",
            role="search",
            learning_rate=rate,
            status="diverged" if value is None else "finished",
            validation_value=value,
            test_value=test.get(rate),
        )
        for rate, value in validation.items()
    ]


def test_the_learning_rate_is_never_chosen_on_test() -> None:
    trials = searched({0.001: 2.5, 0.01: 2.0, 0.1: 2.4}, test={0.001: 1.0, 0.01: 3.0, 0.1: 2.0})
    (row,) = ranked(trials).rows
    assert row.learning_rate == 0.01
    assert row.mean == 3.0
    assert not row.learning_rate_at_edge


def test_trials_at_other_rates_stay_out_of_the_ranking() -> None:
    trials = searched({0.001: 2.5, 0.01: 2.0}, test={0.001: 1.0, 0.01: 3.0})
    trials.append(trial("lstm", seed=1, learning_rate=0.01, test_value=4.0))
    trials.append(trial("lstm", seed=2, learning_rate=0.001, test_value=1.0))
    (row,) = ranked(trials).rows
    assert row.seed_values == (3.0, 4.0)
    assert row.learning_rate_at_edge


@pytest.mark.parametrize(
    ("validation", "lower", "rate", "edge"),
    [
        ({0.001: 2.0, 0.01: 2.1, 0.1: 2.2}, True, 0.001, True),
        ({0.001: 2.0, 0.01: 2.1, 0.1: 2.2}, False, 0.1, True),
        ({0.001: 2.1, 0.01: 2.0, 0.1: None}, True, 0.01, False),  # bounded by the diverged one
        ({0.001: 2.5, 0.01: 2.0, 0.1: 2.0, 1.0: 3.0}, True, 0.01, False),  # equal: the lower
        ({0.01: 2.0}, True, 0.01, True),
        ({0.001: 2.5, 0.01: math.nan}, True, 0.001, True),
    ],
)
def test_choice_of_the_learning_rate(validation, lower: bool, rate: float, edge: bool) -> None:
    choice = choose_learning_rate(searched(validation, test={}), lower_is_better=lower)
    assert not isinstance(choice, str)
    assert (choice.value, choice.at_edge) == (rate, edge)


def test_who_diverged_everywhere_is_excluded_with_the_reason() -> None:
    trials = planted(PLANTED)
    for rate in (0.01, 0.1):
        trials.append(trial("sru", role="search", learning_rate=rate, status="diverged"))
    trials.append(trial("slow", role="search", status="running"))
    ranking = ranked(trials, excluded={"encoder": "cannot generate"})
    assert ranking.excluded == {
        "encoder": "cannot generate",
        "slow": "no trial has finished yet",
        "sru": "diverged at every learning rate tried (0.01, 0.1)",
    }
    assert ranking.verdict.startswith("So far (1 trial unfinished): winner: lstm")


def test_excluded_architectures_are_not_ranked_even_with_trials() -> None:
    ranking = ranked(planted(PLANTED), excluded={"lstm": "broken"})
    assert ranking.winner == "gru"
    assert "lstm" in ranking.excluded


def test_a_seed_that_diverged_is_said() -> None:
    trials = [trial("gru", seed=s, test_value=2.0 + s / 100) for s in range(2)]
    trials.append(trial("gru", seed=7, status="diverged"))
    trials += [trial("lstm", seed=s, test_value=3.0) for s in range(1)]
    trials += [trial("lstm", seed=s, status="diverged") for s in (1, 2)]
    ranking = ranked(trials)
    assert ranking.rows[0].diverged_seeds == (7,)
    assert ranking.winner is None
    assert "1 of 3 seeds of gru diverged" in ranking.verdict


def test_unequal_numbers_of_seeds_still_compare() -> None:
    trials = [t for t in planted(PLANTED) if not (t.architecture == "gru" and t.seed > 0)]
    ranking = ranked(trials)
    gru = ranking.rows[1]
    assert gru.architecture == "gru"
    assert gru.gap_high - gru.gap_low > 0.01  # borrows the seed noise of the others
    assert ranking.winner == "lstm"


def test_p_values_are_corrected_for_all_pairs() -> None:
    """The same gap proves less among more: the leader is picked by its score."""
    trials = planted(PLANTED)
    alone = ranked([t for t in trials if t.architecture in ("lstm", "gru")]).rows[1]
    among = ranked(trials).rows[1]
    assert alone.architecture == among.architecture == "gru"
    assert alone.p_value is not None
    assert among.p_value is not None
    assert among.p_value > alone.p_value


def test_the_order_of_the_trials_changes_nothing() -> None:
    trials = planted(PLANTED)
    measured = [cost(name, "state_bytes", 8.0) for name in PLANTED]
    first = ranked(trials, costs=CostTable(measured))
    for seed in range(3):
        shuffled, turned = list(trials), list(measured)
        random.Random(seed).shuffle(shuffled)
        random.Random(seed).shuffle(turned)
        assert ranked(shuffled, costs=CostTable(turned)) == first


def test_names_change_nothing_but_names() -> None:
    renamed = {"lstm": "zeta", "gru": "alpha", "elman": "beta", "attention": "aa"}
    trials = planted(PLANTED)
    other = [t.model_copy(update={"architecture": renamed[t.architecture]}) for t in trials]
    first, second = ranked(trials), ranked(other)
    for one, two in zip(first.rows, second.rows, strict=True):
        assert renamed[one.architecture] == two.architecture
        assert (one.mean, one.low, one.high) == (two.mean, two.low, two.high)
        assert (one.gap_low, one.gap_high, one.p_value) == (two.gap_low, two.gap_high, two.p_value)


def test_confidence_sets_the_width() -> None:
    trials = planted(PLANTED)
    narrow, wide = (ranked(trials, confidence=level) for level in (0.8, 0.99))
    assert narrow.noise_floor < wide.noise_floor
    for one, two in zip(narrow.rows, wide.rows, strict=True):
        assert two.low < one.low < one.high < two.high


def test_a_single_architecture_is_compared_with_nothing() -> None:
    ranking = ranked(planted({"lstm": (2.0, 0.01)}))
    assert ranking.winner is None
    assert ranking.leaders == ("lstm",)
    assert ranking.verdict.startswith("Nothing to compare: lstm")


def test_mistakes_are_told_in_one_line() -> None:
    with pytest.raises(UserError, match="nothing to rank: no trial was given"):
        ranked([])
    with pytest.raises(UserError, match="nothing to rank: sru: diverged at every learning rate"):
        ranked([trial("sru", status="diverged")])
    with pytest.raises(UserError, match="confidence is 95"):
        ranked(planted(PLANTED), confidence=95)
    uneven = [trial("lstm", chunks=np.ones(3)), trial("gru", chunks=np.ones(4))]
    with pytest.raises(UserError, match="3 and 4 chunks"):
        ranked(uneven)
    twice = [trial("lstm", test_value=2.0), trial("lstm", test_value=2.0, role="search")]
    with pytest.raises(UserError, match="must have the role 'repeat'"):
        ranked(twice)


def test_costs_of_a_busy_machine_are_in_no_statement_and_on_no_front() -> None:
    trials = planted(PLANTED)
    measured = [costs(name, 1.0 + at, 1.0 + at, 1.0 + at, 8.0) for at, name in enumerate(PLANTED)]
    quiet = ranked(trials, costs=table(measured))
    assert any("gru" in one for one in quiet.recommendation[1:])
    one = measured[2][0]
    measured[2][0] = one.model_copy(update={"settings": {"disturbed": True, "others_share": 0.6}})
    busy = ranked(trials, costs=table(measured))
    assert [row.architecture for row in busy.rows if row.on_front] == ["lstm"]
    first, second = busy.recommendation
    assert first == f"For the best quality: lstm, {busy.rows[0].mean:.3f} bits per byte."
    assert second.startswith("The machine was busy (60 % of its cores by others)")
