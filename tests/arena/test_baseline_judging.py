"""Nothing that does not beat its baseline is called best: verdict, winner, recommendation, rows."""

import numpy as np
import pytest
from comparisons import comparison, costs, table, trial

from seqarena.arena.baselines.judging import no_recommendation
from seqarena.arena.baselines.overlap import warned
from seqarena.arena.rank import rank
from seqarena.core.results.baselines import BaselineRecord
from seqarena.core.results.data_summary import DataSummary, SplitSummary
from seqarena.core.results.quantities import CostTable
from seqarena.core.results.records import Ranking, TrialSummary

CHUNKS = 40
TRUTH = {"gru": (2.00, 0.01), "lstm": (2.10, 0.01), "elman": (2.60, 0.01)}


def baseline(name: str = "n-gram", *, value: float = 2.0, **fields: object) -> BaselineRecord:
    facts: dict[str, object] = {
        "key": name,
        "name": name,
        "idea": "by hand",
        "task_digest": "0",
        "metric": "bits_per_byte",
        "value": value,
        "seconds": 1.5,
        "computed_at": "2026-01-01T00:00:00Z",
        "seqarena_version": "0",
        "numpy_version": "2",
        "processor": "planted",
    }
    return BaselineRecord.model_validate(facts | fields)


def trials_of(truth: dict[str, tuple[float, float]] = TRUTH, seed: int = 0, seeds: int = 3):
    drawn = np.random.default_rng(seed)
    return comparison(truth, generator=drawn, seeds=seeds, chunks=CHUNKS)


def paired(trials: list[TrialSummary], value: float, noise: float = 0.002) -> tuple[float, ...]:
    """Chunk values that rise and fall with those of the architectures, with this mean."""
    shared_C = np.array(trials[0].test_chunk_values)
    own_C = shared_C - shared_C.mean() + value
    return tuple((own_C + np.random.default_rng(9).normal(scale=noise, size=CHUNKS)).tolist())


def ranked(trials: list[TrialSummary], *baselines: BaselineRecord, **options: object) -> Ranking:
    settings: dict[str, object] = {
        "costs": CostTable(),
        "metric": "bits_per_byte",
        "lower_is_better": True,
        "excluded": {},
    }
    return rank(trials, **(settings | options), baselines=baselines)  # type: ignore[arg-type]


def test_without_baselines_nothing_changes() -> None:
    ranking = ranked(trials_of())
    assert (ranking.winner, ranking.baselines, ranking.below_baseline) == ("gru", (), ())
    assert not ranking.leader_below_baseline


def test_a_leader_below_its_baseline_is_not_called_best() -> None:
    trials = trials_of()
    record = baseline(value=1.5, chunk_values=paired(trials, 1.5), detail="order 5")
    ranking = ranked(trials, baseline("chance", value=8.0), record)
    assert ranking.winner is None
    assert ranking.below_baseline == ("gru", "lstm", "elman")
    assert ranking.verdict.startswith(
        "No architecture beats the n-gram baseline (order 5): 1.50 bits per byte against "
    )
    lead = ranking.baselines[0]
    ends = f"{-lead.lead_high:.2f} to {-lead.lead_low:.2f}"
    assert f"of gru ({-lead.lead:.2f} behind; 95 % interval {ends})" in ranking.verdict
    assert "Winner" not in ranking.verdict
    (only,) = ranking.recommendation
    assert only.startswith("No recommendation: nothing here beats the n-gram baseline")
    assert "best" not in only
    best, chance = ranking.baselines
    assert (best.name, chance.name) == ("n-gram", "chance")
    assert best.lead == pytest.approx(-0.5, abs=0.03)
    assert chance.lead_low > 5


def test_of_unfinished_trials_it_says_so_first() -> None:
    ranking = ranked(
        [*trials_of(), trial("sru", role="search", status="running")], baseline(value=1.5)
    )
    assert ranking.verdict.startswith(
        "So far (1 trial unfinished): no architecture beats the n-gram baseline: 1.50 bits per byte"
    )


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (0.25, "gru still gains 0.25 a doubling, at which at least 4.0 times the training"),
        (0.05, "Train longer or larger, or use"),  # ten doublings are too far
        (None, "Train longer or larger, or use"),
    ],
)
def test_it_says_how_much_training_would_reach_the_baseline(gain: float | None, said: str) -> None:
    ranking = ranked(trials_of(), baseline(value=1.5))
    leader = ranking.rows[0].model_copy(update={"gain_per_doubling": gain})
    best = ranking.baselines[0].model_copy(update={"lead": -0.5})
    changed = {"rows": (leader, *ranking.rows[1:]), "baselines": (best,)}
    (only,) = no_recommendation(ranking.model_copy(update=changed))
    assert said in only


def test_a_leader_above_it_wins_and_what_is_below_is_never_advised() -> None:
    trials = trials_of()
    measured = [
        costs("gru", 5e-3, None, None, None), costs("lstm", 4e-3, None, None, None),
        costs("elman", 1e-3, None, None, None),
    ]  # fmt: skip
    record = baseline(value=2.3, chunk_values=paired(trials, 2.3))
    without = ranked(trials, costs=table(measured))
    assert any("elman" in sentence for sentence in without.recommendation)
    ranking = ranked(trials, record, costs=table(measured))
    assert ranking.winner == "gru"
    assert ranking.below_baseline == ("elman",)
    assert ranking.verdict.startswith("Winner: gru")
    advised = [s for s in ranking.recommendation if not s.startswith("Never")]
    assert not any("elman" in sentence for sentence in advised)
    assert any("lstm" in sentence for sentence in advised)


