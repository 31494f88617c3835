"""What a person sees while jobs run: a live table on a terminal, sparse lines anywhere else."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from seqarena.core.words import duration
from seqarena.jobs.job import Event, Failure, Job

_ROWS = 30  # of the table; more groups than that show only those that run
_LINES = 10  # that a job which is the only one says of its progress where there is no terminal


class Display:
    """Follows the events of one run of jobs. Use as a context manager."""

    def __init__(
        self,
        console: Console,
        *,
        total: int,
        workers: int = 1,
        expected_seconds: float = 0.0,
        groups: Sequence[str] = (),
        line: Callable[[Event], str] | None = None,
        summary: Callable[[str], str] = lambda group: "",
        noun: str = "jobs",
        quiet_seconds: float = 0.0,
    ) -> None:
        """`total` jobs are to be run. Their `expected_seconds` together, where they are known, give
        a first estimate of the time left. `groups` are rows that are shown from the start;
        `summary` words what is known of a group, and `line` what became of a job. A job that took
        less than `quiet_seconds` gets no line."""
        self.console, self.total, self.workers = console, total, workers
        self.line, self.summary, self.noun = line or _plain_line, summary, noun
        self.quiet_seconds = quiet_seconds
        self.expected_seconds = expected_seconds
        self.groups: dict[str, int] = dict.fromkeys(groups, 0)  # -> jobs that are done
        self.running: dict[str, tuple[Job, Any]] = {}  # key -> job, its last progress
        self.reused = self.done = self.failed = 0
        self.done_seconds = 0.0  # that what is done was expected to take
        self._said = 0
        self._started_at = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(None), TextColumn("{task.fields[left]}")
        )
        self._task = self._bar.add_task("", total=total, left="")
        self._live = Live(console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "Display":
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *details: object) -> None:
        if self.console.is_terminal:
            self._live.stop()

    def extend(self, total: int, seconds: float = 0.0) -> None:
        """More jobs than were known of at the start, which take so many `seconds` more."""
        self.total = total
        self.expected_seconds += seconds
        self._bar.update(self._task, total=total)

    def show(self, event: Event) -> None:
        """Takes one event in."""
        key, job = event.job.key, event.job
        self.groups.setdefault(job.group, 0)
        if event.kind in ("started", "progress"):
            self.running[key] = job, event.payload
        elif event.kind == "retried":
            self.running.pop(key, None)
        else:
            self.running.pop(key, None)
            self.reused += event.kind == "reused"
            self.failed += event.kind == "failed"
            self.done += event.kind != "reused"
            self.groups[job.group] += 1
            self.done_seconds += self._weight(job)
        if self.console.is_terminal:
            self._draw()
        if event.kind in ("failed", "retried") or (
            event.kind == "finished"
            and not self.console.is_terminal
            and event.seconds >= self.quiet_seconds
        ):
            self._say(event)
        elif event.kind == "progress" and self.total == 1 and not self.console.is_terminal:
            self._say_progress(event.payload)

    def seconds_left(self) -> float:
        """By the pace so far, against what was expected where that is known; not a number before
        there is a pace. What was reused does not count as pace."""
        spent = time.monotonic() - self._started_at
        part = sum(_share(progress) for _, progress in self.running.values())
        if not self.expected_seconds:
            done = self.done + part
            left = self.total - self.reused - done
            return spent * left / done if done > 0 else float("nan")
        done_seconds = self.done_seconds + sum(
            self._weight(job) * _share(progress) for job, progress in self.running.values()
        )
        left = max(0.0, self.expected_seconds - done_seconds)
        known = done_seconds > 0.1 * self.expected_seconds
        return left * spent / done_seconds if known else left

    def _weight(self, job: Job) -> float:
        """The seconds that a job adds to the whole."""
        return (job.needs.seconds or 0.0) / (1 if job.needs.alone else self.workers)

    @property
    def _count(self) -> str:
        return f"{self.reused + self.done}/{self.total}"

    def _say(self, event: Event) -> None:
        left, line = duration(self.seconds_left()), self.line(event)
        if event.kind == "retried":
            line += ": it is tried once more"
        self.console.print(
            f"{self._count:>7}  {line}  (about {left} left)",
            style="red" if event.kind in ("failed", "retried") else None,
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip

    def _say_progress(self, progress: Any) -> None:
        if int(_share(progress) * _LINES) > self._said:
            self._said = int(_share(progress) * _LINES)
            self.console.print(
                f"{_share(progress):4.0%}  {progress.words}",
                highlight=False, markup=False, soft_wrap=True,
            )  # fmt: skip

    def _draw(self) -> None:
        part = sum(_share(progress) for _, progress in self.running.values())
        self._bar.update(
            self._task,
            description=f"{self._count} {self.noun}",
            completed=self.reused + self.done + part,
            left=f"about {duration(self.seconds_left())} left",
        )
        self._live.update(Group(self._table(), self._bar))

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, show_header=False)
        for _ in range(4):
            table.add_column()
        by_group: dict[str, list[str]] = {}
        for job, progress in self.running.values():
            words = job.label.removeprefix(job.group).strip()
            if progress is not None:
                words += f"  {progress.share:4.0%}  {progress.words}"
            by_group.setdefault(job.group, []).append(words)
        shown = self.groups if len(self.groups) <= _ROWS else by_group
        for group in shown:
            now = "\n".join(by_group.get(group, []))
            cells = group, str(self.groups[group] or ""), self.summary(group), now
            table.add_row(*map(Text, cells))  # a name may hold what rich takes for markup
        return table


def _plain_line(event: Event) -> str:
    if isinstance(event.payload, Failure):
        return f"{event.job.label}  failed: {event.payload.message}"
    return f"{event.job.label}  {duration(event.seconds)}"


def _share(progress: Any) -> float:
    return 0.0 if progress is None else progress.share
