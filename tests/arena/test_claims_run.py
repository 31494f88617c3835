"""The ledger's runner: what stands is reused, what fails is told, what is killed goes on."""

import json
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from claim_parts import counting, planted

from seqarena.claims.claim import Claim, Part
from seqarena.claims.parts import jobs_of, missing_jobs, store_of
from seqarena.claims.read import read_ledger
from seqarena.claims.run import run_parts
from seqarena.core.errors import UserError
from seqarena.core.results.verdicts import Judgement


def ran(folder: Path, *claims: Claim, jobs: int = 2) -> list[str | None]:
    """The error of each part that ran, in the order in which they ended."""
    events = list(run_parts(folder, jobs_of(claims, "quick"), jobs))
    ended = [event for event in events if event.kind in ("finished", "failed")]
    return [event.payload.message if event.kind == "failed" else None for event in ended]


def judged(folder: Path, claim: Claim) -> Judgement:
    return read_ledger(folder, "quick", [claim]).claims[0].judgement


def test_a_second_run_runs_nothing_and_changed_records_change_the_verdict(tmp_path: Path) -> None:
    log = tmp_path / "log"
    shared = counting(log, "a")
    claims = planted("a", shared), planted("b", shared, counting(log, "b", 0.25))
    assert ran(tmp_path, *claims) == [None, None]
    assert sorted(log.read_text().split()) == ["a", "b"]  # the shared part ran once
    assert ran(tmp_path, *claims) == []
    assert [judged(tmp_path, claim).verdict for claim in claims] == ["holds", "does not hold"]
    path = store_of(tmp_path).lines_path(shared.job().key)
    record = json.loads(path.read_text())
    record["points"][0]["repeats"] = [0.125]
    path.write_text(json.dumps(record) + "\n")
    with pytest.raises(UserError, match="is damaged, its SHA-256 has changed"):
        judged(tmp_path, claims[0])
    store_of(tmp_path).keep(shared.job(), 1.0, [json.dumps(record)])
    changed = judged(tmp_path, claims[0])
    assert changed.verdict == "does not hold"
    assert "0.125" in changed.figure


def test_a_part_that_fails_is_told_and_tried_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    bad = Part("claim_parts:fails", {"log": str(log), "message": "no such thing"}, 1.0)
    wrong = Part("claim_parts:count", {"unknown": 1}, 1.0)
    claims = planted("x", bad), planted("y", wrong), planted("good", counting(log, "good"))
    found = ran(tmp_path, *claims, jobs=1)
    assert found[0] == "no such thing"
    assert None in found
    assert any("TypeError" in str(error) for error in found)
    failed = judged(tmp_path, claims[0])
    assert failed.verdict == "not measured yet"
    assert failed.figure == "no such thing"
    assert judged(tmp_path, claims[2]).verdict == "holds"
    jobs = [bad.job(), wrong.job()]
    assert missing_jobs(tmp_path, jobs) == jobs


def test_a_process_that_dies_takes_no_other_part_along(tmp_path: Path) -> None:
    log = tmp_path / "log"
    deadly = Part("claim_parts:dies", {}, 2.0)
    parts = [deadly, *(counting(log, name, seconds=0.3) for name in "ab")]
    found = {}
    for event in run_parts(tmp_path, [part.job() for part in parts], 2):
        if event.kind in ("finished", "failed"):
            found[event.job.key] = event
    died = found.pop(deadly.job().key)
    assert died.kind == "failed"
    assert died.payload.message == "its process died (SIGKILL: out of memory?)"
    assert [event.kind for event in found.values()] == ["finished"] * 2


def test_a_partial_folder_says_what_is_missing(tmp_path: Path) -> None:
    claim = planted("a", counting(tmp_path / "log", "a"), counting(tmp_path / "log", "c"))
    assert judged(tmp_path, claim).figure == "2 parts of its measuring to run"
    first = claim.parts("quick")[0]
    store_of(tmp_path).keep(first.job(), 1.0, [])
    assert judged(tmp_path, claim).figure == "1 part of its measuring to run"


def test_closing_stops_what_runs(tmp_path: Path) -> None:
    log = tmp_path / "log"
    slow = counting(log, "slow", seconds=30.0)
    began = time.monotonic()
    with closing(run_parts(tmp_path, [slow.job()], 1)) as events:
        assert next(events).kind == "started"
    assert time.monotonic() - began < 20
    assert not log.exists()


KILLED = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from claim_parts import counting
from seqarena.claims.run import run_parts
if __name__ == "__main__":
    log = Path({log!r})
    parts = [counting(log, "quick"), counting(log, "slow", seconds=60.0)]
    for event in run_parts(Path({folder!r}), [part.job() for part in parts], 1):
        print(event.kind, flush=True)
"""


def test_a_killed_run_keeps_what_was_done(tmp_path: Path) -> None:
    log, script = tmp_path / "log", tmp_path / "script.py"
    tests = str(Path(__file__).parent)
    script.write_text(KILLED.format(tests=tests, log=str(log), folder=str(tmp_path)))
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "finished\n":
                break
        process.kill()
    assert log.read_text() == "quick\n"
    (kept,) = (tmp_path / "parts").glob("*.jsonl")  # whole, and nothing of the other
    assert json.loads(kept.read_text())["architecture"] == "quick"
