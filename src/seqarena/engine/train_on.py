"""`train --from`: an architecture of a run or of a forecast, trained at the size that is needed.

What the run was is taken over: its task, the data and how they are read, the architecture with its
options, the batch, the optimizer, the learning rate that was chosen. An option of the training that
is given counts instead. A forecast's ladder says how the learning rate moves with the size; a run
has one size, and its rate is kept. With `--resume` the model goes on as it is, on further batches;
with `--lora` it stays as it is, and low-rank updates of its matrices are trained.
"""

from pathlib import Path
from typing import Any, NamedTuple

from seqarena.arena.folder import RunFolder
from seqarena.arena.plan import Entry, Plan
from seqarena.arena.requests import TaskRequest, TrainRequest
from seqarena.core import words
from seqarena.core.architecture import Architecture
from seqarena.core.errors import UserError, unknown_name
from seqarena.core.options import build, flags, given_options
from seqarena.core.results.forecasts import Forecast
from seqarena.core.user_code import own_places
from seqarena.engine.run import Run, folder_and_model
from seqarena.engine.trained import OwnCode
from seqarena.forecast.costs import carried_rate
from seqarena.forecast.store import read_forecast
from seqarena.models.catalog import architecture, is_known, yours
from seqarena.models.stacks.language_model import ModelConfig
from seqarena.models.stacks.plain_modules import with_measured
from seqarena.tasks.configs import TaskConfig
from seqarena.tasks.registry import parse_task
from seqarena.train.budget import Budget
from seqarena.train.checkpoint import load

_DECIDED = ("task", "tokenizer", "length", "settings", "drop_overlap", "model", "option",
            "start_from")  # fmt: skip
_SIZES, _BUDGETS = ("params", "width"), tuple(Budget.model_fields)


class TrainedOn(NamedTuple):
    """A request with all that the run decides, and what was decided, in sentences."""

    request: TrainRequest
    row: Architecture
    task: TaskConfig
    sentences: tuple[str, ...]
    goes_on_from: Path | None  # a checkpoint


class _Source(NamedTuple):
    """A run, the architecture to take from it, and the forecast whose top rung the run is."""

    run: Run
    name: str
    forecast: Forecast | None


def trained_on(request: TrainRequest) -> TrainedOn:
    """The training that `--from` asks for.

    Raises UserError for a folder without such an architecture, an option that the run decides, and
    a run without a new size or budget.
    """
    given = given_options(request)
    keeps = request.resume or request.lora.rank is not None  # the model as it is
    _check_given(given, keeps=keeps)
    source = _source(str(given.pop("from_run")))
    rows = {row.architecture: row for row in source.run.rows}
    if source.name not in rows:
        raise unknown_name("architecture", source.name, rows)
    old_rate = rows[source.name].learning_rate
    plan = RunFolder(source.run.path).load_plan()
    row = _row(next(one for one in plan.entries if one.architecture == source.name))
    checkpoint = source.run.models[source.name].path
    mixer = given.pop("mixer", None)
    OwnCode((mixer,) if mixer else (), request.trust_code).allow(checkpoint)
    row = with_measured(row)
    sizes = _sizes(plan, source.forecast, given)
    rate = given.get("rate") or _rate(source, old_rate, sizes["params"])
    options = _settings(plan, sizes, given) | sizes | {"rate": rate} | given
    data = options.pop("data", None)
    if keeps:  # batches that it has not seen
        options.setdefault("seed", 1 + int(load(checkpoint).about["training"]["seed"]))
    own = {} if is_known(row.name) else {"mixer": f"{row.name}={row.cycle[0][0]}"}
    options |= own or {"model": row.name}
    full = build(TrainRequest, {name: x for name, x in options.items() if x is not None})
    fields: dict[str, Any] = plan.task | ({"data": data} if data else {})
    task = TaskRequest(kind=fields["kind"], data=fields.get("data"))
    return TrainedOn(
        full.model_copy(update={"task": task}),
        row,
        parse_task(fields),
        _sentences(source, old_rate, full, chosen="rate" in given),
        checkpoint if keeps else None,
    )


