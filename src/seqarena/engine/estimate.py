"""How long a plan takes and how much it writes, from a few steps of each architecture.

The steps are timed one architecture after the other with the threads that a trial has. Trials that
run side by side share caches and memory, and the machine may be busy then or now, so that the time
is given as a range. Starting processes, measuring costs and drawing the page are not counted.
"""

import itertools
import math
import tempfile
import time
from pathlib import Path

import numpy as np

from seqarena.arena.plan import Entry, Plan, trial
from seqarena.arena.trial import about, build_trainer, evaluation_batch_size
from seqarena.core import runtime
from seqarena.core.config import Config
from seqarena.core.errors import UserError
from seqarena.core.products import multiplying
from seqarena.core.user_code import own_places, reporting
from seqarena.tasks.base import Task
from seqarena.train import checkpoint
from seqarena.train.loop import Trainer

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
TIMED_STEPS = 2  # after one that warms up
RANGE = (0.6, 2.0)  # times the estimate: what a run takes lies between
_PAGE_BYTES = 5_000_000  # of report.html, nearly all of it the script that draws


class TrialEstimate(Config):
    """One trial of an architecture: what it costs, and how many of them there are."""

    architecture: str
    parameters: int
    seconds_per_step: float
    steps: int | None  # None: the clock decides
    seconds: float  # of a trial, evaluations included
    bytes_written: int  # by a trial
    trials: int


class PlanEstimate(Config):
    """The whole plan. `seconds` is the middle of a range that is `RANGE` wide."""

    entries: tuple[TrialEstimate, ...]
    trials: int
    jobs: int
    seconds: float
    bytes_written: int
    failures: dict[str, str] = {}  # architecture -> why it cannot take a step

    @property
    def range_seconds(self) -> tuple[float, float]:
        """The shortest and the longest that is to be expected."""
        return RANGE[0] * self.seconds, RANGE[1] * self.seconds


def estimate(plan: Plan, task: Task, jobs: int) -> PlanEstimate:
    """Takes a few training steps and one evaluation batch of each architecture. Keeps nothing.

    Raises UserError where no architecture can take a step.
    """
    entries: list[TrialEstimate] = []
    failures: dict[str, str] = {}
    with runtime.limited_threads(plan.threads), multiplying(plan.products):
        for entry in plan.entries:
            own = any(own_places(entry.model.model_dump()))
            try:
                with reporting(own, f"{entry.architecture} failed: "):
                    entries.append(_of_entry(plan, entry, task, repeated=not entries))
            except UserError as error:
                failures[entry.architecture] = str(error)
                if len(failures) == len(plan.entries):
                    raise
    work = sum(one.seconds * one.trials for one in entries) / jobs
    rounds = 1 if len(plan.search.seeds) == 1 else 2  # the other seeds wait for the best rate
    longest = max(one.seconds for one in entries) * rounds
    return PlanEstimate(
        entries=tuple(entries),
        trials=sum(one.trials for one in entries),
        jobs=jobs,
        seconds=max(work, longest),
        bytes_written=sum(one.bytes_written * one.trials for one in entries)
        + _prepared_bytes(task)
        + _PAGE_BYTES,
        failures=failures,
    )


def _of_entry(plan: Plan, entry: Entry, task: Task, *, repeated: bool) -> TrialEstimate:
    first = trial(plan, entry, plan.search.rates[0], plan.search.seeds[0])
    trainer = build_trainer(first, task)
    steps = trainer.steps()
    records = list(itertools.islice(steps, 1 + TIMED_STEPS))
    warm = records[0].training_seconds if len(records) > 1 else 0.0
    per_step = (records[-1].training_seconds - warm) / max(1, len(records) - 1)
    training = plan.training.budget.seconds or (trainer.total_steps or 0) * per_step
    written = _checkpoint_bytes(trainer, about(first, task))
    num_steps = trainer.total_steps or math.ceil(training / per_step)
    return TrialEstimate(
        architecture=entry.architecture,
        parameters=entry.parameters,
        seconds_per_step=per_step,
        steps=trainer.total_steps,
        seconds=training + _evaluation_seconds(trainer, plan.training.evaluations),
        bytes_written=written + num_steps * (len(records[-1].model_dump_json()) + 1),
        trials=len(plan.search.rates)
        + len(plan.search.seeds)
        - 1
        + (plan.search.repeats if repeated else 0),
    )


def _evaluation_seconds(trainer: Trainer, points: int) -> float:
    """Of all evaluations of a trial, from one batch: the curve's, the last and the test."""
    task = trainer.task
    size = evaluation_batch_size(task)
    start = time.perf_counter()
    task.evaluate(trainer.predict, "validation", size, 1)
    seconds = time.perf_counter() - start
    splits = (task.num_evaluation_examples(split) for split in ("validation", "test"))
    return seconds * (points - 1 + sum(math.ceil(examples / size) for examples in splits))


def _checkpoint_bytes(trainer: Trainer, facts: dict[str, object]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "checkpoint"
        checkpoint.save(place, trainer, facts)
        return sum(file.stat().st_size for file in place.iterdir())


def _prepared_bytes(task: Task) -> int:
    """Of the tokens that the processes of a run share."""
    survey = task.survey()
    if survey is None or type(task).save_prepared is Task.save_prepared:
        return 0
    tokens = sum(part.tokens for part in survey.parts.values())
    return tokens * np.min_scalar_type(task.vocab_size - 1).itemsize
