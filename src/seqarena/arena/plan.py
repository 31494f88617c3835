"""The plan: architectures x learning rates x seeds under one equal budget, as data.

A trial is its whole configuration. Its hash, over that, the data and the sources that it runs
(jobs/sources.py), names its folder: a finished trial is never run twice, and a changed one is never
mistaken for it.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import model_validator

from seqarena.arena.requests import SearchRequest, SizeRequest
from seqarena.arena.tuning import best_rate, next_rate
from seqarena.core.config import Config, digest
from seqarena.core.errors import UserError
from seqarena.jobs.sources import places_in, source_digest
from seqarena.models.any import AnyConfig
from seqarena.models.stacks.language_model import ModelConfig
from seqarena.tasks.configs import TaskConfig
from seqarena.tasks.registry import task_place
from seqarena.train.config import TrainConfig, TrainingRequest
from seqarena.train.start import Start

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
PLACES = {
    "task": ("data", "reads_like"),
    "start": ("checkpoint", "base"),
}  # fields that name a place
Role = Literal["search", "seed", "repeat"]


class Entry(Config):
    """One architecture of the comparison: its catalog row's facts and its solved model."""

    architecture: str
    model: AnyConfig
    parameters: int
    code: str = ""  # of the sources that its trials run, see `trial_code`


class Plan(Config):
    """A whole comparison: what was asked for, resolved. `task_digest` names the data. `code`, of
    all sources, is for the record. `size`, `training` and `search` are those of the request."""

    name: str
    command: str  # runs it again
    task: dict[str, Any]
    task_digest: str
    entries: tuple[Entry, ...]
    excluded: dict[str, str]  # architecture -> why it cannot enter
    size: SizeRequest
    training: TrainingRequest
    search: SearchRequest
    device: str
    dtype: str
    threads: int  # of each trial
    products: str = "blas"  # who multiplies float32 matrices on the CPU (core/products.py)
    code: str
    start: Start | None = None  # of a training that does not begin at random

    @model_validator(mode="after")
    def _something_to_run(self) -> Self:
        if not self.entries:
            reasons = "; ".join(f"{name}: {why}" for name, why in self.excluded.items())
            raise UserError(f"no architecture can enter: {reasons or 'none was named'}")
        return self


class Trial(Config):
    """One training run."""

    architecture: str
    model: AnyConfig
    parameters: int
    task: dict[str, Any]
    task_digest: str
    training: TrainConfig
    threads: int
    products: str = "blas"
    code: str  # digest of the sources that it runs
    repetition: int = 0
    start: Start | None = None

    @cached_property
    def hash(self) -> str:
        """Names the trial's folder: by what data and weights are, not by where they lie. The
        device, the number of threads and who multiplies are recorded with the result; they are in
        the name only where the budget is time, which they turn into another number of steps. What
        has its default is left out, so that a field of a later version renames no folder of an
        earlier one."""
        fields = self.model_dump(mode="json", exclude_defaults=True)
        if self.training.budget.seconds is None:
            del fields["threads"]
            fields.pop("products", None)
            fields["training"].pop("device", None)
        for key, places in PLACES.items():
            for place in places:
                fields.get(key, {}).pop(place, None)
        return digest(fields)


def model_places(model: AnyConfig) -> set[str]:
    """What a model's configuration names: its mixers, or its system."""
    mixers = {one.mixer for one in model.stack.layers} if isinstance(model, ModelConfig) else set()
    return places_in(model.model_dump(mode="json")) | mixers


def trial_code(model: AnyConfig, task: TaskConfig) -> str:
    """Digest of the sources that a trial runs: those of its model, its task and the training."""
    return source_digest(
        {"seqarena.arena.trial", task_place(task.kind), "seqarena.models.any", *model_places(model)}
    )


