"""From a request to a plan: which architectures can enter, at which width, in which run folder."""

import json
from pathlib import Path

import torch

from seqarena.arena.folder import RunFolder
from seqarena.arena.plan import Entry, Plan, trial_code
from seqarena.arena.requests import CompareRequest, SizeRequest
from seqarena.core import runtime, words
from seqarena.core.architecture import Architecture, with_short_convolution
from seqarena.core.config import Config, digest
from seqarena.core.cores import chosen_cores
from seqarena.core.errors import UserError, in_words
from seqarena.core.malloc import keep_freed_memory
from seqarena.core.names import folder_name
from seqarena.core.products import resolve_products
from seqarena.core.results.data_summary import DataSummary
from seqarena.jobs.files import write_signed
from seqarena.measure.complexity import describe
from seqarena.models.any import AnyConfig, algorithms_on, build_model, count_parameters
from seqarena.models.build import model_config
from seqarena.models.catalog import OWN_FAMILY, why_not
from seqarena.models.checking import check_claims
from seqarena.models.model import SystemConfig
from seqarena.models.stacks.plain_modules import leak_of, measure_modules
from seqarena.tasks import TaskConfig
from seqarena.tasks.base import Task
from seqarena.tasks.guess import build_guessed
from seqarena.tasks.summary import summarise
from seqarena.train.config import LoraRequest, TrainingRequest
from seqarena.train.start import NO_LORA, plan_from


class Prepared(Config):
    """A plan, its folder, and the sentences that say what was chosen."""

    model_config = {**Config.model_config, "arbitrary_types_allowed": True}
    plan: Plan
    folder: RunFolder
    jobs: int
    cores: int  # that are used in all; costs are measured with as many threads
    task: Task
    summary: DataSummary
    choices: tuple[str, ...]


def prepare(
    request: CompareRequest,
    task_config: TaskConfig,
    rows: list[Architecture],
    *,
    command: str = "",
    start_from: Path | None = None,
    goes_on: bool = False,
    lora: LoraRequest = NO_LORA,
) -> Prepared:
    """Builds the task, solves every model's size, and names the folder. Writes nothing.

    `start_from` is a checkpoint whose body the one model takes, or all of it where it `goes_on`;
    it gives the size, and `lora` the updates that are trained where it stays frozen. Raises
    UserError for bad data and an impossible size.
    """
    denormals = runtime.flush_denormals()
    task = build_guessed(task_config, named="kind" in request.task.model_fields_set)
    device = runtime.resolve_device(request.run.device)
    dtype = runtime.resolve_dtype(request.run.dtype, device.name)
    products = resolve_products(request.run.products, device.name)
    cores = chosen_cores(request.run.threads)
    jobs = request.run.jobs or (1 if device.name.startswith("cuda") else cores.count)
    start, fixed = None, None
    if start_from is not None:
        start, fixed = plan_from(start_from, rows[0].name, task, goes_on=goes_on, lora=lora)
    place = device.name, runtime.parameter_dtype(dtype.name)
    entries, excluded = _enter(request, task, task_config, rows, fixed, place)
    if request.run.dtype == "auto":
        flops = _step_flops(entries, request.training.batch_size * task.mean_tokens)
        dtype = runtime.resolve_dtype("auto", device.name, flops)
    plan = Plan(
        name="",
        command=command,
        task=task_config.model_dump(mode="json"),
        task_digest=task.digest(),
        entries=entries,
        excluded=excluded,
        size=request.size.model_copy(update={"params": request.size.target_params}),
        training=request.training,
        search=request.search,
        device=device.name,
        dtype=dtype.name,
        threads=max(1, cores.count // jobs),
        products=products.name,
        code=runtime.code_digest(),
        start=start,
    )
    plan = plan.model_copy(update={"name": request.run.name or _default_name(task, plan)})
    folder = RunFolder(request.run.runs / plan.name)
    memory = keep_freed_memory()
    choices = (
        f"device: {device.name} ({device.reason})",
        f"dtype: {dtype.name} ({dtype.reason})",
        f"float32 products: {products.name} ({products.reason})",
        f"freed memory: {memory.name} ({memory.reason})",
        f"denormals: {denormals.name} ({denormals.reason})",
        f"cores: {cores.count} ({cores.reason}), {words.plural(jobs, 'trial')} at a time with "
        f"{words.plural(plan.threads, 'thread')} each",
        *(one for entry in entries for one in measure_modules(entry.model, task.sequence_length)),
        *([] if start is None else [start.words()]),
    )
    return Prepared(
        plan=plan,
        folder=folder,
        jobs=jobs,
        cores=cores.count,
        task=task,
        summary=summarise(task),
        choices=choices,
    )


def _step_flops(entries: tuple[Entry, ...], tokens: float) -> float:
    """About the operations of the products in a training step: every weight meets every token once
    forwards, and twice backwards."""
    return 6 * tokens * max((entry.parameters for entry in entries), default=0)


def write_facts(prepared: Prepared, rows: list[Architecture]) -> list[str]:
    """Writes the plan and what reading the folder needs without the data at hand. Returns what is
    not as in the folder's last call. Raises UserError when the folder holds another comparison."""
    folder, task = prepared.folder, prepared.task
    said = folder.adopt(prepared.plan)
    facts = {
        "name": task.name,
        "metric": task.metric,
        "lower_is_better": task.lower_is_better,
        "facts": task.describe(),
        "summary": prepared.summary.model_dump(mode="json"),
    }
    write_signed(folder.path / "task.json", json.dumps(facts, indent=1))
    own = {row.name for row in rows if row.family == OWN_FAMILY}
    described = [row for row in rows if row.name not in own & set(prepared.plan.excluded)]
    catalog = {row.name: describe(row) for row in described}
    write_signed(folder.path / "catalog.json", json.dumps(catalog, indent=1))
    return said


def _enter(
    request: CompareRequest,
    task: Task,
    task_config: TaskConfig,
    rows: list[Architecture],
    fixed: AnyConfig | None,
    place: tuple[str, torch.dtype],
) -> tuple[tuple[Entry, ...], dict[str, str]]:
    entries: list[Entry] = []
    excluded: dict[str, str] = {}
    for row in rows:
        reason = why_not(row, task.problem)
        if reason is not None:
            leak = leak_of(row)
            excluded[row.name] = f"{reason}: {leak}" if leak else reason
            continue
        try:
            config = _with_dropout(fixed or _sized(row, task, request.size), request.size.dropout)
            _check_claims(row, config, task, place)
            parameters = count_parameters(config)
        except (Exception, SystemExit) as error:
            if len(rows) == 1 and isinstance(error, UserError):
                raise
            excluded[row.name] = in_words(error)
            continue
        _check_affordable(request.training, config, task)
        entries.append(
            Entry(
                architecture=row.name,
                model=config,
                parameters=parameters,
                code=trial_code(config, task_config),
            )
        )
    names = [entry.architecture for entry in entries]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"architecture {twice!r} is named twice")
    return tuple(entries), excluded


