"""`compare` and `train`: from a request to a ranked run folder with its page."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from rich.console import Console

from seqarena.arena.costs import missing_costs, run_costs
from seqarena.arena.live import comparison_display
from seqarena.arena.prepare import Prepared, prepare, write_facts
from seqarena.arena.requests import CompareRequest, TrainRequest
from seqarena.arena.run import RunState, run
from seqarena.arena.store import write_database
from seqarena.core import runtime
from seqarena.core.errors import UserError, one_line
from seqarena.core.options import command_line
from seqarena.core.user_code import allow, is_own, own_places
from seqarena.engine.run import Run
from seqarena.engine.trained import OwnCode, find_start
from seqarena.jobs.display import Display
from seqarena.jobs.files import write_atomically
from seqarena.jobs.inline import Inline
from seqarena.jobs.signals import ending_on_signals
from seqarena.models.any import algorithms_on
from seqarena.models.build import with_options
from seqarena.models.catalog import CATALOG
from seqarena.models.stacks.stack import load_mixer
from seqarena.report.run.page import render_html
from seqarena.tasks.registry import takes
from seqarena.train.checkpoint import load


def compare(request: CompareRequest, console: Console) -> Run:
    """Plans, trains, measures and ranks the line-up; writes the page. Says on `console` what was
    chosen and how far it is."""
    with ending_on_signals():
        return _compare(request, console)


def _compare(request: CompareRequest, console: Console) -> Run:
    rows = request.lineup.rows()
    with console.status("reading the data and solving the sizes"):
        prepared = prepare(
            request,
            request.task.config(),
            rows,
            command=command_line("compare", request, positional=("data",)),
        )
    with prepared.folder.lock():
        announce(console, prepared, write_facts(prepared, rows))
        _run(console, prepared, timeout_seconds=request.run.trial_timeout)
        not_measured = _measure(console, prepared) if request.run.measure else {}
        return _finish(prepared, not_measured)


def train(request: TrainRequest, console: Console) -> Run:
    """Trains one model in this process, with a progress bar; ranks and draws as `compare` does.

    Raises UserError where the training fails.
    """
    with ending_on_signals():
        return _train(request, console)


def _train(request: TrainRequest, console: Console) -> Run:
    source, more = None, {}
    if request.start_from is not None:
        source, request = _start(request, request.start_from)
        if is_own(request.task.kind):
            allow(request.task.kind)
        if takes(request.task.kind, "reads_like"):
            more["reads_like"] = str(source)
    elif request.trust_code:
        raise UserError("--trust-code is for the code that --start-from names")
    stem = Path(request.task.data or "embedded").stem
    (row,) = request.lineup.rows()
    row = with_options(row, request.option)
    tuned = "tuned-" if source else ""
    comparison = request.comparison(f"{row.name}-{tuned}{stem}-{request.seed}")
    prepared = prepare(
        comparison,
        request.task.config(**more),
        [row],
        command=command_line("train", request, positional=("data",)),
        start_from=source,
    )
    with prepared.folder.lock():
        announce(console, prepared, write_facts(prepared, [row]))
        try:
            state = _run(console, prepared, inline=True)
        except Exception as error:
            own = request.mixer is not None or is_own(request.task.kind)
            if isinstance(error, UserError) or not own:
                raise
            raise UserError(f"{row.name} failed: {one_line(error)}") from error
        for trial, why in state.failures.items():
            trace = prepared.folder.path / "trials" / trial / "error.txt"
            raise UserError(f"{why}; the traceback: {trace}" if trace.exists() else why)
        return _finish(prepared, {})


def _run(
    console: Console,
    prepared: Prepared,
    *,
    inline: bool = False,
    timeout_seconds: float | None = None,
) -> RunState:
    """Runs what is missing of the plan, in workers or in this process, and shows it."""
    plan, folder, task = prepared.plan, prepared.folder, prepared.task
    state = RunState(plan, folder, task.lower_is_better, timeout_seconds)
    display = comparison_display(console, state, task.metric, prepared.jobs)
    executor = Inline(display.show) if inline else None
    with display, closing(run(state, prepared.jobs, task=task, executor=executor)) as events:
        for event in events:
            display.show(event)
    if display.reused:
        console.print(f"{display.reused} finished trial(s) of earlier calls were used again")
    return state


def announce(console: Console, prepared: Prepared, changes: Sequence[str]) -> None:
    """Says every choice that was made, and what is not as in the folder's last call, before
    anything runs."""
    plan = prepared.plan

    def say(text: str, style: str | None = None) -> None:
        console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)

    for choice in prepared.choices:
        say(choice, "dim")
    for change in changes:
        say(change)
    for name, why in plan.excluded.items():
        say(f"{name} cannot enter: {why}")
    place = plan.device, runtime.parameter_dtype(plan.dtype)
    algorithms = ", ".join(
        f"{entry.architecture} {'/'.join(sorted(set(algorithms_on(entry.model, *place))))}"
        for entry in plan.entries
    )
    say(f"algorithms: {algorithms}", "dim")
    say(
        f"{len(plan.entries)} architectures x {len(plan.search.rates)} learning rates x "
        f"{len(plan.search.seeds)} seeds, {plan.training.budget.describe()} each "
        f"-> {prepared.folder.path}"
    )


def _measure(console: Console, prepared: Prepared) -> dict[str, str]:
    """Measures the costs that are missing; what could not be, and why."""
    plan, folder, task = prepared.plan, prepared.folder, prepared.task
    missing = missing_costs(plan, folder, task.problem, task.sequence_length)
    display = Display(console, total=len(missing), noun="costs")
    with display, closing(run_costs(folder, missing)) as events:
        failures = {}
        for event in events:
            display.show(event)
            if event.kind == "failed":
                failures[event.job.label] = event.payload.message
    return failures


def _finish(prepared: Prepared, not_measured: dict[str, str]) -> Run:
    """Ranks, and writes the database and the page."""
    folder = prepared.folder
    finished = Run(folder.path, not_measured)
    view = finished.view
    write_database(folder.path / "results.sqlite", view.trials, view.costs)
    write_atomically(folder.report_path, render_html(view))
    return finished


def _start(request: TrainRequest, place: Path) -> tuple[Path, TrainRequest]:
    """The checkpoint to start from, and the request with its architecture: a model of the catalog,
    or a mixer of the user's own. Raises UserError for options that the checkpoint decides."""
    size = request.size
    decided = {
        "--params": size.params, "--width": size.width, "--depth": size.depth,
        "--option": request.option, "--tokenizer": request.task.tokenizer,
    }  # fmt: skip
    for option, value in decided.items():
        if value:
            raise UserError(
                f"{option} is that of the run that --start-from names: leave it out, or train "
                "without --start-from"
            )
    source, architecture = find_start(place, request.model)
    if architecture in CATALOG:
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
