"""From what a user asks for to a plan: who can enter, at which width, in which run folder."""

import json
from pathlib import Path
from typing import Any

import torch

from seqarena.arena.folder import RunFolder
from seqarena.arena.plan import Entry, Plan, trial_code
from seqarena.core import runtime
from seqarena.core.config import Config, digest
from seqarena.core.errors import UserError
from seqarena.core.malloc import keep_freed_memory
from seqarena.jobs.files import write_atomically
from seqarena.measure.complexity import describe
from seqarena.models.any import AnyConfig, build_model, count_parameters
from seqarena.models.build import model_config
from seqarena.models.catalog import Architecture, why_not
from seqarena.models.model import SystemConfig
from seqarena.tasks import TaskConfig, build_task
from seqarena.tasks.base import Task
from seqarena.train.budget import Budget
from seqarena.train.optimizer import OptimizerConfig
from seqarena.train.start import plan_start


class Wish(Config):
    """What the user asked for, names not yet resolved."""

    command: str
    budget: Budget
    params: int | None = 100_000
    width: int | None = None  # instead of params: equal width, sizes then differ
    depth: int | None = None
    learning_rates: tuple[float, ...]
    seeds: int
    first_seed: int = 0
    repeats: int = 1
    batch_size: int = 8
    accumulation: int = 1
    optimizer: OptimizerConfig = OptimizerConfig()
    label_smoothing: float = 0.0
    dropout: float = 0.0
    evaluations: int = 10
    device: str = "auto"
    dtype: str = "auto"
    jobs: int | None = None
    name: str | None = None
    runs: Path = Path("runs")
    start_from: Path | None = None  # a checkpoint whose body the model takes; it gives the size


class Prepared(Config):
    """A plan, its folder, and the sentences that say what was chosen."""

    model_config = {**Config.model_config, "arbitrary_types_allowed": True}
    plan: Plan
    folder: RunFolder
    jobs: int
    task: Task
    choices: tuple[str, ...]


def prepare(wish: Wish, task_config: TaskConfig, architectures: list[Architecture]) -> Prepared:
    """Builds the task, solves every model, and makes the folder this plan's.

    Raises UserError for bad data, an impossible size, or a folder with another comparison in it.
    """
    denormals = runtime.flush_denormals()
    task = build_task(task_config)
    device = runtime.resolve_device(wish.device)
    dtype = runtime.resolve_dtype(wish.dtype, device.name)
    cores = runtime.available_cores()
    jobs = wish.jobs or (1 if device.name.startswith("cuda") else cores)
    start, fixed = (
        plan_start(wish.start_from, architectures[0].name, task)
        if wish.start_from is not None
        else (None, None)
    )
    entries, excluded = _enter(wish, task, task_config, architectures, fixed)
    facts = task.describe()
    fields: dict[str, Any] = {
        "command": wish.command,
        "task": task_config.model_dump(mode="json"),
        "task_digest": task.digest(),
        "entries": entries,
        "excluded": excluded,
        "params": wish.params or 0,
        "budget": wish.budget,
        "learning_rates": tuple(sorted(set(wish.learning_rates))),
        "seeds": tuple(range(wish.first_seed, wish.first_seed + wish.seeds)),
        "repeats": wish.repeats,
        "batch_size": wish.batch_size,
        "accumulation": wish.accumulation,
        "optimizer": wish.optimizer,
        "label_smoothing": wish.label_smoothing,
        "evaluations": wish.evaluations,
        "device": device.name,
        "dtype": dtype.name,
        "threads": max(1, cores // jobs),
        "code": runtime.code_digest(),
        "start": start,
    }
    name = wish.name or _default_name(task, fields, facts)
    plan = Plan(name=name, **fields)
    folder = RunFolder(wish.runs / name)
    memory = keep_freed_memory()
    choices = (
        f"device: {device.name} ({device.reason})",
        f"dtype: {dtype.name} ({dtype.reason})",
        f"freed memory: {memory.name} ({memory.reason})",
        f"denormals: {denormals.name} ({denormals.reason})",
        f"{jobs} trial(s) at a time, {plan.threads} thread(s) each, of {cores} core(s)",
        *([] if start is None else [start.words()]),
    )
    return Prepared(plan=plan, folder=folder, jobs=jobs, task=task, choices=choices)


def write_facts(prepared: Prepared, architectures: list[Architecture]) -> None:
    """The plan and, beside it, what reading the folder needs without the data at hand."""
    folder, task = prepared.folder, prepared.task
    folder.adopt(prepared.plan)
    facts = {
        "name": task.name,
        "metric": task.metric,
        "lower_is_better": task.lower_is_better,
        "facts": task.describe(),
    }
    write_atomically(folder.path / "task.json", json.dumps(facts, indent=1))
    catalog = {row.name: describe(row) for row in architectures}
    write_atomically(folder.path / "catalog.json", json.dumps(catalog, indent=1))


def _enter(
    wish: Wish,
    task: Task,
    task_config: TaskConfig,
    architectures: list[Architecture],
    fixed: AnyConfig | None,
) -> tuple[tuple[Entry, ...], dict[str, str]]:
    entries: list[Entry] = []
    excluded: dict[str, str] = {}
    for row in architectures:
        reason = why_not(row, task.problem)
        if reason is not None:
            excluded[row.name] = reason
            continue
        config = fixed or model_config(
            row, task.problem, params=wish.params, width=wish.width, depth=wish.depth
        )
        config = _with_dropout(config, wish.dropout)
        _check_affordable(wish, config, task)
        entries.append(
            Entry(
                architecture=row.name,
                model=config,
                parameters=count_parameters(config),
                code=trial_code(config, task_config),
            )
        )
    names = [entry.architecture for entry in entries]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"architecture {twice!r} is named twice")
    return tuple(entries), excluded


def _check_affordable(wish: Wish, config: AnyConfig, task: Task) -> None:
    """Raises UserError when the budget does not pay for one step of this model."""
    with torch.device("meta"):
        flops = build_model(config).training_flops(max(1, round(task.mean_length)))
    wish.budget.total_steps(
        wish.batch_size * task.mean_tokens,
        wish.batch_size * flops,
        task.steps_per_epoch(wish.batch_size),
    )


def _with_dropout(config: AnyConfig, dropout: float) -> AnyConfig:
    if not dropout:
        return config
    if isinstance(config, SystemConfig):
        return config.model_copy(update={"options": {**config.options, "dropout": dropout}})
    return config.model_copy(update={"stack": config.stack.model_copy(update={"dropout": dropout})})


def _default_name(task: Task, fields: dict[str, Any], facts: dict[str, Any]) -> str:
    """From the data and the settings that make comparisons comparable: found again when the same
    command, or one with more seeds or architectures, is called."""
    core = {
        key: value.model_dump(mode="json") if isinstance(value, Config) else value
        for key, value in fields.items()
        if key in ("task_digest", "params", "budget", "batch_size", "optimizer",
                   "label_smoothing", "dtype", "evaluations")
    }  # fmt: skip
    stem = Path(str(facts.get("name", task.name))).stem.lower()
    words = "".join(c if c.isalnum() else "-" for c in stem).strip("-")
    return f"{words or task.name}-{digest(core, 6)}"
