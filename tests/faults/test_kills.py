"""Killed at any moment, a training and a comparison end with the numbers of one that was not."""

import random
import time
from pathlib import Path

import pytest
from fault_runs import (
    COMPARE,
    NEEDS_FORK,
    TRAIN,
    Call,
    call,
    numbers,
    records_of,
    temporary,
    wait_for,
)  # fmt: skip

KILLS = 10
pytestmark = [NEEDS_FORK, pytest.mark.slow]


def test_a_training_killed_ten_times_ends_as_one_that_was_not(tmp_path: Path) -> None:
    killed_often((*TRAIN, "--steps", "500"), tmp_path, trials=1, seed=0)


def test_a_comparison_killed_ten_times_ends_as_one_that_was_not(tmp_path: Path) -> None:
    killed_often((*COMPARE, "--steps", "120"), tmp_path, trials=6, seed=1)


def killed_often(words: tuple[str, ...], folder: Path, *, trials: int, seed: int) -> None:
    whole = call(words, folder / "whole")
    assert whole.ended() == 0, whole.output
    draw, killed = random.Random(seed), folder / "killed"
    for _ in range(KILLS):
        running, start = Call(words, killed), time.time()
        assert wait_for(lambda: written_since(start, killed), running), running.output  # noqa: B023
        time.sleep(draw.uniform(0.0, 0.1))
        running.kill()
        assert "Traceback" not in running.output
    unfinished = call(words, killed)
    assert unfinished.ended() == 0, unfinished.output
    assert numbers(killed) == numbers(folder / "whole")
    assert len(numbers(killed)) == trials
    assert temporary(killed) == []


def written_since(start: float, folder: Path) -> bool:
    return any(path.stat().st_mtime > start for path in records_of(folder))
