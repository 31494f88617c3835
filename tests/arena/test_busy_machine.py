"""A comparison while four processes keep the machine busy, and again when it is quiet."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

import seqarena as sa
from seqarena.core import cores
from seqarena.core.results.records import Ranking

TEXT = "".join(f"{n} foxes jump over {n * n % 97} lazy dogs. " for n in range(400))
OF_COSTS = ("faster", "slower", "memory", "state", "speed", "Never")


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """So many processes that compute until the block ends."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def compare(folder: Path) -> tuple[sa.Run, str]:
    console = Console(width=400, color_system=None)
    (folder / "text.txt").write_text(TEXT)
    with console.capture() as said:
        run = sa.compare(
            folder / "text.txt", models="elman,conv", params="8k", length=16,
            tokens="1k", rates="6e-3", seeds=2, repeats=0, jobs=1, threads=1,
            runs=folder, name="r", console=console,
        )  # fmt: skip
        console.print(run)
    return run, " ".join(said.get().split())


def statements(ranking: Ranking) -> list[str]:
    """What the answer says of costs."""
    said = [ranking.verdict, *ranking.recommendation]
    return [one for one in said if any(word in one for word in OF_COSTS)]


@pytest.mark.slow
@pytest.mark.skipif(not cores.is_watched(), reason="this system does not tell its load")
def test_a_busy_machine_makes_no_statement_of_costs_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # of all cores, so that four processes are many on a large machine too
    monkeypatch.setattr("seqarena.arena.costs.BUSY_SHARE", min(0.1, 1 / len(cores._own_cores())))
    monkeypatch.setattr("seqarena.arena.costs.TRAINING_SECONDS", 0.1)
    with busy_processes(4):
        run, said = compare(tmp_path)
    entries = [row for row in run.table() if not row.get("baseline")]
    assert all(row["training_tokens_per_second"] > 0 for row in entries)  # it is shown
    assert statements(run.ranking) == []
    assert run.ranking.recommendation[-1].startswith("The machine was busy (")
    assert "of its cores by others) while costs were measured: costs decide nothing." in said
    assert "taken again" in said
    assert run.summary()["costs_disturbed"] > 0
    level = [row.architecture for row in run.rows if row.gap_to_leader <= run.ranking.noise_floor]
    assert {row.architecture for row in run.rows if row.on_front} <= set(level)
    page = run.page_path.read_text(encoding="utf-8")
    assert "costs decide nothing" in page

    # quiet now, whatever the machine of this test does
    monkeypatch.setattr(cores, "busy_seconds", lambda: 0.0)
    quiet, said = compare(tmp_path)
    assert quiet.summary()["costs_disturbed"] is None
    assert "machine was busy" not in said
    assert statements(quiet.ranking) != []
    assert [row.mean for row in quiet.rows] == [row.mean for row in run.rows]
