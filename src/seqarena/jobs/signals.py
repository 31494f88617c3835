"""Signals that ask for an end: Ctrl-C (SIGINT), SIGTERM and, where the system has it, SIGHUP.

One that the process was started to ignore stays ignored: `nohup` does so with SIGHUP, and a shell
with the SIGINT of what it starts in the background. Handlers can be set in the main thread alone.
"""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_ALL = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP raise Interrupted inside, as Ctrl-C raises KeyboardInterrupt."""
    with _handled(_ALL[1:], _raise):
        yield


@contextmanager
def collected_signals() -> Iterator[list[int]]:
    """The first signal fills the list, for a job that looks at it; a second one raises."""
    found: list[int] = []

    def collect(number: int, frame: Any) -> None:
        if found:
            _raise(number, frame)
        found.append(number)

    with _handled(_ALL, collect):
        yield found


def _raise(number: int, frame: Any) -> None:
    raise Interrupted(number)


@contextmanager
def _handled(numbers: Sequence[int], handler: Callable[[int, Any], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    heeded = [number for number, old in before.items() if old not in (signal.SIG_IGN, None)]
    for number in heeded:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, before[number])
