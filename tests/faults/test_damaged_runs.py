"""One byte of a run folder changed or gone, in every kind of file, under every verb.

The verb says in one line which file is damaged, or it answers what it did before. It never gives
another ranking.
"""

import json
import random
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fault_runs import COMPARE, NEEDS_FORK, SMALL, call
from typer.testing import CliRunner

from seqarena.arena.folder import RunFolder
from seqarena.arena.plan import search_trials
from seqarena.arena.view import read_run
from seqarena.cli import app
from seqarena.core.errors import UserError
from seqarena.core.results.measurement import Point, Series, append_measurements, this_machine
from seqarena.core.results.quantities import COSTS
from seqarena.jobs.job import Failure

pytestmark = [NEEDS_FORK, pytest.mark.slow]
WORDS = (*COMPARE, "--steps", "20")
KINDS = (
    *("plan.json", "task.json", "catalog.json", "measurements.jsonl", "results.sqlite"),
    "baselines.jsonl",
    *("report.html", "trials/*/trial.json", "trials/*/records.jsonl", "prepared/*/sums.json"),
    *("prepared/*/facts.json", "prepared/*/train.npy", "trials/*/checkpoint/model.safetensors"),
    *("trials/*/checkpoint/optimizer.safetensors", "trials/*/checkpoint/about.json"),
    *("trials/*/checkpoint/manifest.json",),
)
VERBS = {
    "report": ("report", "runs/r", "--json"),
    "generate": ("generate", "runs/r", "--greedy", "--count", "8", "--prompt", "The"),
    "evaluate": ("evaluate", "runs/r", "--json"),
    "measure": ("measure", "gradient", "--run", "runs/r", "--length", "8", "--out", "elsewhere"),
    "start": ("train", *SMALL[:1], "--length", "16", "--start-from", "runs/r", "--name", "tuned",
              "--steps", "2"),
}  # fmt: skip
Damage = Callable[[bytes, random.Random], bytes]


def flipped(content: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :]


def cut(content: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(content))
    return content[:place] + content[place + 1 :]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("run")
    made = call(WORDS, place)
    assert made.ended() == 0, made.output
    costs = [
        Series(
            measurement=COSTS, quantity="state_bytes", axis="length", architecture=name,
            points=(Point(x=16, repeats=(value,)),), machine=this_machine(),
        )
        for name, value in (("elman", 64.0), ("mingru", 128.0))
    ]  # fmt: skip
    append_measurements(place / "runs" / "r" / "measurements.jsonl", costs)
    return place


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[str, Any]:
    """What every verb answers while the run is whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        found = {name: answered(name, words)[1] for name, words in VERBS.items()}
    assert None not in found.values()
    rows = [row for row in found["report"]["table"] if not row["baseline"]]
    assert [row["state_bytes"] is None for row in rows] == [False, False]
    return found


def answered(verb: str, words: Sequence[str]) -> tuple[str, Any]:
    """Its errors, and its answer; None where it refused."""
    shutil.rmtree("elsewhere", ignore_errors=True)
    shutil.rmtree("runs/tuned", ignore_errors=True)
    result = CliRunner().invoke(app, list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert result.exit_code in (0, 2), result.output
    if result.exit_code == 2:
        return result.stderr, None
    if verb in ("measure", "start"):
        return "", "done"
    return "", json.loads(result.stdout) if "--json" in words else result.stdout


@pytest.mark.parametrize("damage", [flipped, cut])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_said_or_changes_nothing(
    kind: str, damage: Damage, folder: Path, expected: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(folder)
    draw = random.Random(f"{kind} {damage.__name__}")
    path = sorted((folder / "runs" / "r").glob(kind))[0]
    whole = path.read_bytes()
    refused = set()
    for verb, words in VERBS.items():
        for _ in range(2 if verb == "report" else 1):
            path.write_bytes(damage(whole, draw))
            errors, found = answered(verb, words)
            path.write_bytes(whole)
            if found is None:
                (line,) = errors.strip().splitlines()
                assert path.name in line or path.parent.name in line
                refused.add(verb)
            else:
                assert found == expected[verb]
    if kind in ("plan.json", "task.json", "catalog.json") and damage is flipped:
        assert refused  # it is read, and damage to it is seen
    path.write_bytes(damage(whole, draw))
    again = call((*WORDS, "--json"), folder)
    if again.ended() == 2:
        (line,) = again.errors.strip().splitlines()[-1:]
        assert path.name in line or path.parent.name in line
        path.write_bytes(whole)
    else:
        assert again.ended() == 0, again.output
        found = json.loads((folder / "out").read_text())
        assert {key: found[key] for key in ("verdict", "table", "excluded")} == {
            key: expected["report"][key] for key in ("verdict", "table", "excluded")
        }
        if kind not in ("results.sqlite", "report.html", "task.json", "catalog.json"):
            path.write_bytes(whole)
    assert "Traceback" not in again.output


def test_a_database_is_written_again_whatever_it_was(folder: Path) -> None:
    path = folder / "runs" / "r" / "results.sqlite"
    path.write_bytes(path.read_bytes()[:5000])
    path.with_name("results.sqlite-wal").write_bytes(b"of an older one")
    assert call(WORDS, folder).ended() == 0
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        assert database.execute("select count(*) from trials").fetchone() == (6,)


@pytest.mark.parametrize("name", ["task.json", "catalog.json"])
def test_facts_that_are_gone_are_said_and_written_again(name: str, folder: Path) -> None:
    path = folder / "runs" / "r" / name
    for content in (None, b"", path.read_bytes()[:40]):
        path.unlink() if content is None else path.write_bytes(content)
        for verb in ("report", "generate"):
            refused = call(VERBS[verb], folder)
            assert refused.ended() == 2, refused.output
            (line,) = refused.errors.strip().splitlines()
            assert name in line
            assert "seqarena compare" in line
        assert call(WORDS, folder).ended() == 0
        assert call(VERBS["report"], folder).ended() == 0


def test_records_that_were_cut_make_the_trial_unfinished(folder: Path) -> None:
    """As a kill leaves them: the same command finishes it, with the same ranking."""
    run = RunFolder(folder / "runs" / "r")
    before = read_run(run)
    assert before.ranking is not None
    path = run.trial_path(search_trials(run.load_plan(), run.load_plan().entries[0], {}, True)[0])
    records = path / "records.jsonl"
    records.write_bytes(records.read_bytes()[:-20])
    after = read_run(run)
    assert after.ranking is None or after.ranking.verdict.startswith("So far")
    again = call(WORDS, folder)
    assert again.ended() == 0, again.output
    assert read_run(run).ranking == before.ranking


def test_a_reason_that_is_damaged_is_named(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "runs" / "r", tmp_path / "r")
    run = RunFolder(tmp_path / "r")
    plan = run.load_plan()
    (trial, _) = search_trials(plan, plan.entries[0], {}, True)
    (run.trial_path(trial) / "records.jsonl").unlink()
    run.keep_failure(trial, Failure("it was odd"))
    assert "it was odd" in read_run(run).failures.values()
    path = run.trial_path(trial) / "failure.json"
    path.write_bytes(path.read_bytes().replace(b"odd", b"off"))
    with pytest.raises(UserError, match=r"failure.json is damaged"):
        read_run(run)
