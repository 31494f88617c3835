"""Trackers that fail, where a real one stands (engine/tracking/tracker.py)."""

import errno
from collections.abc import Sequence
from typing import Any


class NoServer:
    def __init__(self, trial: Any) -> None:
        raise ConnectionError("no server answers")


class FullDisk:
    identity = "full"

    def __init__(self, trial: Any) -> None:
        pass

    def log(self, points: Sequence[Any]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def finish(self, scores: Any, ending: Any) -> None:
        raise AssertionError("it has failed before")
