"""Plans and trials as data: what changes a trial's name, what can run when."""

import math
from pathlib import Path
from typing import Any

import pytest

from seqarena.arena.folder import RunFolder
from seqarena.arena.plan import (
    Entry,
    Plan,
    Role,
    Trial,
    chosen_rate,
    ready_trials,
    search_trials,
    total_trials,
    trial,
)
from seqarena.arena.requests import SearchRequest, SizeRequest
from seqarena.arena.run import RunState
from seqarena.core.batch import own_inputs
from seqarena.core.errors import UserError
from seqarena.core.results.records import ResultRecord, TrialSummary
from seqarena.models.build import model_config
from seqarena.models.catalog import CATALOG
from seqarena.train.budget import Budget
from seqarena.train.config import TrainingRequest


def entry(name: str) -> Entry:
    config = model_config(CATALOG[name], own_inputs(9), params=None, width=16, depth=1)
    return Entry(architecture=name, model=config, parameters=1)


def make_plan(**changes: object) -> Plan:
    fields = {
        "name": "p", "command": "c", "task": {"kind": "language", "data": "a.txt"},
        "task_digest": "d", "entries": (entry("elman"), entry("gru")), "excluded": {},
        "size": SizeRequest(width=16),
        "training": TrainingRequest(budget=Budget(steps=1), batch_size=2),
        "search": SearchRequest(learning_rates=(0.1, 0.2), num_seeds=2, widen=0),
        "device": "cpu", "dtype": "float32", "threads": 1, "code": "x",
    }  # fmt: skip
    return Plan(**fields | changes)


def test_a_trial_is_named_by_everything_that_matters() -> None:
    plan = make_plan()
    first = trial(plan, plan.entries[0], 0.1, 0)
    recoded = plan.entries[0].model_copy(update={"code": "y"})
    timed = make_plan(training=TrainingRequest(budget=Budget(seconds=1.0)))
    others = [
        trial(plan, recoded, 0.1, 0),
        trial(timed, timed.entries[0], 0.1, 0),
        trial(make_plan(training=timed.training, threads=2), timed.entries[0], 0.1, 0),
        trial(make_plan(training=timed.training, products="onednn"), timed.entries[0], 0.1, 0),
        trial(plan, plan.entries[1], 0.1, 0),
        trial(plan, plan.entries[0], 0.2, 0),
        trial(plan, plan.entries[0], 0.1, 1),
        trial(plan, plan.entries[0], 0.1, 0, 1),
        *(
            trial(changed, changed.entries[0], 0.1, 0)
            for changed in (
make_plan(task_digest="e"), make_plan(dtype="float64"),
                make_plan(training=TrainingRequest(budget=Budget(steps=1), batch_size=3)),
                make_plan(training=TrainingRequest(budget=Budget(steps=2), batch_size=2)),
            )
        ),
    ]  # fmt: skip
    assert len({first.hash, *(other.hash for other in others)}) == 1 + len(others)


@pytest.mark.parametrize(
    "changes",
    [
        {"task": {"kind": "language", "data": "/elsewhere/b.txt"}},
        {"threads": 8}, {"device": "cuda"}, {"products": "onednn"}, {"code": "another version"},
    ],
)  # fmt: skip
def test_where_data_lie_and_where_it_runs_do_not_matter(changes: dict[str, object]) -> None:
    moved, plan = make_plan(**changes), make_plan()
    assert trial(plan, plan.entries[0], 0.1, 0).hash == trial(moved, moved.entries[0], 0.1, 0).hash


@pytest.mark.parametrize(
    "changes", [{"threads": 8}, {"device": "cuda"}, {"products": "onednn"}, {"code": "another"}]
)
def test_a_folder_takes_a_plan_from_another_machine_or_version(
    changes: dict[str, object], tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path)
    folder.adopt(make_plan())
    folder.adopt(make_plan(**changes))
    assert folder.load_plan() == make_plan(**changes)
    with pytest.raises(UserError, match="--steps 1 -> 9"):
        folder.adopt(make_plan(training=TrainingRequest(budget=Budget(steps=9), batch_size=2)))


