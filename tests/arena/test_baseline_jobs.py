"""Baselines are computed once a run, kept in its folder, and shown wherever the ranking is."""

import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import seqarena as sa
from seqarena.arena.baselines.jobs import baseline_records
from seqarena.arena.folder import RunFolder
from seqarena.core.errors import UserError
from seqarena.engine.before_training.overlap import ask_about_overlap

SMALL: dict[str, Any] = {
    "models": ["gru", "elman"], "params": "5k", "steps": 4, "batch": 4, "rates": (1e-2,),
    "seeds": 2, "repeats": 0, "measure": False, "jobs": 1, "verbose": False,
}  # fmt: skip
OWN = '''
"""A task with baselines of its own."""
import numpy as np
from seqarena.core.options import knob
from seqarena.tasks.base import TaskConfig
from seqarena.tasks.baselines.baseline import Baseline, known
from seqarena.tasks.probes.probe import ProbeTask

class OnesConfig(TaskConfig):
    """Is it a one?"""
    length: int = knob(8, "Bits.", ge=2)

class Ones(ProbeTask[int]):
    """Repeat the bit."""
    Config = OnesConfig
    name = "ones"
    causal = True
    def __init__(self, config):
        self.config, self.cells = config, (config.length,)
        self.evaluation_examples, self.sequence_length, self.vocab_size = 40, config.length, 2
    def generate(self, generator, cell, num_examples):
        bits = generator.integers(2, size=(num_examples, cell))
        return bits, bits.copy()
    def conditions(self, batch):
        return ["all"] * len(batch.targets_BT)
    def baseline(self):
        return {"accuracy": 0.5, "loss_nats": 0.69}
    def baselines(self):
        return (
            Baseline("coin", "heads", lambda task: known(0.5)),
            Baseline("oracle", "knows all", lambda task: known(1.1)),
            Baseline("broken", "divides", lambda task: known(1 / 0)),
        )
'''


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def twice(text: str) -> str:
    """A table of pairs whose training holds its own test."""
    lines = [f"go {text} {k}\t{text} {k}" for k in range(60)]
    for name, part in (("train", lines), ("validation", lines[50:]), ("test", lines[:40])):
        Path(f"data-{text}").mkdir(exist_ok=True)
        Path(f"data-{text}/{name}.tsv").write_text("\n".join(part))
    return f"data-{text}"


def test_a_run_has_them_everywhere_and_computes_them_once() -> None:
    run = sa.compare(task="classification", name="own", **SMALL)
    folder = RunFolder(run.path)
    records = baseline_records(folder)
    assert [one.name for one in records] == ["majority", "naive Bayes"]
    assert all(one.task_digest == folder.load_plan().task_digest for one in records)
    assert [one.name for one in run.ranking.baselines] == ["naive Bayes", "majority"]
    assert run.ranking.leader_below_baseline  # after four steps
    assert run.ranking.verdict.startswith("No architecture beats the naive Bayes baseline: 0.6")
    assert "naive Bayes (baseline)" in str(run)
    assert "gru †" in str(run)
    table = run.table()
    assert [row["architecture"] for row in table][2:] == ["naive Bayes", "majority"]
    assert [row["baseline"] for row in table] == [False, False, True, True]
    assert table[2]["place"] is None
    assert table[2]["learning_rate"] is None
    assert list(run.to_pandas()["baseline"]) == [False, False, True, True]
    said = json.loads(json.dumps(run.summary(), default=str))
    assert [one["name"] for one in said["baselines"]] == ["naive Bayes", "majority"]
    with sqlite3.connect(run.path / "results.sqlite") as found:
        rows = found.execute("select baseline, test_value from baselines").fetchall()
    assert dict(rows) == {one.name: one.value for one in records}
    page = run.page_path.read_text()
    assert "naive Bayes baseline" in page
    sa.compare(task="classification", name="own", **SMALL)
    assert baseline_records(folder) == records


def test_another_task_computes_them_again_and_none_can_be_asked_for() -> None:
    run = sa.train(task="copying", model="elman", params="5k", steps=2, name="a", verbose=False)
    assert [one.name for one in run.ranking.baselines] == ["position", "chance"]
    other = sa.train(
        task="copying", model="elman", params="5k", steps=2, name="b", verbose=False,
        baselines=False,
    )  # fmt: skip
    assert other.ranking.baselines == ()
    assert not (other.path / "baselines.jsonl").exists()


def test_a_task_of_ones_own_brings_its_own_and_a_broken_one_is_said() -> None:
    Path("ones.py").write_text(OWN)
    run = sa.compare(task="ones.py:Ones", name="own", **SMALL)
    assert [one.name for one in run.ranking.baselines] == ["oracle", "coin"]
    assert run.ranking.leader_below_baseline
    assert "broken baseline" in run.failures
    assert "division by zero" in run.failures["broken baseline"]


def test_overlap_heads_the_verdict_and_can_be_dropped() -> None:
    data = twice("left")
    options = SMALL | {"task": "translation", "settings": {"metric": "exact"}}
    run = sa.compare(data, name="all", **options)
    assert run.ranking.verdict.startswith("100 % of the test's pairs are in training too: 40 of 40")
    assert run.summary()["warnings"] == [run.ranking.verdict.split(". ")[0] + "."]
    assert run.ranking.baselines[0].value == 1.0  # a look-up knows them all
    without = sa.compare(data, name="new", drop_overlap=True, **options)
    assert without.ranking.warnings == ()
    assert {one.name: one.value for one in without.ranking.baselines}["look-up"] == 0.0
    digests = [RunFolder(one.path).load_plan().task_digest for one in (run, without)]
    assert digests[0] != digests[1]
    assert "10 training pairs" not in run.page_path.read_text()


class Terminal(Console):
    """A console that is a terminal and answers."""

    def __init__(self, answer: str) -> None:
        super().__init__(force_terminal=True, file=io.StringIO())
        self.answer, self.asked = answer, 0

    def input(self, *words: Any, **more: Any) -> str:
        self.asked += 1
        return self.answer


@pytest.mark.parametrize(("answer", "goes_on"), [("", False), ("n", False), ("y", True)])
def test_a_person_is_asked(monkeypatch: pytest.MonkeyPatch, answer: str, goes_on: bool) -> None:
    from seqarena.arena.requests import CompareRequest
    from seqarena.core.options import build
    from seqarena.engine.planned import plan_comparison

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    request = build(CompareRequest, {
        "data": twice("right"), "task": "translation", "models": "gru", "params": "5k", "steps": 1,
    })  # fmt: skip
    prepared = plan_comparison(request, Console(quiet=True)).prepared
    console = Terminal(answer)
    if goes_on:
        ask_about_overlap(console, prepared, agreed=False)
    else:
        with pytest.raises(UserError, match="stopped before anything was trained"):
            ask_about_overlap(console, prepared, agreed=False)
    assert console.asked == 1
    ask_about_overlap(console, prepared, agreed=True)  # --yes
    ask_about_overlap(Console(quiet=True), prepared, agreed=False)  # no terminal
    prepared.folder.path.mkdir(parents=True)
    prepared.folder.plan_path.write_text("{}")
    ask_about_overlap(console, prepared, agreed=False)  # a run that has begun
    assert console.asked == 1