def _check_given(given: dict[str, Any], *, keeps: bool) -> None:
    how = "--resume goes on with" if "resume" in given else "--lora tunes"
    for name in (*_DECIDED, *(_SIZES if keeps else ())):
        if name in given:
            option = flags(TrainRequest)[name].option
            what = f"the model that {how}" if name in _SIZES else "the run of --from"
            raise UserError(f"{option} is that of {what}: leave it out")


def _source(place: str) -> _Source:
    """`runs/NAME` or `runs/NAME:ARCHITECTURE`."""
    before, name = folder_and_model(place)
    folder = Path(before)
    if not folder.is_dir():
        raise UserError(f"--from {place}: there is no folder {folder}")
    if not (folder / "forecast.json").exists():
        run = Run(folder)
        return _Source(run, name or run.ranking.rows[0].architecture, None)
    forecast = read_forecast(folder).forecast
    top = folder / forecast.ladder.top.name
    if not top.is_dir():
        raise UserError(f"{folder} reads its rungs from elsewhere: give the top one, --from RUN")
    return _Source(Run(top), name or forecast.architectures[0].architecture, forecast)


def _sizes(plan: Plan, forecast: Forecast | None, given: dict[str, Any]) -> dict[str, Any]:
    """Parameters and tokens, where the request leaves them open: those of the forecast's target;
    or as many tokens for each parameter as the run had."""
    params, tokens = plan.size.params, plan.training.budget.tokens
    sized = [name for name in _SIZES if name in given]
    budgeted = [name for name in _BUDGETS if name in given]
    if forecast is not None and not sized and not budgeted:
        return {"params": forecast.target.params, "tokens": forecast.target.tokens}
    if not sized and not budgeted:
        raise UserError(
            "--from trains on at another size: say which, --params 1M, or for how long, --tokens 2M"
        )
    found: dict[str, Any] = {"params": given.get("params") if sized else params}
    if not budgeted and tokens and params and found["params"]:
        found["tokens"] = round(tokens * found["params"] / params)
    return found


def _settings(plan: Plan, sizes: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The run's options of size and training, but for those that others take the place of."""
    options = given_options(TrainRequest(training=plan.training, size=plan.size))
    for names in (_SIZES, _BUDGETS):
        if any(name in given or sizes.get(name) for name in names):
            options = {name: value for name, value in options.items() if name not in names}
    return options


def _rate(source: _Source, rate: float, params: int | None) -> float:
    """The learning rate at a size: carried on by the ladder's power, or that of the run."""
    if source.forecast is None or params is None:
        return rate
    target = source.forecast.target.model_copy(update={"params": params})
    return carried_rate(source.forecast.ladder, source.name, target) or rate


def _sentences(
    source: _Source, rate: float, full: TrainRequest, *, chosen: bool
) -> tuple[str, ...]:
    """What is taken from the run, and by which rule."""
    folder, now = source.run.path, full.training.optimizer.learning_rate
    first = f"from {folder}: {source.name}, its task, data, batch and optimizer"
    if chosen:
        return (first,)
    told = f"learning rate {words.rate(now)}, "
    if source.forecast is None:
        told += f"that of {folder}: one size does not show how it moves, seqarena forecast does"
    else:
        told += f"from {words.rate(rate)} in {folder.name}, by the power that the ladder shows"
    return first, told


def _row(entry: Entry) -> Architecture:
    """The row that the entry was made from, with the options of its layers."""
    if not is_known(entry.architecture):
        place, _ = next(own_places(entry.model.model_dump(mode="json")))
        row = yours(entry.architecture, place)
    else:
        row = architecture(entry.architecture)
    if not isinstance(entry.model, ModelConfig) or row.system is not None:
        return row
    options = [one.options for one in entry.model.stack.layers]
    cycle = tuple((mixer, dict(own)) for (mixer, _), own in zip(row.cycle, options))
    return row._replace(cycle=cycle)