def test_searches_come_first_then_seeds_at_the_best_rate_on_validation() -> None:
    plan = make_plan()
    validation: dict[str, float | None] = {}
    assert [role for role, _ in ready_trials(plan, validation, True)] == ["search"] * 4
    low, high = search_trials(plan, plan.entries[0], {}, True)
    validation |= {low.hash: 2.0, high.hash: 1.0}
    ready = ready_trials(plan, validation, True)
    assert [role for role, _ in ready] == ["search", "search", "seed", "repeat"]
    assert {t.training.optimizer.learning_rate for r, t in ready if r != "search"} == {0.2}
    assert chosen_rate(plan, plan.entries[0], validation, lower_is_better=False) == 0.1


def test_diverged_rates_are_not_chosen_and_a_diverged_architecture_runs_no_seeds() -> None:
    plan = make_plan()
    (low, high), others = (search_trials(plan, e, {}, True) for e in plan.entries)
    validation: dict[str, float | None] = {low.hash: None, high.hash: 5.0}
    assert chosen_rate(plan, plan.entries[0], validation, True) == 0.2
    validation |= {t.hash: None for t in others}
    ready = ready_trials(plan, validation, True)
    assert {(role, t.architecture) for role, t in ready} == {("seed", "elman"), ("repeat", "elman")}


def test_everything_finished_leaves_nothing_and_the_count_is_right() -> None:
    plan, validation = make_plan(), {}
    seen = 0
    while ready := ready_trials(plan, validation, True):
        seen += len(ready)
        validation |= {t.hash: float(seen) for _, t in ready}
    assert seen == total_trials(plan, {}, True) == total_trials(plan, validation, True) == 7


def test_a_plan_tries_wider_rates_until_the_best_is_inside() -> None:
    """The loss is (log10 rate + 3)^2: the best is far below the grid of 0.1 and 0.2."""
    plan = make_plan(search=SearchRequest(learning_rates=(0.1, 0.01), num_seeds=1, widen=4))
    settled: dict[str, float | None] = {}
    rates = []
    while ready := ready_trials(plan, settled, True):
        for role, one in ready:
            rate = one.training.optimizer.learning_rate
            settled[one.hash] = (math.log10(rate) + 3) ** 2
            rates += [rate] if (role, one.architecture) == ("search", "gru") else []
    assert rates == [0.01, 0.1, 0.001, 0.0001]
    assert chosen_rate(plan, plan.entries[1], settled, True) == 0.001
    assert total_trials(plan, settled, True) == len(settled)


def test_an_empty_plan_says_why() -> None:
    with pytest.raises(UserError, match="no architecture can enter: bi_gru: it sees the future"):
        make_plan(entries=(), excluded={"bi_gru": "it sees the future"})


def planted_state(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    means: dict[str, float],
    spread: float = 0.01,
    **search: Any,
) -> RunState:
    """All trials of the plan have run, and so has each that becomes ready: seed s adds s % 3 times
    the `spread`."""
    plan = make_plan(
        entries=tuple(entry(name) for name in means),
        search=SearchRequest(learning_rates=(0.1, 0.2), num_seeds=3, widen=0, **search),
    )
    state = RunState(plan, RunFolder(folder), lower_is_better=True)

    def summary(_: RunFolder, role: Role, one: Trial, _failure: str) -> TrialSummary:
        value = means[one.architecture] + one.training.seed % 3 * spread
        return TrialSummary(
            trial=one.hash, architecture=one.architecture, role=role, status="finished",
            learning_rate=one.training.optimizer.learning_rate, seed=one.training.seed,
            parameters=1, width=16, tokens=1, training_seconds=1.0, training_flops=1.0,
            state_bytes=1, validation_value=value, test_value=value,
        )  # fmt: skip

    monkeypatch.setattr("seqarena.arena.view.summarise", summary)
    return state


