"""Runs a plan: hands ready trials to an executor until none is left.

`run` yields what happens and draws nothing. Stopping it at any point loses at most the steps since
the last checkpoint; calling it again goes on where it stopped.
"""

import math
import os
import shutil
import time
from collections.abc import Generator
from itertools import pairwise
from pathlib import Path

from seqarena.arena.doubt.looks import seed_counts
from seqarena.arena.folder import RunFolder
from seqarena.arena.plan import (
    Plan,
    Role,
    Settled,
    Trial,
    chosen_rate,
    further_trials,
    ready_trials,
    total_trials,
)
from seqarena.arena.rank import rank
from seqarena.core import words
from seqarena.core.errors import UserError
from seqarena.core.results.quantities import CostTable
from seqarena.core.results.records import ResultRecord
from seqarena.jobs.executor import Executor, run_jobs
from seqarena.jobs.job import Event, Failure, Job, Needs
from seqarena.jobs.processes import Processes
from seqarena.tasks.base import Task
from seqarena.tasks.prepared import save_prepared

_TRIAL_BYTES = 1_000_000  # about: the records of a trial
_PAGE_BYTES = 15_000_000  # about: the page and the database


class RunState:
    """What is finished of a plan, and what went wrong."""

    def __init__(
        self,
        plan: Plan,
        folder: RunFolder,
        lower_is_better: bool,
        timeout_seconds: float | None = None,
        metric: str = "",
        max_minutes: float | None = None,
    ) -> None:
        """`timeout_seconds` is what a trial may take, one try; `metric` is the task's. After
        `max_minutes` from now no further seed starts."""
        self.plan = plan
        self.folder = folder
        self.lower_is_better = lower_is_better
        self.timeout_seconds = timeout_seconds
        self.metric = metric
        self.seed_counts = seed_counts(plan.search)
        # for each look but the last: the architectures that run more seeds after it
        self.rounds: list[tuple[str, ...]] = []
        self.further: set[str] = set()  # hashes of the trials of those seeds
        self.stop_at = math.inf if max_minutes is None else time.monotonic() + 60 * max_minutes
        self.out_of_time = False  # further seeds were left for the next call
        self.in_vain = False  # seeds will not find a winner, see `_undecided`
        self.trials: dict[str, tuple[Role, Trial]] = {}  # every one met so far, by hash
        self.results: dict[str, ResultRecord] = {}
        self.failures: dict[str, str] = {}  # hash of a trial -> why it failed
        self.total = self._total({})

    @property
    def settled(self) -> Settled:
        """Trials that have ended. One that failed has no value, so that the other rates and seeds
        of its architecture go on."""
        finished = {key: result.validation_value for key, result in self.results.items()}
        return finished | dict.fromkeys(self.failures, math.nan)

    def ready(self) -> list[tuple[Role, Trial]]:
        """Trials that can run now."""
        settled = self.settled
        waiting = ready_trials(self.plan, settled, self.lower_is_better)
        waiting = waiting or self._further(settled)
        self.total = self._total(settled)
        return waiting

    def _total(self, settled: Settled) -> int:
        """How many trials there are, as far as is known."""
        return total_trials(self.plan, settled, self.lower_is_better) + len(self.further)

    def wider_rates(self) -> dict[str, tuple[float, ...]]:
        """Architecture -> learning rates beyond those asked for that its search tried."""
        found: dict[str, set[float]] = {}
        for _, one in self.trials.values():
            rate = one.training.optimizer.learning_rate
            if rate not in self.plan.search.rates:
                found.setdefault(one.architecture, set()).add(rate)
        return {name: tuple(sorted(rates)) for name, rates in found.items()}

    def _further(self, settled: Settled) -> list[tuple[Role, Trial]]:
        """More seeds of the architectures that tie for the lead, look by look. Each look is decided
        once, by the seeds before it only, so that the same records always decide the same."""
        for look, (before, upto) in enumerate(pairwise(self.seed_counts)):
            if len(self.rounds) == look:
                self.rounds.append(self._undecided(before))
            found: list[Trial] = []
            for entry in self.plan.entries:
                if entry.architecture in self.rounds[look]:
                    rate = chosen_rate(self.plan, entry, settled, self.lower_is_better)
                    assert rate is not None  # it is ranked
                    found += further_trials(self.plan, entry, rate, upto)
            self.further |= {trial.hash for trial in found}
            waiting = [trial for trial in found if trial.hash not in settled]
            if waiting or not self.rounds[look]:
                return [("seed", trial) for trial in waiting]
        return []

    def _undecided(self, num_seeds: int) -> tuple[str, ...]:
        """The architectures of which none is told apart from the leader by their first seeds; none
        with a winner, and none where it is plain that seeds will not find one."""
        from seqarena.arena.view import summarise

        end = self.plan.search.first_seed + num_seeds
        trials = [
            summarise(self.folder, role, trial, self.failures.get(key, ""))
            for key, (role, trial) in self.trials.items()
            if trial.training.seed < end
        ]
        try:
            ranking = rank(
                trials,
                CostTable(),
                metric=self.metric,
                lower_is_better=self.lower_is_better,
                excluded=self.plan.excluded,
                search=self.plan.search,
            )
        except UserError:  # nothing is ranked: all diverged or failed
            return ()
        search = self.plan.search
        reach = all(one.within_reach for one in ranking.partings)
        self.in_vain = search.until_decided and not reach
        return () if self.in_vain or len(ranking.leaders) == 1 else ranking.leaders

    def ready_jobs(self) -> list[Job]:
        """The same as jobs, and remembers which trials they are."""
        found = []
        ready = self.ready()
        if time.monotonic() > self.stop_at:
            now = [pair for pair in ready if pair[1].hash not in self.further]
            self.out_of_time = len(now) < len(ready)
            ready = now
        for role, trial in ready:
            self.trials.setdefault(trial.hash, (role, trial))
            seconds = self.seconds_of(trial.architecture)
            found.append(trial_job(trial, self.folder, seconds, self.timeout_seconds))
        return found

    def seconds_of(self, architecture: str) -> float | None:
        """The longest training time seen of an architecture, so that long trials start first."""
        times = [
            result.training_seconds
            for key, result in self.results.items()
            if self.trials[key][1].architecture == architecture
        ]
        return max(times, default=None)


