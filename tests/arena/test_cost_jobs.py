"""Costs are measured in rounds, each repeat is recorded, and what is disturbed is taken again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from comparisons import cost
from rich.console import Console
from test_plan import entry, make_plan

from seqarena.arena import costs
from seqarena.arena.costs import CostRounds, run_costs
from seqarena.arena.folder import RunFolder
from seqarena.arena.plan import Plan
from seqarena.core.batch import own_inputs
from seqarena.core.errors import UserError
from seqarena.core.results.measurement import Series
from seqarena.core.results.quantities import CostTable
from seqarena.engine.live import CostDisplay

DECODING = "decode_seconds_per_token"
PLAN = make_plan(entries=(entry("gru"), entry("elman")))


class Bench:
    """Stands for the measuring functions. `load(n)` is what others take during call number n."""

    def __init__(self, load: Callable[[int], float | None]) -> None:
        self.load = load
        self.calls: list[str] = []
        self.refuses: set[str] = set()

    def __call__(self, architecture: str, repeat: int, **arguments: Any) -> list[Series]:
        assert {"model", "problem", "optimizer", "threads", "sequence_length"} <= set(arguments)
        if architecture in self.refuses:
            raise UserError("it cannot")
        self.calls.append(f"{architecture} {repeat}")
        if not repeat:
            return [cost(architecture, "state_bytes", 8.0)]
        number = len(self.calls)
        settings = {"others_share": self.load(number)}
        return [
            cost(architecture, key, float(number)).model_copy(update={"settings": settings})
            for key in (DECODING, "training_tokens_per_second")
        ]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def rounds_of(folder: RunFolder, plan: Plan = PLAN, threads: int = 1) -> CostRounds:
    return CostRounds(plan, folder, own_inputs(9), 64, threads=threads)


def measured(
    folder: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
    load: Callable[[int], float | None] = lambda _: 0.0,
    *,
    plan: Plan = PLAN,
    threads: int = 1,
    most: int = 10_000,
) -> list[str]:
    """The calls of one measuring phase, which is left after `most` jobs have ended."""
    bench = Bench(load)
    monkeypatch.setattr(costs, "measure_entry", bench)
    rounds = rounds_of(folder, plan, threads)
    for event in run_costs(rounds):
        most -= event.kind == "finished"
        if most <= 0:
            break
    return bench.calls


def stored(folder: RunFolder, architecture: str, key: str = DECODING) -> Series:
    (found,) = [
        one for one in folder.costs() if (one.architecture, one.quantity) == (architecture, key)
    ]
    return found


def test_every_architecture_is_measured_once_and_then_again(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = measured(folder, monkeypatch)
    assert calls == [f"{name} {repeat}" for repeat in range(6) for name in ("gru", "elman")]
    assert stored(folder, "gru").points[0].repeats == (3.0, 5.0, 7.0, 9.0, 11.0)
    assert not stored(folder, "gru").settings["disturbed"]
    assert stored(folder, "elman", "state_bytes").points[0].repeats == (8.0,)
    assert measured(folder, monkeypatch) == []


def test_the_same_model_by_another_name_is_measured_too(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = entry("gru").model_copy(update={"architecture": "twin"})
    plan = make_plan(entries=(entry("gru"), twin))
    assert {call.split()[0] for call in measured(folder, monkeypatch, plan=plan)} == {"gru", "twin"}


def test_another_machine_measures_again_and_other_sources_of_trials_do_not(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(measured(folder, monkeypatch)) == 12
    recoded = tuple(one.model_copy(update={"code": "another"}) for one in PLAN.entries)
    other = make_plan(entries=recoded, code="another")
    assert measured(folder, monkeypatch, plan=other) == []
    assert len(measured(folder, monkeypatch, threads=64)) == 12


def test_what_was_measured_before_a_stop_is_kept(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = measured(folder, monkeypatch, most=5)
    assert first[-3:] == ["gru 1", "elman 1", "gru 2"]
    table = CostTable(folder.costs())
    assert table.doubts() == ("Costs are not measured to their end: they decide nothing yet.",)
    assert table.deciding.measured() == []
    rest = measured(folder, monkeypatch)
    assert len(first) + len(rest) == 12
    assert sum(call.startswith("gru") for call in rest) == 3
    assert len(stored(folder, "gru").points[0].repeats) == 5
    assert CostTable(folder.costs()).doubts() == ()


def test_a_disturbed_repeat_is_taken_again_and_stays_in_the_record(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = measured(folder, monkeypatch, lambda number: 0.4 if number in (5, 7) else 0.05)
    assert calls[12:] == ["gru 6", "gru 7"]
    found = stored(folder, "gru")
    assert found.points[0].repeats == (3.0, 9.0, 11.0, 13.0, 14.0)
    assert [5.0, 0.4] in found.settings["repeats"]
    assert len(found.settings["repeats"]) == 7
    assert not found.settings["disturbed"]
    assert CostTable(folder.costs()).disturbed is None


def test_a_machine_that_stays_busy_marks_the_costs(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = measured(folder, monkeypatch, lambda _: 0.75)
    assert calls[12:] == ["gru 6", "elman 6"]  # a whole round that was busy again: no more
    assert stored(folder, "gru").settings["disturbed"]
    table = CostTable(folder.costs())
    assert table.disturbed == 0.75
    assert table.deciding.measured() == []
    (sentence,) = table.doubts()
    assert sentence.startswith(
        "The machine was busy (75 % of its cores by others) while costs were measured: costs "
        "decide nothing."
    )
    later = measured(folder, monkeypatch, lambda _: 0.0)  # the same command, when it is quiet
    assert len(later) == 10
    table = CostTable(folder.costs())
    assert (table.disturbed, table.doubts()) == (None, ())
    assert len(stored(folder, "gru").settings["repeats"]) == 11
    assert len(stored(folder, "gru").points[0].repeats) == 5


@pytest.mark.parametrize(
    ("bound", "value", "last"),
    [(None, 0, 8), ("MOST_REPEATS", 7, 7), ("AGAIN_SECONDS", -1.0, 6)],
    ids=["a busy round", "a number of rounds", "a number of seconds"],
)
def test_what_ends_taking_again(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, bound: str | None, value: float, last: int
) -> None:
    if bound is not None:
        monkeypatch.setattr(costs, bound, value)
    # of the rounds that take again, the sixth and the seventh find some quiet and the eighth none
    calls = measured(folder, monkeypatch, lambda number: 0.0 if number % 3 == 1 else 0.5)
    assert max(int(call.split()[1]) for call in calls) == last


def test_where_the_load_is_not_told_costs_count(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(measured(folder, monkeypatch, lambda _: None)) == 12
    assert CostTable(folder.costs()).disturbed is None


def test_one_that_cannot_be_measured_leaves_the_others(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(lambda number: 0.5 if number == 3 else 0.0)
    bench.refuses.add("gru")
    monkeypatch.setattr(costs, "measure_entry", bench)
    rounds = rounds_of(folder)
    assert rounds.total == 12
    kinds = [event.kind for event in run_costs(rounds) if event.kind != "started"]
    assert kinds == ["failed", *["finished"] * 7]
    assert bench.calls == [f"elman {repeat}" for repeat in range(7)]
    assert rounds.total == rounds.ended == 8


def test_what_is_left_and_what_is_measured_now_are_known(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "measure_entry", Bench(lambda _: 0.0))
    rounds = rounds_of(folder)
    left, words = [rounds.seconds], [rounds.words]
    for event in run_costs(rounds):
        if event.kind == "finished":
            left.append(rounds.seconds)
            words.append(rounds.words)
            assert rounds.total == 12
    assert left == sorted(left, reverse=True)
    assert left[-1] == 0.0
    assert list(dict.fromkeys(words[:-1])) == ["bytes", *(f"repeat {n} of 5" for n in range(1, 6))]


def test_a_line_is_said_for_each_round(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "measure_entry", Bench(lambda _: 0.75))
    rounds, console = rounds_of(folder), Console(width=200)
    with console.capture() as said, CostDisplay(console, rounds) as display:
        for event in run_costs(rounds):
            display.show(event)
    lines = [line.split(" (about")[0] for line in said.get().splitlines()]
    assert lines == [
        "costs: bytes", *(f"costs: repeat {n} of 5" for n in range(1, 6)), "costs: repeat 6 of 6",
    ]  # fmt: skip
    assert display.total == rounds.total == display.done == 14