def _sized(row: Architecture, task: Task, size: SizeRequest) -> AnyConfig:
    row = with_short_convolution(row, size.short_convolution)
    return model_config(
        row, task.problem, params=size.target_params, width=size.width, depth=size.depth
    )


def _check_claims(
    row: Architecture, config: AnyConfig, task: Task, place: tuple[str, torch.dtype]
) -> None:
    """Raises what the model raises when it is built and described, and UserError for claims about
    its costs that cannot be and for an algorithm that cannot run at `place`."""
    algorithms_on(config, *place)
    measure_modules(config, task.sequence_length)
    with torch.device("meta"):
        check_claims(build_model(config), max(1, round(task.mean_length)))
    describe(row)


def _check_affordable(training: TrainingRequest, config: AnyConfig, task: Task) -> None:
    """Raises UserError when the budget does not pay for one step of this model."""
    with torch.device("meta"):
        model = build_model(config)
        flops = model.training_flops(max(1, round(task.mean_length)))
    if training.budget.flops is not None and "flops" in model.unknown_costs:
        raise UserError(
            "--flops needs the operations of every architecture, and those of your own module are "
            "not known: torch counts none; give --tokens or --steps"
        )
    training.budget.total_steps(
        training.batch_size * task.mean_tokens,
        training.batch_size * flops,
        task.steps_per_epoch(training.batch_size),
    )


def _with_dropout(config: AnyConfig, dropout: float) -> AnyConfig:
    if not dropout:
        return config
    if isinstance(config, SystemConfig):
        return config.model_copy(update={"options": {**config.options, "dropout": dropout}})
    return config.model_copy(update={"stack": config.stack.model_copy(update={"dropout": dropout})})


def _default_name(task: Task, plan: Plan) -> str:
    """From the data and the settings that make comparisons comparable: found again when the same
    command, or one with more seeds or architectures, is called."""
    fields = plan.model_dump(mode="json", include={"task_digest", "size", "training", "dtype"})
    stem = Path(str(task.describe().get("name", task.name))).stem.lower()
    words = "".join(c if c.isalnum() else "-" for c in stem).strip("-")
    return f"{folder_name(words or task.name)}-{digest(fields, 6)}"
