"""Tiny measurements for the tests of the ledger's runner: each run leaves a line in a file."""

import os
import signal
import time
from pathlib import Path

from claim_records import series

from seqarena.claims.claim import Claim, Part
from seqarena.claims.judging import curve, judgement, verdict
from seqarena.core.errors import UserError
from seqarena.core.results.estimates import mean
from seqarena.core.results.measurement import Measurement, Series


def count(log: str, name: str, value: float, seconds: float = 0.0) -> list[Series]:
    """A curve of one value."""
    time.sleep(seconds)
    with Path(log).open("a") as file:
        file.write(f"{name}\n")
    return [series("value", name, {1: value})]


def fails(log: str, message: str) -> list[Series]:
    """Raises as long as the log does not exist."""
    if not Path(log).exists():
        raise UserError(message)
    return count(log, "failing", 1.0)


def dies() -> list[Series]:
    """As when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)
    return []


def planted(name: str, *parts: Part) -> Claim:
    """Holds when the value of its own name is above one half."""

    def judge(records: list[Measurement]) -> object:
        found = mean(curve(records, "value", name).points[0])
        return judgement(verdict(found.value > 0.5), "a value", f"value {found}", found)

    return Claim(name, name, "words", "source", "experiment", "criterion", lambda _: parts, judge)  # pyright: ignore


def counting(log: Path, name: str, value: float = 1.0, **more: float) -> Part:
    return Part("claim_parts:count", {"log": str(log), "name": name, "value": value, **more}, 1.0)
