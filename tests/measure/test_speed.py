"""Timing against a planted clock, so that the right answer is known exactly."""

import time

import pytest
import torch

from seqarena.core import runtime
from seqarena.measure.costs import speed


class Clock:
    """Stands still unless the work under measurement moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def work(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now)
    return clock


def test_a_call_three_times_as_slow_takes_three_times_as_long(clock: Clock) -> None:
    fast, slow = (
        speed.repeat(lambda cost=cost: clock.work(cost), repeats=5, seconds=1.0)
        for cost in (0.01, 0.03)
    )
    assert fast.median == pytest.approx(0.01)
    assert slow.median / fast.median == pytest.approx(3.0)


def test_warmup_is_left_out_and_repeats_are_kept(clock: Clock) -> None:
    costs = iter([9.0, 1.0, 1.0, 3.0, 2.0, 5.0])
    timing = speed.repeat(lambda: clock.work(next(costs)), repeats=4, seconds=1.0, warmup=2)
    assert timing.repeats == pytest.approx((1.0, 3.0, 2.0, 5.0))
    assert timing.median == pytest.approx(2.5)


def test_short_calls_are_grouped_to_fill_the_time(clock: Clock) -> None:
    calls = []

    def call() -> None:
        calls.append(1)
        clock.work(0.001)

    timing = speed.repeat(call, repeats=5, seconds=0.1, warmup=1)
    assert len(timing.repeats) == 5
    assert len(calls) == pytest.approx(1 + 100, abs=5)


def test_threads_are_set_and_put_back() -> None:
    before = torch.get_num_threads()
    with runtime.limited_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