def trial_job(
    trial: Trial,
    folder: RunFolder,
    seconds: float | None = None,
    timeout_seconds: float | None = None,
) -> Job:
    """The job that runs a trial in its folder; about how long it takes, and how long it may."""
    rate, seed = trial.training.optimizer.learning_rate, trial.training.seed
    return Job(
        key=trial.hash,
        function="seqarena.arena.trial:run_trial_job",
        arguments={
            "trial": trial.model_dump(mode="json"),
            "folder": str(folder.trial_path(trial)),
            "prepared": str(folder.prepared_path),
        },
        label=f"{trial.architecture:<20} rate {rate:g}  seed {seed}",
        group=trial.architecture,
        needs=Needs(threads=trial.threads, seconds=seconds, timeout_seconds=timeout_seconds),
        watched=True,
    )


def reuse(state: RunState, *, failures: bool = False) -> Generator[Event, None, None]:
    """Finished trials of earlier calls. A rate that they settle can make further ones visible.
    `failures`: a trial that failed is settled too, as for a reader; else it is tried again."""
    fresh = state.ready()
    while fresh:
        for role, trial in fresh:
            state.trials[trial.hash] = role, trial
            result = state.folder.result(trial)
            why = state.folder.failure(trial) if failures and result is None else None
            if result is not None:
                state.results[trial.hash] = result
                yield Event("reused", trial_job(trial, state.folder), result)
            elif why is not None:
                state.failures[trial.hash] = why
        fresh = [pair for pair in state.ready() if pair[1].hash not in state.trials]


def run(
    state: RunState, jobs: int, *, task: Task | None = None, executor: Executor | None = None
) -> Generator[Event, None, None]:
    """Every trial of the plan that is not finished, `jobs` at a time in processes of their own, or
    on another executor. Workers read the data that `task` has prepared. Closing the generator lets
    running trials save first.

    Raises UserError where the disk is too small, and OSError where it fails: nothing that is
    finished is lost.
    """
    yield from reuse(state)
    if not state.ready():
        return
    check_space(state, jobs)
    if task is not None:
        save_prepared(task, state.folder.prepared_path)
    for event in run_jobs(state.ready_jobs, executor or Processes(jobs, state.plan.threads)):
        _, trial = state.trials[event.job.key]
        if event.kind == "started":
            state.folder.forget_failure(trial)
        elif event.kind == "finished":
            state.results[event.job.key] = event.payload
        elif event.kind == "failed":
            failure: Failure = event.payload
            if failure.disk is not None:  # the next trial would meet it as well
                raise OSError(*failure.disk)
            state.failures[event.job.key] = failure.message
            state.folder.keep_failure(trial, failure)
        yield event


def check_space(state: RunState, jobs: int) -> None:
    """Raises UserError where the disk has not the room for what is left of the plan, and where
    something else lies at the place of the trials."""
    trials, plan = state.folder.path / "trials", state.plan
    if trials.exists() and not trials.is_dir():
        raise UserError(f"{trials} is a file: move it away, trials are written to a folder there")
    needed, free = required_bytes(state, jobs), shutil.disk_usage(_existing(trials)).free
    if free < needed:
        raise UserError(
            f"{plan.name} needs about {words.with_unit(needed, 'bytes')} more in "
            f"{state.folder.path}, where {words.with_unit(free, 'bytes')} are free: free some, or "
            "choose another --runs"
        )


def required_bytes(state: RunState, jobs: int) -> int:
    """About what is still to be written: weights and the optimizer's two moments of each trial, one
    more checkpoint for each trial that runs, which replaces an older one, and records."""
    plan = state.plan
    size = 8 if plan.dtype == "float64" else 4
    checkpoints = sorted(3 * size * entry.parameters for entry in plan.entries)
    left = max(1, state.total - len(state.results))
    mean = sum(checkpoints) / len(checkpoints)
    return round(left * (mean + _TRIAL_BYTES) + jobs * checkpoints[-1] + _PAGE_BYTES)


def _existing(path: Path) -> Path:
    """The folder itself or the nearest one above it that exists."""
    path = Path(os.path.abspath(path))
    return next(place for place in (path, *path.parents) if place.is_dir())
