"""From a request of `compare` or `train` to a plan with its data, and what is said of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from seqarena.arena.prepare import Prepared, prepare
from seqarena.arena.requests import CompareRequest, SearchRequest, TrainRequest
from seqarena.core import runtime, words
from seqarena.core.architecture import Architecture, with_options
from seqarena.core.errors import UserError
from seqarena.core.options import command_line
from seqarena.core.user_code import allow, is_own, own_places
from seqarena.engine.train_on import trained_on
from seqarena.engine.trained import OwnCode, find_start
from seqarena.models.any import algorithms_on, missing_packages
from seqarena.models.catalog import is_known
from seqarena.models.stacks.plain_modules import with_measured
from seqarena.models.stacks.stack import load_mixer
from seqarena.tasks.registry import takes
from seqarena.train.checkpoint import load
from seqarena.train.source import TOKENIZER, is_published, published_architecture


class Planned(NamedTuple):
    """A plan with its data, and the catalog's rows of its line-up."""

    prepared: Prepared
    rows: list[Architecture]


def plan_comparison(request: CompareRequest, console: Console) -> Planned:
    """Reads the data and solves the sizes; writes nothing."""
    rows = [with_measured(row) for row in request.lineup.rows()]
    with console.status("reading the data and solving the sizes"):
        prepared = prepare(
            request,
            request.task.config(),
            rows,
            command=command_line("compare", request, positional=("data",)),
        )
    return Planned(prepared, rows)


def plan_training(request: TrainRequest) -> Planned:
    """The same of one model; with a checkpoint to start from, its sizes are that one's; with a run
    to train on from, its settings."""
    _check_lora(request)
    if request.from_run is not None:
        return _plan_training_on(request)
    if request.resume:
        raise UserError("--resume says how to go on from a run: name it with --from")
    source, more = None, {}
    if request.start_from is not None:
        source, request = _start(request, request.start_from)
        if is_own(request.task.kind):
            allow(request.task.kind)
        own, task = source / TOKENIZER, request.task
        if is_published(source):
            if own.is_file() and task.tokenizer is None and task.kind == "language":
                more["tokenizer"] = str(own)
        elif takes(request.task.kind, "reads_like"):
            more["reads_like"] = str(source)
    elif request.trust_code:
        raise UserError("--trust-code is for the code that --start-from names")
    stem = Path(request.task.data or "embedded").stem
    (row,) = request.lineup.rows()
    row = with_measured(with_options(row, request.option))
    tuned = "lora-" if request.lora.rank else "tuned-" if source else ""
    comparison = request.comparison(f"{row.name}-{tuned}{stem}-{request.seed}")
    prepared = prepare(
        comparison,
        request.task.config(**more),
        [row],
        command=command_line("train", request, positional=("data",)),
        start_from=source,
        lora=request.lora,
    )
    return Planned(prepared, [row])


def _check_lora(request: TrainRequest) -> None:
    lora = request.lora
    if lora.rank is None and (lora.alpha is not None or lora.layers):
        raise UserError("--lora-alpha and --lora-layers belong to --lora: give its rank")
    if lora.rank is None:
        return
    if request.from_run is None and request.start_from is None:
        raise UserError("--lora tunes a trained model: name it with --from or --start-from")
    if request.resume:
        raise UserError("--resume goes on with the adapters that are there: leave --lora out")


def _plan_training_on(request: TrainRequest) -> Planned:
    found = trained_on(request)
    size = found.request.size
    shown = words.with_unit(size.params, "count").replace(" ", "") if size.params else "as-wide"
    stem = Path(found.request.task.data or "embedded").stem
    how = "-resumed" if request.resume else f"-lora{request.lora.rank}" if request.lora.rank else ""
    name = f"{found.row.name}-{shown}-{stem}-{found.request.seed}{how}"
    prepared = prepare(
        found.request.comparison(name),
        found.task,
        [found.row],
        command=command_line("train", request, positional=("data",)),
        start_from=found.goes_on_from,
        goes_on=found.goes_on_from is not None,
        lora=request.lora,
    )
    choices = (*prepared.choices, *found.sentences)
    return Planned(prepared.model_copy(update={"choices": choices}), [found.row])