def test_a_lead_that_may_be_chance_does_not_beat_it() -> None:
    truth = {"gru": (2.0, 0.1), "lstm": (2.3, 0.1)}
    trials = trials_of(truth, seed=3)
    (gru, _) = ranked(trials).rows
    value = gru.mean + 0.02
    ranking = ranked(trials, baseline(value=value, chunk_values=paired(trials, value)))
    assert ranking.below_baseline == ("gru", "lstm")
    assert "0.02 ahead, which may be chance; 95 % interval −" in ranking.verdict


def test_higher_is_better_turns_the_sign() -> None:
    trials = trials_of()
    options = {"lower_is_better": False, "metric": "accuracy"}
    above = ranked(trials, baseline(value=2.0, chunk_values=paired(trials, 2.0)), **options)
    assert above.winner == "elman"
    assert above.baselines[0].lead == pytest.approx(0.6, abs=0.03)
    assert "gru" in above.below_baseline
    below = ranked(trials, baseline(value=3.0, chunk_values=paired(trials, 3.0)), **options)
    assert below.leader_below_baseline
    assert below.baselines[0].lead == pytest.approx(-0.4, abs=0.03)


def test_pairing_narrows_the_interval_and_a_known_value_goes_without() -> None:
    trials = trials_of()
    unpaired = ranked(trials, baseline(value=1.5)).baselines[0]
    pair = ranked(trials, baseline(value=1.5, chunk_values=paired(trials, 1.5))).baselines[0]
    assert unpaired.lead == pytest.approx(pair.lead)
    assert pair.lead_high - pair.lead_low < (unpaired.lead_high - unpaired.lead_low) / 2
    # other chunks than the architectures have cannot be paired either
    odd = ranked(trials, baseline(value=1.5, chunk_values=(1.0, 2.0))).baselines[0]
    assert (odd.lead_low, odd.lead_high) == (unpaired.lead_low, unpaired.lead_high)


def test_a_perfect_model_beats_a_known_chance() -> None:
    chunks = np.ones(10)
    trials = [trial("gru", chunks=chunks, seed=k, test_num_scored=1000) for k in range(3)]
    ranking = ranked(
        trials, baseline("chance", value=0.5), lower_is_better=False, metric="accuracy"
    )
    assert ranking.below_baseline == ()


def test_one_seed_is_judged_by_the_choice_of_test_examples() -> None:
    trials = trials_of({"gru": (2.0, 0.0)}, seeds=1)
    assert ranked(trials, baseline(value=2.9)).below_baseline == ()
    assert ranked(trials, baseline(value=2.001)).below_baseline == ("gru",)
    assert ranked(trials, baseline(value=1.9)).verdict.startswith("No architecture beats")


def test_an_equal_baseline_is_rarely_beaten() -> None:
    """A baseline in the truth of all: whichever of five leads, it beats it in about 5 %."""
    beaten, tables = 0, 200
    for seed in range(tables):
        trials = trials_of({f"m{k}": (2.0, 0.05) for k in range(5)}, seed=seed)
        ranking = ranked(trials, baseline(value=2.0, chunk_values=paired(trials, 2.0)))
        beaten += len(ranking.below_baseline) < 5
    assert beaten / tables <= 0.10  # three standard errors of 200 above 5 %


def test_a_real_lead_is_found() -> None:
    trials = trials_of({f"m{k}": (2.0 + 0.1 * k, 0.02) for k in range(5)})
    ranking = ranked(trials, baseline(value=2.25, chunk_values=paired(trials, 2.25)))
    assert ranking.below_baseline == ("m3", "m4")


def split(name: str, examples: int, in_training: int) -> SplitSummary:
    return SplitSummary(split=name, examples=examples, in_training=in_training)


@pytest.mark.parametrize(("shared", "loud"), [(0, False), (810, False), (811, True), (5936, True)])
def test_a_large_overlap_is_the_first_thing_said(shared: int, loud: bool) -> None:
    ranking = ranked(trials_of())
    parts = (split("train", 20_000, 0), split("validation", 100, 0), split("test", 8102, shared))
    summary = DataSummary(origin="scan", compared="pair", splits=parts)
    found = warned(ranking, summary)
    assert bool(found.warnings) == loud
    if not loud:
        assert found == ranking
        return
    start = f"{shared / 8102:.1%}".replace("%", " %").replace("10.0 %", "10 %")
    assert found.verdict.startswith(f"{start} of the test's pairs are in training too: {shared:,}")
    assert "--drop-overlap" in found.verdict
    assert found.verdict.endswith(ranking.verdict)


def test_a_validation_split_in_training_is_said_too() -> None:
    parts = (split("train", 200, 0), split("validation", 100, 60), split("test", 100, 0))
    found = warned(ranked(trials_of()), DataSummary(origin="x", splits=parts))
    assert found.verdict.startswith("60 % of the validation's examples are in training too: 60 of")
