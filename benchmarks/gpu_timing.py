"""Sizes, repeats and peak memory of benchmarks/gpu.py."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch


class Sizes(NamedTuple):
    """What is measured: 25 million parameters on a GPU, next to nothing at tiny sizes."""

    device: str
    small: bool
    dtype: str
    params: int
    step: int  # between two widths of a rival
    batch: int
    length: int
    stream: int  # tokens of the long sequence
    piece: int  # that are read at a time
    row_seconds: float  # of repeats

    @classmethod
    def of(cls, device: str, small: bool) -> "Sizes":
        """bfloat16 on a GPU, as models are trained there."""
        dtype = "bfloat16" if device == "cuda" else "float32"
        if small:
            return cls(device, small, dtype, 20_000, 16, 2, 32, 512, 64, 0.2)
        return cls(device, small, dtype, 25_000_000, 32, 16, 1024, 2**20, 2**15, 3.0)


def repeats(run: Callable[[], object], sizes: Sizes, least: int = 3, most: int = 30) -> list[float]:
    """Seconds of each repeat, after one that does not count where more than one is wanted."""
    seconds: list[float] = []
    if most > 1:
        run()
    start = time.perf_counter()
    while len(seconds) < least or (
        len(seconds) < most and time.perf_counter() - start < sizes.row_seconds
    ):
        wait(sizes.device)
        begin = time.perf_counter()
        run()
        wait(sizes.device)
        seconds.append(time.perf_counter() - begin)
    return seconds


def in_turn(
    runs: dict[str, Callable[[], object]], sizes: Sizes, least: int = 3, most: int = 30
) -> dict[str, list[float]]:
    """Seconds of each repeat of each. They take turns: a change of the machine meets all."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    start, rounds = time.perf_counter(), 0
    while rounds < least or (rounds < most and time.perf_counter() - start < sizes.row_seconds):
        for name, run in runs.items():
            seconds[name] += repeats(run, sizes, least=1, most=1)
        rounds += 1
    return seconds


def spread(values: list[float]) -> dict[str, float]:
    """The median and the range."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def peak_of(run: Callable[[], object], sizes: Sizes) -> int:
    """The most memory of the GPU in bytes that was in use during one run; 0 on a CPU."""
    if sizes.device != "cuda":
        run()
        return 0
    wait(sizes.device)
    torch.cuda.reset_peak_memory_stats()
    run()
    wait(sizes.device)
    return torch.cuda.max_memory_allocated()


def wait(device: str) -> None:
    """Until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def gigabytes(size: int) -> str:
    """For a line on the screen."""
    return f"{size / 2**30:.2f} GiB"