def announce(console: Console, prepared: Prepared, changes: Sequence[str] = ()) -> None:
    """Says what was read, every choice that was made, and what is not as in the folder's last
    call, before anything runs."""
    plan = prepared.plan
    for sentence in prepared.summary.sentences():
        say(console, sentence, "bold yellow" if prepared.summary.is_loud(sentence) else None)
    for choice in prepared.choices:
        say(console, choice, "dim")
    for change in changes:
        say(console, change)
    for name, why in plan.excluded.items():
        say(console, f"{name} cannot enter: {why}")
    place = plan.device, runtime.parameter_dtype(plan.dtype)
    algorithms = ", ".join(
        f"{entry.architecture} {'/'.join(sorted(set(algorithms_on(entry.model, *place))))}"
        for entry in plan.entries
    )
    say(console, f"algorithms: {algorithms}", "dim")
    if faster := _faster_with_packages(prepared):
        say(console, faster, "dim")
    say(
        console,
        f"{len(plan.entries)} architectures x {rates_in_words(plan.search)} x "
        f"{seeds_in_words(plan.search)}, {plan.training.budget.describe()} each "
        f"-> {prepared.folder.path}",
    )


def _faster_with_packages(prepared: Prepared) -> str | None:
    """What a package that is not installed would make faster here, in one sentence."""
    plan = prepared.plan
    place = plan.device, runtime.parameter_dtype(plan.dtype)
    missing = {entry.architecture: missing_packages(entry.model, *place) for entry in plan.entries}
    layers = ", ".join(
        f"{name} {max(one.times for one in found):.1f} times"
        for name, found in missing.items()
        if found
    )
    return f"faster layers by pip install 'seqarena[fast]': {layers}" if layers else None


def seeds_in_words(search: SearchRequest) -> str:
    """`3 seeds (5 of those that tie for the lead)`."""
    seeds = words.plural(len(search.seeds), "seed")
    if search.until_decided:
        return f"{seeds} (more of those that tie for the lead, until it is decided)"
    more = len(search.seeds) + len(search.further_seeds)
    return f"{seeds} ({more} of those that tie for the lead)" if search.further_seeds else seeds


def rates_in_words(search: SearchRequest) -> str:
    """`3 learning rates (up to 4 more where the best is at the edge)`."""
    rates = words.plural(len(search.rates), "learning rate")
    wider = search.widen and len(search.rates) > 1
    return f"{rates} (up to {search.widen} more where the best is at the edge)" if wider else rates


def say(console: Console, text: str, style: str | None = None) -> None:
    """One line, as it is: names of a user's files and classes are no markup."""
    console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)


def _start(request: TrainRequest, place: Path) -> tuple[Path, TrainRequest]:
    """The checkpoint to start from, and the request with its architecture: a model of the catalog,
    or a mixer of the user's own. Raises UserError for options that the checkpoint decides."""
    size, published = request.size, is_published(place)
    decided = {
        "--params": size.params, "--width": size.width, "--depth": size.depth,
        "--short-convolution": size.short_convolution, "--option": request.option,
        "--tokenizer": None if published else request.task.tokenizer,
    }  # fmt: skip
    for option, value in decided.items():
        if value:
            raise UserError(
                f"{option} is that of the run that --start-from names: leave it out, or train "
                "without --start-from"
            )
    if published:
        own = published_architecture(place)
        if (request.model or own) != own:
            raise UserError(f"{place} holds {own}: leave --model {request.model} out")
        return place, request.model_copy(update={"model": own})
    source, architecture = find_start(place, request.model)
    if is_known(architecture):
        if request.mixer:
            raise UserError(
                f"{place} holds {architecture}, which is no mixer of your own: leave --mixer out"
            )
        return source, request.model_copy(update={"model": architecture})
    OwnCode((request.mixer,) if request.mixer else (), request.trust_code).allow(source)
    recorded = next((one for one, _ in own_places(load(source).about["model"])), None)
    mixer = (request.mixer or recorded or "").rpartition("=")[2]
    load_mixer(mixer)
    return source, request.model_copy(update={"mixer": f"{architecture}={mixer}"})
