"""A real comparison in real processes: killed, it goes on to the same numbers."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [
    sys.executable, "-m", "seqarena", "compare", "--models", "elman,mingru", "--params", "30k",
    "--tokens", "60k", "--length", "32", "--rates", "3e-3,1e-2", "--widen", "0", "--seeds", "2",
    "--no-measure", "--name", "r",
]  # fmt: skip
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"}


def call(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "--runs", str(folder), *more],
        capture_output=True, text=True, env=ENVIRONMENT, timeout=300, check=False,
    )  # fmt: skip


def numbers(folder: Path) -> dict[tuple[object, ...], tuple[float, float]]:
    query = "select architecture, role, learning_rate, seed, validation_value, test_value"
    with sqlite3.connect(folder / "r" / "results.sqlite") as connection:
        rows = connection.execute(f"{query} from trials")
        return {row[:4]: row[4:] for row in rows}


def finished_files(folder: Path) -> dict[str, bytes]:
    found = {}
    for records in folder.glob("r/trials/*/records.jsonl"):
        content = records.read_bytes()
        if b'"kind":"result"' in content:
            found[records.parent.name] = content
    return found


def heed_interrupts() -> None:
    """What a shell starts in the background ignores them, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupt(folder: Path, number: int) -> dict[str, bytes]:
    """Starts the comparison, sends the signal when a trial is finished, waits for the end."""
    process = subprocess.Popen(
        [*COMMAND, "--runs", str(folder)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENVIRONMENT, text=True,
        preexec_fn=heed_interrupts,
    )  # fmt: skip
    deadline = time.monotonic() + 200
    while not finished_files(folder):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "the same command goes on" in errors
        assert "Traceback" not in errors
    return finished_files(folder)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    done = call(folder)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_it_ends_with_the_same_numbers(
    number: int, uninterrupted: Path, tmp_path: Path
) -> None:
    before = interrupt(tmp_path, number)
    assert 0 < len(before) < 7
    again = call(tmp_path)
    assert again.returncode == 0, again.stderr
    assert numbers(tmp_path) == numbers(uninterrupted)
    after = finished_files(tmp_path)
    assert {name: after[name] for name in before} == before  # no finished trial was run again
    assert "finished trial(s) of earlier calls were used again" in again.stdout


@pytest.mark.slow
def test_a_finished_comparison_computes_nothing_and_more_seeds_only_add(
    uninterrupted: Path,
) -> None:
    before = finished_files(uninterrupted)
    assert call(uninterrupted).returncode == 0
    assert finished_files(uninterrupted) == before
    more = call(uninterrupted, "--seeds", "3")
    assert more.returncode == 0, more.stderr
    after = finished_files(uninterrupted)
    assert len(after) > len(before)
    assert {name: after[name] for name in before} == before


@pytest.mark.slow
def test_runs_repeat_exactly(uninterrupted: Path) -> None:
    """The trial that was run twice, in another process, gives the very same losses."""
    found = numbers(uninterrupted)
    ((name, _, rate, seed),) = (key for key in found if key[1] == "repeat")
    assert found[name, "repeat", rate, seed] == found[name, "search", rate, seed]


@pytest.mark.slow
def test_another_budget_or_other_data_are_refused(uninterrupted: Path, tmp_path: Path) -> None:
    other = call(uninterrupted, "--tokens", "25k")
    assert (other.returncode, other.stdout.count("Traceback")) == (2, 0)
    assert "--tokens 60000 -> 25000; choose another --name" in other.stderr
    text = tmp_path / "other.txt"
    text.write_text("Some other text, long enough to be cut into three. " * 400)
    moved = call(uninterrupted, str(text))
    assert moved.returncode == 2
    assert "another" in moved.stderr
    assert "Traceback" not in moved.stderr
