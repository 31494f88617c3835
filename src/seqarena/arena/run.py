"""Runs a plan: hands ready trials to workers until none is left, then measures the costs.

`run` yields what happens and draws nothing. Stopping it at any point loses at most the steps since
the last checkpoint; calling it again goes on where it stopped.
"""

from collections.abc import Generator
from typing import Any, NamedTuple

from seqarena.arena.folder import RunFolder
from seqarena.arena.plan import Plan, Role, Trial, ready_trials, total_trials
from seqarena.arena.workers import Workers
from seqarena.core.records import ResultRecord

_POLL_SECONDS = 0.5


class Happening(NamedTuple):
    """One thing that happened to one trial."""

    kind: str  # reused, started, progress, finished, failed
    role: Role
    trial: Trial
    payload: Any = None


class Standing:
    """What is finished so far, and what went wrong."""

    def __init__(self, plan: Plan, folder: RunFolder, lower_is_better: bool) -> None:
        self.plan = plan
        self.folder = folder
        self.lower_is_better = lower_is_better
        self.trials: dict[str, tuple[Role, Trial]] = {}  # every one met so far, by hash
        self.results: dict[str, ResultRecord] = {}
        self.failures: dict[str, str] = {}  # architecture -> what happened
        self.total = total_trials(plan)

    def ready(self) -> list[tuple[Role, Trial]]:
        """Trials that can run now; those of failed architectures are left out."""
        validation = {key: result.validation_value for key, result in self.results.items()}
        healthy = [e for e in self.plan.entries if e.architecture not in self.failures]
        plan = self.plan.model_copy(update={"entries": tuple(healthy)})
        return ready_trials(plan, validation, self.lower_is_better)

    def seconds_of(self, architecture: str) -> float:
        """The longest training time seen of an architecture, for packing long trials first."""
        times = [
            result.training_seconds
            for key, result in self.results.items()
            if self.trials[key][1].architecture == architecture
        ]
        return max(times, default=0.0)


def reuse(standing: Standing) -> Generator[Happening, None, None]:
    """Finished trials of earlier calls. A rate that they settle can make further ones visible."""
    fresh = standing.ready()
    while fresh:
        for role, trial in fresh:
            standing.trials[trial.hash] = role, trial
            result = standing.folder.result(trial)
            if result is not None:
                standing.results[trial.hash] = result
                yield Happening("reused", role, trial, result)
        fresh = [pair for pair in standing.ready() if pair[1].hash not in standing.trials]


def run(standing: Standing, jobs: int) -> Generator[Happening, None, None]:
    """Every trial of the plan that is not finished. Stops its workers cleanly when it is closed."""
    yield from reuse(standing)
    if standing.ready():
        yield from _run_fresh(standing, jobs)


def _run_fresh(standing: Standing, jobs: int) -> Generator[Happening, None, None]:
    with Workers(jobs) as workers:
        try:
            waiting = standing.ready()
            while waiting or workers.running:
                waiting.sort(key=lambda pair: -standing.seconds_of(pair[1].architecture))
                while waiting and workers.has_idle:
                    role, trial = waiting.pop(0)
                    standing.trials[trial.hash] = role, trial
                    workers.start(trial, standing.folder.trial_path(trial))
                    yield Happening("started", role, trial)
                for event in workers.events(_POLL_SECONDS):
                    if event.kind == "finished":
                        standing.results[event.trial.hash] = event.payload
                    elif event.kind == "failed":
                        standing.failures[event.trial.architecture] = event.payload
                    role = standing.trials[event.trial.hash][0]
                    yield Happening(event.kind, role, event.trial, event.payload)
                    if event.kind != "progress":
                        running = {trial.hash for trial in workers.running}
                        waiting = [p for p in standing.ready() if p[1].hash not in running]
        except BaseException:
            workers.stop()
            raise
