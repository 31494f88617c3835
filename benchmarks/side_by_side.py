"""Fair timing: contenders take turns, and each turn gives one pair.

Machines drift (temperature, neighbours), so that a ratio is taken between runs that stand next to
each other in time, and the order is turned round at every repeat.
"""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Clock = Literal["wall", "process"]
_CLOCKS: dict[Clock, Callable[[], float]] = {
    "wall": time.perf_counter,
    "process": time.process_time,
}
PARAMETER_TOLERANCE = 0.01


class Contender(NamedTuple):
    """One implementation. `run` does the row's work once."""

    name: str
    ours: bool
    run: Callable[[], object]
    parameters: int | None = None


@dataclass
class Row:
    """One comparison. `tokens` are what one run of any contender treats."""

    title: str
    tokens: int
    settings: dict[str, Any]
    contenders: list[Contender]
    checks: list[str] = field(default_factory=list)  # what was found equal before timing


class Ratio(NamedTuple):
    """Speed of ours over theirs, above 1 where ours is faster: of each turn's pair."""

    ours: str
    theirs: str
    median: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """`level` where some pairs went one way and some the other."""
        if self.low > 1.0:
            return "won"
        return "lost" if self.high < 1.0 else "level"


class Outcome(NamedTuple):
    """What a row came to."""

    row: Row
    seconds: dict[str, list[float]]  # contender -> each repeat
    ratios: list[Ratio]

    def tokens_per_second(self, name: str) -> float:
        return self.row.tokens / statistics.median(self.seconds[name])


def compare(row: Row, *, repeats: int, clock: Clock) -> Outcome:
    """Runs the row. Raises AssertionError where the contenders are not of one size."""
    _check_sizes(row)
    for contender in row.contenders:
        for _ in range(2):
            contender.run()
    seconds: dict[str, list[float]] = {contender.name: [] for contender in row.contenders}
    now = _CLOCKS[clock]
    gc.collect()
    gc.disable()
    try:
        for index in range(repeats):
            for contender in row.contenders[:: -1 if index % 2 else 1]:
                start = now()
                contender.run()
                seconds[contender.name].append(now() - start)
    finally:
        gc.enable()
    ours = [c.name for c in row.contenders if c.ours]
    theirs = [c.name for c in row.contenders if not c.ours]
    ratios = [_ratio(a, b, seconds) for a in ours for b in theirs]
    return Outcome(row, seconds, ratios)


def _ratio(ours: str, theirs: str, seconds: dict[str, list[float]]) -> Ratio:
    pairs = [b / a for a, b in zip(seconds[ours], seconds[theirs], strict=True)]
    return Ratio(ours, theirs, statistics.median(pairs), min(pairs), max(pairs))


def _check_sizes(row: Row) -> None:
    sizes = [c.parameters for c in row.contenders if c.parameters is not None]
    if sizes and max(sizes) > min(sizes) * (1 + PARAMETER_TOLERANCE):
        raise AssertionError(f"{row.title}: parameter counts differ by more than 1 %: {sizes}")