def trial(plan: Plan, entry: Entry, learning_rate: float, seed: int, repetition: int = 0) -> Trial:
    """The plan's trial of one architecture at one learning rate and seed."""
    optimizer = plan.training.optimizer.model_copy(update={"learning_rate": learning_rate})
    fields = {name: getattr(plan.training, name) for name in TrainingRequest.model_fields}
    return Trial(
        architecture=entry.architecture,
        model=entry.model,
        parameters=entry.parameters,
        task=plan.task,
        task_digest=plan.task_digest,
        training=TrainConfig(
            **{**fields, "optimizer": optimizer}, seed=seed, device=plan.device, dtype=plan.dtype
        ),
        threads=plan.threads,
        products=plan.products,
        code=entry.code,
        repetition=repetition,
        start=plan.start,
    )


Settled = Mapping[str, float | None]
"""Hash of a trial that has ended -> its validation value; None: diverged, nan: failed."""


def search_trials(
    plan: Plan, entry: Entry, settled: Settled, lower_is_better: bool
) -> tuple[Trial, ...]:
    """Every learning rate of the request with the first seed, and the wider ones that what is
    settled asks for (arena/tuning.py)."""
    rates = list(plan.search.rates)
    while True:
        trials = tuple(trial(plan, entry, rate, plan.search.seeds[0]) for rate in rates)
        if any(one.hash not in settled for one in trials):
            return trials
        values = {rate: settled[one.hash] for rate, one in zip(rates, trials, strict=True)}
        wider = next_rate(plan.search, values, lower_is_better)
        if wider is None:
            return trials
        rates.append(wider)


def seed_trials(plan: Plan, entry: Entry, learning_rate: float) -> tuple[Trial, ...]:
    """The other seeds at the chosen rate."""
    return tuple(trial(plan, entry, learning_rate, seed) for seed in plan.search.seeds[1:])


def further_trials(
    plan: Plan, entry: Entry, learning_rate: float, num_seeds: int
) -> tuple[Trial, ...]:
    """The seeds at the chosen rate that only the architectures that tie for the lead run, up to
    `num_seeds` in all."""
    first = plan.search.first_seed
    seeds = range(first + plan.search.num_seeds, first + num_seeds)
    return tuple(trial(plan, entry, learning_rate, seed) for seed in seeds)


def repeat_trials(plan: Plan, entry: Entry, learning_rate: float) -> tuple[Trial, ...]:
    """The first seed at the chosen rate once more, nothing changed: do runs repeat exactly?"""
    return tuple(
        trial(plan, entry, learning_rate, plan.search.seeds[0], repetition)
        for repetition in range(1, plan.search.repeats + 1)
    )


def chosen_rate(plan: Plan, entry: Entry, settled: Settled, lower_is_better: bool) -> float | None:
    """The rate with the best validation value; None where all diverged or failed.

    Raises KeyError while a search trial is missing.
    """
    trials = search_trials(plan, entry, settled, lower_is_better)
    values = {one.training.optimizer.learning_rate: settled[one.hash] for one in trials}
    return best_rate(values, lower_is_better)


def ready_trials(plan: Plan, settled: Settled, lower_is_better: bool) -> list[tuple[Role, Trial]]:
    """What can be run now and is not finished, searches first."""
    searches: list[tuple[Role, Trial]] = []
    others: list[tuple[Role, Trial]] = []
    repeated = False
    for entry in plan.entries:
        search = search_trials(plan, entry, settled, lower_is_better)
        searches += _as("search", search)
        if any(t.hash not in settled for t in search):
            repeated = True  # decided in plan order, whatever finishes first
            continue
        rate = chosen_rate(plan, entry, settled, lower_is_better)
        if rate is None:
            continue
        others += _as("seed", seed_trials(plan, entry, rate))
        if not repeated:
            repeated = True
            others += _as("repeat", repeat_trials(plan, entry, rate))
    return [(role, t) for role, t in searches + others if t.hash not in settled]


def _as(role: Role, trials: tuple[Trial, ...]) -> list[tuple[Role, Trial]]:
    return [(role, t) for t in trials]


def total_trials(plan: Plan, settled: Settled, lower_is_better: bool) -> int:
    """How many trials the plan comes to by what is settled, when no further one diverges and none
    needs wider rates."""
    searches = sum(
        len(search_trials(plan, entry, settled, lower_is_better)) for entry in plan.entries
    )
    seeds = (len(plan.search.seeds) - 1) * len(plan.entries)
    return searches + seeds + plan.search.repeats
