"""What a person sees while a comparison runs: a live table on a terminal, lines anywhere else."""

import time

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from seqarena.arena.run import Happening, Standing
from seqarena.arena.trial import TrialProgress
from seqarena.core.records import ResultRecord


class LiveTable:
    """Follows the happenings of one run. Use as a context manager."""

    def __init__(self, console: Console, standing: Standing, metric: str) -> None:
        self.console = console
        self.standing = standing
        self.metric = metric
        self.running: dict[str, TrialProgress] = {}
        self.started_at = time.monotonic()
        self.reused = 0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[left]}"),
        )
        self._task = self._bar.add_task("", total=standing.total, left="")
        self._live = Live(console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "LiveTable":
        if self.console.is_terminal:
            self._live.__enter__()
        return self

    def __exit__(self, *details: object) -> None:
        if self.console.is_terminal:
            self._live.__exit__(None, None, None)

    def show(self, happening: Happening) -> None:
        """Takes one happening in."""
        key = happening.trial.hash
        if happening.kind == "progress":
            self.running[key] = happening.payload
        elif happening.kind == "started":
            self.running[key] = TrialProgress(0.0, float("nan"), 0.0, None)
        else:
            self.running.pop(key, None)
            self.reused += happening.kind == "reused"
        if self.console.is_terminal:
            self._live.update(Group(self._table(), self._bar))
            self._bar.update(
                self._task,
                description=f"{len(self.standing.results)} of {self.standing.total} trials",
                completed=self._done(),
                left=f"about {human_time(self.seconds_left())} left",
            )
        elif happening.kind in ("finished", "failed"):
            self._print_line(happening)

    def seconds_left(self) -> float:
        """By the pace so far; trials of earlier calls do not count as pace."""
        fresh = self._done() - self.reused
        if fresh <= 0:
            return float("nan")
        elapsed = time.monotonic() - self.started_at
        return elapsed * (self.standing.total - self._done()) / fresh

    def _done(self) -> float:
        return len(self.standing.results) + sum(p.share for p in self.running.values())

    def _print_line(self, happening: Happening) -> None:
        trial, payload = happening.trial, happening.payload
        if isinstance(payload, ResultRecord):
            value = payload.validation_value
            outcome = f"{self.metric} {value:.4f}" if value is not None else "diverged"
        else:
            outcome = f"failed: {payload}"
        self.console.print(
            f"{len(self.standing.results):4d}/{self.standing.total}  {trial.architecture:<20} "
            f"rate {trial.training.optimizer.learning_rate:g}  seed {trial.training.seed}  "
            f"{outcome}  (about {human_time(self.seconds_left())} left)",
            highlight=False,
            soft_wrap=True,
        )

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for name in ("architecture", "trials", f"best {self.metric}", "now", "loss", "tokens/s"):
            table.add_column(name, justify="left" if name in ("architecture", "now") else "right")
        for entry in self.standing.plan.entries:
            table.add_row(*self._row(entry.architecture))
        return table

    def _row(self, architecture: str) -> tuple[str, ...]:
        mine = [
            (k, t) for k, (_, t) in self.standing.trials.items() if t.architecture == architecture
        ]
        done = [self.standing.results[k] for k, _ in mine if k in self.standing.results]
        values = [r.validation_value for r in done if r.validation_value is not None]
        pick = min if self.standing.lower_is_better else max
        best = f"{pick(values):.4f}" if values else ""
        if architecture in self.standing.failures:
            return architecture, str(len(done)), best, "[red]failed[/red]", "", ""
        now = [(t, self.running[k]) for k, t in mine if k in self.running]
        if not now:
            return architecture, str(len(done)), best, "", "", ""
        names = "  ".join(
            f"rate {t.training.optimizer.learning_rate:g} seed {t.training.seed} {p.share:4.0%}"
            for t, p in now
        )
        progress = now[0][1]
        return (
            architecture, str(len(done)), best, names, f"{progress.loss_nats:.3f}",
            f"{sum(p.tokens_per_second for _, p in now):,.0f}",
        )  # fmt: skip


def human_time(seconds: float) -> str:
    """`3 min 20 s`; a question mark before there is a pace."""
    if seconds != seconds:
        return "? min"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
