"""Runs a plan: hands ready trials to an executor until none is left.

`run` yields what happens and draws nothing. Stopping it at any point loses at most the steps since
the last checkpoint; calling it again goes on where it stopped.
"""

from collections.abc import Generator

from seqarena.arena.folder import RunFolder
from seqarena.arena.plan import Plan, Role, Trial, ready_trials, total_trials
from seqarena.core.results.records import ResultRecord
from seqarena.jobs.executor import Executor, run_jobs
from seqarena.jobs.files import write_atomically
from seqarena.jobs.job import Event, Job, Needs
from seqarena.jobs.processes import Processes
from seqarena.tasks.base import Task
from seqarena.tasks.prepared import save_prepared


class RunState:
    """What is finished of a plan, and what went wrong."""

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

    def ready_jobs(self) -> list[Job]:
        """The same as jobs, and remembers which trials they are."""
        found = []
        for role, trial in self.ready():
            self.trials.setdefault(trial.hash, (role, trial))
            found.append(trial_job(trial, self.folder, self.seconds_of(trial.architecture)))
        return found

    def seconds_of(self, architecture: str) -> float | None:
        """The longest training time seen of an architecture, so that long trials start first."""
        times = [
            result.training_seconds
            for key, result in self.results.items()
            if self.trials[key][1].architecture == architecture
        ]
        return max(times, default=None)


def trial_job(trial: Trial, folder: RunFolder, seconds: float | None = None) -> Job:
    """The job that runs a trial in its folder."""
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
        needs=Needs(threads=trial.threads, seconds=seconds),
        watched=True,
    )


def reuse(state: RunState) -> Generator[Event, None, None]:
    """Finished trials of earlier calls. A rate that they settle can make further ones visible."""
    fresh = state.ready()
    while fresh:
        for role, trial in fresh:
            state.trials[trial.hash] = role, trial
            result = state.folder.result(trial)
            if result is not None:
                state.results[trial.hash] = result
                yield Event("reused", trial_job(trial, state.folder), result)
        fresh = [pair for pair in state.ready() if pair[1].hash not in state.trials]


def run(
    state: RunState, jobs: int, *, task: Task | None = None, executor: Executor | None = None
) -> Generator[Event, None, None]:
    """Every trial of the plan that is not finished, `jobs` at a time in processes of their own, or
    on another executor. Workers read the data that `task` has prepared. Closing the generator lets
    running trials save first."""
    yield from reuse(state)
    if not state.ready():
        return
    if task is not None:
        save_prepared(task, state.folder.prepared_path)
    for event in run_jobs(state.ready_jobs, executor or Processes(jobs, state.plan.threads)):
        _, trial = state.trials[event.job.key]
        if event.kind == "finished":
            state.results[event.job.key] = event.payload
        elif event.kind == "failed":
            state.failures[trial.architecture] = event.payload.message
            if event.payload.traceback:
                path = state.folder.trial_path(trial) / "error.txt"
                write_atomically(path, event.payload.traceback)
        yield event
