"""What a person sees while a comparison runs: one row an architecture, then rounds of timings."""

import math

from rich.console import Console

from seqarena.arena.costs import CostRounds
from seqarena.arena.run import RunState
from seqarena.core.results.records import ResultRecord
from seqarena.core.words import duration, plural
from seqarena.jobs.display import Display
from seqarena.jobs.job import Event, Failure


def comparison_display(console: Console, state: RunState, metric: str, workers: int) -> Display:
    """The display of `arena.run.run`: best validation value by architecture, and what trains."""

    def line(event: Event) -> str:
        if isinstance(event.payload, Failure):
            return f"{event.job.label}  failed: {event.payload.message}"
        result: ResultRecord = event.payload
        value = result.validation_value
        words = "diverged" if value is None else f"{metric} {value:.4f}"
        if result.skipped_steps:
            words += f"  ({plural(result.skipped_steps, 'step')} not finite: skipped)"
        if result.pieces > state.plan.training.accumulation:
            words += f"  (memory ran out: each batch in {result.pieces} pieces)"
        return f"{event.job.label}  {words}"

    def best(architecture: str) -> str:
        values = [
            result.validation_value
            for key, result in state.results.items()
            if state.trials[key][1].architecture == architecture
            and result.validation_value is not None
        ]
        pick = min if state.lower_is_better else max
        return f"{metric} {pick(values):.4f}" if values else ""

    return Display(
        console,
        total=state.total,
        workers=workers,
        groups=[entry.architecture for entry in state.plan.entries],
        line=line,
        summary=best,
        noun="trials",
    )


class CostDisplay(Display):
    """The display of `arena.costs.run_costs`: a bar on a terminal, a line a round anywhere else."""

    def __init__(self, console: Console, rounds: CostRounds) -> None:
        super().__init__(
            console,
            total=rounds.total,
            expected_seconds=rounds.seconds,
            noun="costs",
            quiet_seconds=math.inf,
        )
        self.rounds = rounds
        self._words = ""

    def show(self, event: Event) -> None:
        """Takes one event in, after the rounds have."""
        if self.rounds.total > self.total:
            more = self.rounds.total - self.total
            self.extend(self.rounds.total, more * (event.job.needs.seconds or 0.0))
        super().show(event)
        if self.rounds.ready() and self.rounds.words != self._words:
            self._words = self.rounds.words
            if not self.console.is_terminal:
                left = duration(self.seconds_left())
                self.console.print(
                    f"costs: {self._words} (about {left} left)", highlight=False, soft_wrap=True
                )
