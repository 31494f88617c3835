"""The rungs of a ladder before they are trained: what each will take, and what it says in words."""

from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from seqarena.arena.requests import CompareRequest
from seqarena.arena.run import RunState, reuse
from seqarena.core import words
from seqarena.core.results.data_summary import DataSummary
from seqarena.engine.estimate import RANGE, estimate
from seqarena.engine.planned import Planned, plan_comparison
from seqarena.forecast.requests import ForecastRequest


class RungPlan(NamedTuple):
    """A comparison of the ladder, and about how long what is left of it takes."""

    params: int
    tokens: int
    folder: Path
    seconds_left: float
    made: ForecastRequest
    models: tuple[str, ...] = ()
    mixers: tuple[str, ...] | None = None
    fixed_rates: tuple[float, ...] = ()

    def request(self, rates: tuple[float, ...]) -> CompareRequest:
        """The comparison to run, at these rates or at all."""
        return self.made.rung(
            self.params,
            self.tokens,
            runs=self.folder.parent,
            name=self.folder.name,
            models=self.models,
            mixers=self.mixers,
            rates=self.fixed_rates or rates,
            widens=not self.fixed_rates,
        )


class LadderPreview:
    """What a forecast would train, and how long that takes."""

    def __init__(self, path: Path, rungs: list[RungPlan], planned: Planned) -> None:
        self.path = path
        self.rungs = rungs
        self.data: DataSummary = planned.prepared.summary
        self.architectures = [one.architecture for one in planned.prepared.plan.entries]
        self.excluded = dict(planned.prepared.plan.excluded)

    @property
    def seconds(self) -> float:
        """About how long what is left of all rungs takes."""
        return sum(rung.seconds_left for rung in self.rungs)

    def summary(self) -> dict[str, Any]:
        """The same as JSON values."""
        low, high = (factor * self.seconds for factor in RANGE)
        rungs = [
            {"params": rung.params, "tokens": rung.tokens, "seconds": rung.seconds_left}
            for rung in self.rungs
        ]
        return {
            "run": str(self.path),
            "architectures": self.architectures,
            "excluded": self.excluded,
            "rungs": rungs,
            "seconds_from": low,
            "seconds_to": high,
        }

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for sentence in self.data.sentences():
            yield Text(sentence, style="bold yellow" if self.data.is_loud(sentence) else "")
        yield Text(f"architectures: {words.listed(self.architectures)}")
        for name, why in self.excluded.items():
            yield Text(f"{name} cannot enter: {why}")
        table = Table(box=None, pad_edge=False)
        for head in ("rung", "parameters", "tokens", "time left"):
            table.add_column(head, justify="right")
        for number, rung in enumerate(self.rungs, start=1):
            table.add_row(
                str(number), f"{rung.params:,}", f"{rung.tokens:,}",
                words.duration(rung.seconds_left),
            )  # fmt: skip
        yield table
        low, high = (words.duration(factor * self.seconds) for factor in RANGE)
        yield Text(
            f"time: about {words.duration(self.seconds)}, between {low} and {high}; measuring "
            f"costs comes on top; nothing is written now to {self.path}"
        )


def plan_rungs(request: ForecastRequest, path: Path, console: Console) -> list[RungPlan]:
    """Every rung with the time that its unfinished trials take, by a few steps of each
    architecture."""
    return [plan for plan, _ in _planned(request, path, console)]


def preview_forecast(request: ForecastRequest, path: Path, console: Console) -> LadderPreview:
    """What `forecast` would train."""
    planned = _planned(request, path, console)
    return LadderPreview(path, [plan for plan, _ in planned], planned[-1][1])


def _planned(
    request: ForecastRequest, path: Path, console: Console
) -> list[tuple[RungPlan, Planned]]:
    found = []
    for params in request.ladder.sizes:
        tokens = request.ladder.tokens(params)
        plan = RungPlan(params, tokens, path / f"rung-{params}", 0.0, request)
        planned = plan_comparison(plan.request(()), console)
        left = _share_left(planned)
        if left:
            prepared = planned.prepared
            with console.status(f"timing a few steps at {params:,} parameters"):
                seconds = estimate(prepared.plan, prepared.task, prepared.jobs).seconds
            plan = plan._replace(seconds_left=left * seconds)
        found.append((plan, planned))
    return found


def _share_left(planned: Planned) -> float:
    """Of the plan's trials, those that are not finished."""
    prepared = planned.prepared
    state = RunState(
        prepared.plan, prepared.folder, prepared.task.lower_is_better, metric=prepared.task.metric
    )
    for _ in reuse(state):
        pass
    return 1 - len(state.results) / max(1, state.total)
