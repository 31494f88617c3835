"""How many cores are used, and what is known of others on the machine."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seqarena.core import cores, runtime
from seqarena.core.cores import CoreChoice, LoadWatch, chosen_cores, quota_cores
from seqarena.core.errors import UserError


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "available_cores", lambda: 8)
    monkeypatch.setattr(cores, "quota_cores", lambda: None)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def test_who_decides_how_many_cores_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen_cores() == (8, "every core that this process may run on")
    monkeypatch.setattr(cores, "quota_cores", lambda: 2.5)
    assert chosen_cores() == (2, "its control group grants 2.5 of 8")
    monkeypatch.setattr(cores, "quota_cores", lambda: 0.5)
    assert chosen_cores().count == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert chosen_cores() == (3, "OMP_NUM_THREADS is 3")
    assert chosen_cores(5) == CoreChoice(5, "asked for")


def test_a_list_of_threads_and_one_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4,2")
    assert chosen_cores().count == 4
    monkeypatch.setenv("OMP_NUM_THREADS", " ")
    assert chosen_cores().count == 8
    for wrong in ("many", "0", "-1", "1.5"):
        monkeypatch.setenv("OMP_NUM_THREADS", wrong)
        with pytest.raises(UserError, match="set it to a number from 1 up, or unset it"):
            chosen_cores()


def written(place: Path, text: str) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    return place


def test_the_smallest_quota_on_the_way_up_counts(tmp_path: Path) -> None:
    groups = written(tmp_path / "cgroup", "0::/slice/job\n")
    root = tmp_path / "fs"
    assert quota_cores(groups, root) is None
    written(root / "slice/job/cpu.max", "max 100000\n")
    assert quota_cores(groups, root) is None
    written(root / "slice/cpu.max", "150000 100000\n")
    assert quota_cores(groups, root) == 1.5
    written(root / "slice/job/cpu.max", "400000 100000\n")
    assert quota_cores(groups, root) == 1.5
    written(root / "slice/job/cpu.max", "50000 100000\n")
    assert quota_cores(groups, root) == 0.5


def test_quotas_of_the_first_version_and_of_a_container(tmp_path: Path) -> None:
    text = "9:name=systemd:/\n4:memory:/a\n2:cpu,cpuacct:/docker/1f\n0::/\n"
    groups, root = written(tmp_path / "cgroup", text), tmp_path / "fs"
    written(root / "cpu/cpu.cfs_period_us", "100000\n")
    quota = written(root / "cpu/cpu.cfs_quota_us", "-1\n")
    assert quota_cores(groups, root) is None
    quota.write_text("300000\n")
    assert quota_cores(groups, root) == 3.0
    assert quota_cores(tmp_path / "missing", root) is None


STAT = """cpu  900 90 90 9000 900 9 9 9 0 0
cpu0 100 10 20 5000 700 1 2 7 50 0
cpu1 200 20 40 6000 800 2 4 14 50 0
cpu2 999 99 99 9999 999 9 9 99 99 9
intr 1 2 3
"""


def test_busy_time_is_of_the_cores_that_the_process_may_run_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not hasattr(os, "sysconf"):
        pytest.skip("this system has no clock ticks")
    ticks = os.sysconf("SC_CLK_TCK")
    stat = written(tmp_path / "stat", STAT)
    monkeypatch.setattr(cores, "_own_cores", lambda: {0, 1})
    # neither idle nor waiting; what other guests of the host have stolen counts
    assert cores.busy_seconds(stat) == (140 + 280) / ticks
    assert cores.busy_seconds(tmp_path / "missing") is None
    stat.write_text("cpu0 0 0 0 0 0 0 0 0 0 0\n")  # of a sandbox
    assert cores.busy_seconds(stat) is None


def test_the_share_of_others_leaves_out_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = {"wall": 0.0, "own": 0.0, "busy": 0.0}
    monkeypatch.setattr(time, "monotonic", lambda: clocks["wall"])
    monkeypatch.setattr(time, "process_time", lambda: clocks["own"])
    monkeypatch.setattr(cores, "busy_seconds", lambda: clocks["busy"])
    monkeypatch.setattr(cores, "_own_cores", lambda: {0, 1, 2, 3})

    def share(wall: float, own: float, busy: float) -> float | None:
        with LoadWatch() as load:
            for name, more in (("wall", wall), ("own", own), ("busy", busy)):
                clocks[name] += more
        return load.others_share

    assert share(10.0, 20.0, 30.0) == 0.25
    assert share(10.0, 20.0, 19.9) == 0.0
    assert share(10.0, 0.0, 41.0) == 1.0


def test_a_system_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "busy_seconds", lambda: None)
    with LoadWatch() as load:
        pass
    assert load.others_share is None
    assert not cores.is_watched()


@pytest.mark.skipif(not cores.is_watched(), reason="this system does not tell its load")
def test_processes_that_are_really_busy_are_seen() -> None:
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    try:
        time.sleep(0.5)  # until they have started
        with LoadWatch() as load:
            time.sleep(1.0)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    # four of them fill four cores, and the share is of all cores
    expected = min(1.0, 4 / len(cores._own_cores()))
    assert load.others_share is not None
    assert load.others_share > expected / 2
