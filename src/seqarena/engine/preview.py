"""`--dry-run`: what was read, the plan, and what it will take. Nothing is written."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from seqarena.arena.plan import Plan
from seqarena.arena.requests import CompareRequest, TrainRequest
from seqarena.core import words
from seqarena.core.results.data_summary import DataSummary
from seqarena.engine.estimate import TIMED_STEPS, PlanEstimate, estimate
from seqarena.engine.planned import (
    Planned,
    plan_comparison,
    plan_training,
    rates_in_words,
    seeds_in_words,
)


class Preview:
    """What a comparison or a training would do: its data, its plan, its time and its size."""

    def __init__(self, planned: Planned, estimated: PlanEstimate) -> None:
        prepared = planned.prepared
        self.data: DataSummary = prepared.summary
        self.plan: Plan = prepared.plan
        self.path = prepared.folder.path
        self.choices = prepared.choices
        self.estimate = estimated

    def __repr__(self) -> str:
        return f"Preview({str(self.path)!r})"

    def summary(self) -> dict[str, Any]:
        """The same as JSON values."""
        low, high = self.estimate.range_seconds
        return {
            "run": str(self.path),
            "task": self.plan.task,
            "data": self.data.model_dump(mode="json"),
            "excluded": dict(self.plan.excluded),
            "rates": list(self.plan.search.rates),
            "seeds": list(self.plan.search.seeds),
            "seconds_from": low,
            "seconds_to": high,
            **self.estimate.model_dump(mode="json"),
        }

    def sentences(self) -> Iterator[str]:
        """All but the table of the architectures, a line each."""
        search, plan = self.plan.search, self.plan
        yield f"task: {plan.task['kind']}"
        yield from self.data.sentences()
        yield from self.choices
        for name, why in plan.excluded.items():
            yield f"{name} cannot enter: {why}"
        for name, why in self.estimate.failures.items():
            yield f"{name} will fail: {why}"
        rates = ", ".join(f"{rate:g}" for rate in search.rates)
        yield (
            f"plan: {words.plural(len(plan.entries), 'architecture')}, "
            f"{rates_in_words(search)}: {rates}, "
            f"{seeds_in_words(search)}, {plan.training.budget.describe()} each: "
            f"{words.plural(self.estimate.trials, 'trial')}, {self.estimate.jobs} at a time"
        )
        low, high = map(words.duration, self.estimate.range_seconds)
        yield (
            f"time: about {words.duration(self.estimate.seconds)}, between {low} and {high}, by "
            f"{TIMED_STEPS} steps of each architecture; starting processes, measuring costs and "
            "drawing the page come on top"
        )
        size = words.with_unit(float(f"{self.estimate.bytes_written:.2g}"), "bytes")
        yield f"disk: about {size} in {self.path}; nothing is written now"

    def table(self) -> Table:
        """One row an architecture."""
        table = Table(box=None, pad_edge=False)
        table.add_column("architecture")
        for head in ("parameters", "a step", "steps", "a trial", "trials"):
            table.add_column(head, justify="right")
        for one in self.estimate.entries:
            table.add_row(
                one.architecture,
                f"{one.parameters:,}",
                words.with_unit(one.seconds_per_step, "seconds"),
                words.ABSENT if one.steps is None else f"{one.steps:,}",
                words.duration(one.seconds),
                str(one.trials),
            )
        return table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        *first, time, disk = self.sentences()
        for sentence in first:
            yield Text(sentence, style="bold yellow" if self.data.is_loud(sentence) else "")
        yield self.table()
        yield from (Text(time), Text(disk))

    def __str__(self) -> str:
        console = Console(width=100, color_system=None)
        with console.capture() as captured:
            console.print(self, soft_wrap=True)
        return captured.get()


def preview_comparison(request: CompareRequest, console: Console) -> Preview:
    """What `compare` would do."""
    return _preview(plan_comparison(request, console), console)


def preview_training(request: TrainRequest, console: Console) -> Preview:
    """What `train` would do."""
    return _preview(plan_training(request), console)


def _preview(planned: Planned, console: Console) -> Preview:
    prepared = planned.prepared
    with console.status("taking a few steps of each architecture"):
        found = estimate(prepared.plan, prepared.task, prepared.jobs)
    return Preview(planned, found)