def run_all(state: RunState) -> None:
    while fresh := state.ready():
        settle(state, fresh)


def settle(state: RunState, trials: list[tuple[Role, Trial]]) -> None:
    for role, one in trials:
        state.trials[one.hash] = role, one
        state.results[one.hash] = ResultRecord(
            status="finished", steps=1, tokens=1, training_seconds=1.0, training_flops=1.0,
            parameters=1, state_bytes=1, validation_value=one.training.seed / 100, test_value=0.0,
        )  # fmt: skip


def seeds_of(state: RunState, name: str) -> set[int]:
    return {one.training.seed for _, one in state.trials.values() if one.architecture == name}


def test_those_that_tie_for_the_lead_run_more_seeds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    state = planted_state(monkeypatch, tmp_path, {"elman": 2.0, "gru": 2.001, "lstm": 3.0})
    run_all(state)
    assert state.rounds == [("elman", "gru")]
    assert seeds_of(state, "elman") == seeds_of(state, "gru") == {0, 1, 2, 3, 4}
    assert seeds_of(state, "lstm") == {0, 1, 2}
    assert state.total == len(state.trials)


def test_a_winner_needs_no_more_seeds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    state = planted_state(monkeypatch, tmp_path, {"elman": 2.0, "gru": 2.5, "lstm": 3.0})
    run_all(state)
    assert state.rounds == [()]
    assert seeds_of(state, "elman") == {0, 1, 2}


def test_more_seeds_can_be_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    state = planted_state(monkeypatch, tmp_path, {"elman": 2.0, "gru": 2.0}, leader_seeds=3)
    run_all(state)
    assert seeds_of(state, "elman") == {0, 1, 2}
    assert SearchRequest(num_seeds=1).further_seeds == ()
    assert SearchRequest(num_seeds=2).further_seeds == ()
    asked = SearchRequest(num_seeds=2, first_seed=7, leader_seeds=4)
    assert asked.further_seeds == (9, 10)


def test_until_decided_looks_again_and_the_same_records_decide_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    means = {"elman": 2.0, "gru": 2.008, "lstm": 3.0}
    state = planted_state(monkeypatch, tmp_path, means, until_decided=True)
    run_all(state)
    assert len(state.rounds) > 2
    assert state.rounds[0] == ("elman", "gru")
    assert seeds_of(state, "lstm") == {0, 1, 2}
    ran = len(seeds_of(state, "elman"))
    assert ran in state.seed_counts[2:]
    assert seeds_of(state, "gru") == set(range(ran))
    assert state.total == len(state.trials)
    assert not state.in_vain
    again = planted_state(monkeypatch, tmp_path, means, until_decided=True)
    run_all(again)
    assert (again.rounds, set(again.trials)) == (state.rounds, set(state.trials))


def test_seeds_that_cannot_part_two_are_not_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The seeds all agree, and so do the two: the gap of nothing stays one."""
    means = {"elman": 2.0, "gru": 2.0, "lstm": 3.0}
    state = planted_state(monkeypatch, tmp_path, means, spread=0.0, until_decided=True)
    run_all(state)
    assert state.in_vain
    assert seeds_of(state, "elman") == {0, 1, 2}


def test_the_clock_leaves_further_seeds_to_the_next_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    state = planted_state(monkeypatch, tmp_path, {"elman": 2.0, "gru": 2.0}, until_decided=True)
    state.stop_at = 0.0
    assert len(state.ready_jobs()) == 4  # the search is no further seed
    assert not state.out_of_time
    while fresh := [pair for pair in state.ready() if pair[1].hash not in state.further]:
        settle(state, fresh)
    assert state.ready_jobs() == []
    assert state.out_of_time
