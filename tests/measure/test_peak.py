"""The peak against a planted machine, so that the right answer is known."""

import time

import pytest
import torch

from seqarena.measure.costs import peak

SPEEDS = {4: 100.0, 8: 400.0, 16: 300.0}  # operations a second of the planted machine, by size


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def product(a: torch.Tensor, b: torch.Tensor, *, out: torch.Tensor) -> None:
        now[0] += 2 * len(a) ** 3 / SPEEDS[len(a)]

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(torch, "mm", product)


def test_the_peak_is_the_speed_of_the_fastest_size(machine: None) -> None:
    series = peak.matrix_product_peak(sizes=(4, 8, 16), repeats=3)
    assert {point.x: point.repeats[0] for point in series.points} == pytest.approx(SPEEDS)
    assert all(len(point.repeats) == 3 for point in series.points)
    assert peak.best(series) == pytest.approx(400.0)


def test_the_record_says_of_which_way_of_computing() -> None:
    before = torch.get_num_threads()
    series = peak.matrix_product_peak(before + 1, dtype="float64", sizes=(16,), seconds=0.0)
    assert (series.machine.threads, series.machine.dtype) == (before + 1, "float64")
    assert torch.get_num_threads() == before
    assert peak.best(series) > 0
