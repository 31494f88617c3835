"""`compare` and `train`: from a request to a ranked run folder with its page."""

import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress

from seqarena.arena.costs import measure_missing, missing_costs
from seqarena.arena.folder import write_atomically
from seqarena.arena.live import LiveTable
from seqarena.arena.plan import search_trials
from seqarena.arena.prepare import Prepared, prepare, write_facts
from seqarena.arena.requests import CompareRequest, TrainRequest
from seqarena.arena.run import Standing, run
from seqarena.arena.store import write_database
from seqarena.arena.trial import Stopped, TrialProgress, run_trial
from seqarena.core.errors import UserError
from seqarena.core.options import command_line
from seqarena.engine.run import Run
from seqarena.engine.trained import find_start
from seqarena.models.any import AnyConfig, build_model
from seqarena.models.build import with_options
from seqarena.report.run.page import render_html
from seqarena.tasks.registry import takes


def compare(request: CompareRequest, console: Console) -> Run:
    """Plans, trains, measures and ranks the line-up; writes the page. Says on `console` what was
    chosen and how far it is."""
    rows = request.lineup.rows()
    with console.status("reading the data and solving the sizes"):
        prepared = prepare(
            request,
            request.task.config(),
            rows,
            command=command_line("compare", request, positional=("data",)),
        )
    plan, folder = prepared.plan, prepared.folder
    with folder.lock():
        write_facts(prepared, rows)
        announce(console, prepared)
        standing = Standing(plan, folder, prepared.task.lower_is_better)
        with LiveTable(console, standing, prepared.task.metric) as live:
            with closing(run(standing, prepared.jobs)) as happenings:
                for happening in happenings:
                    live.show(happening)
            reused = live.reused
        if reused:
            console.print(f"{reused} finished trial(s) of earlier calls were used again")
        if request.run.measure:
            _measure(console, prepared)
        return _finish(prepared, standing.failures)


def train(request: TrainRequest, console: Console) -> Run:
    """Trains one model in this process, with a progress bar; ranks and draws as `compare` does."""
    source, model, more = None, request.model, {}
    if request.start_from is not None:
        source, model = _start(request, request.start_from)
        if takes(request.task.kind, "reads_like"):
            more["reads_like"] = str(source)
    request = request.model_copy(update={"model": model})
    stem = Path(request.task.data or "embedded").stem
    row_name = request.comparison("").lineup.rows()[0].name
    tuned = "tuned-" if source else ""
    comparison = request.comparison(f"{row_name}-{tuned}{stem}-{request.seed}")
    row = with_options(comparison.lineup.rows()[0], request.option)
    prepared = prepare(
        comparison,
        request.task.config(**more),
        [row],
        command=command_line("train", request, positional=("data",)),
        start_from=source,
    )
    with prepared.folder.lock():
        write_facts(prepared, [row])
        announce(console, prepared)
        (trial,) = search_trials(prepared.plan, prepared.plan.entries[0])
        with Progress(console=console, transient=True) as bar, _interrupts() as interrupted:
            watch = _Watch(console, bar, interrupted)
            try:
                run_trial(trial, prepared.folder.trial_path(trial), watch=watch)
            except Stopped:
                raise KeyboardInterrupt from None
        return _finish(prepared, {})


def announce(console: Console, prepared: Prepared) -> None:
    """Says every choice that was made, before anything runs."""
    plan = prepared.plan

    def say(text: str, style: str | None = None) -> None:
        console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)

    for choice in prepared.choices:
        say(choice, "dim")
    for name, why in plan.excluded.items():
        say(f"{name} cannot enter: {why}")
    algorithms = ", ".join(
        f"{entry.architecture} {'/'.join(sorted(set(_algorithms(entry.model))))}"
        for entry in plan.entries
    )
    say(f"algorithms: {algorithms}", "dim")
    say(
        f"{len(plan.entries)} architectures x {len(plan.search.rates)} learning rates x "
        f"{len(plan.search.seeds)} seeds, {plan.training.budget.describe()} each "
        f"-> {prepared.folder.path}"
    )


def _algorithms(config: AnyConfig) -> tuple[str, ...]:
    """The algorithm of each layer, as `auto` resolves, without allocating the model."""
    with torch.device("meta"):
        return build_model(config).algorithms


def _measure(console: Console, prepared: Prepared) -> None:
    plan, folder, task = prepared.plan, prepared.folder, prepared.task
    total = len(missing_costs(plan, folder))
    if not total:
        return
    with console.status("measuring costs") as status:
        found = measure_missing(plan, folder, task.problem, task.sequence_length)
        for done, (entry, _) in enumerate(found, start=1):
            status.update(f"measuring costs: {done}/{total} {entry.architecture}")


def _finish(prepared: Prepared, failures: dict[str, str]) -> Run:
    """Ranks, and writes the database and the page."""
    folder = prepared.folder
    finished = Run(folder.path, failures)
    view = finished.view
    write_database(folder.path / "results.sqlite", view.trials, view.costs)
    write_atomically(folder.report_path, render_html(view))
    return finished


def _start(request: TrainRequest, place: Path) -> tuple[Path, str]:
    """The checkpoint to start from and its architecture. Raises UserError for options that the
    checkpoint decides."""
    size = request.size
    decided = {
        "--params": size.params, "--width": size.width, "--depth": size.depth,
        "--option": request.option, "--mixer": request.mixer,
        "--tokenizer": request.task.tokenizer,
    }  # fmt: skip
    for option, value in decided.items():
        if value:
            raise UserError(
                f"{option} is that of the run that --start-from names: leave it out, or train "
                "without --start-from"
            )
    return find_start(place, request.model)


class _Watch:
    """Shows one training's progress: a bar on a terminal, ten lines anywhere else."""

    def __init__(self, console: Console, bar: Progress, interrupted: threading.Event) -> None:
        self.console, self.bar, self.interrupted = console, bar, interrupted
        self.line = bar.add_task("training", total=1.0)
        self.tenths = 0

    def __call__(self, progress: TrialProgress) -> bool:
        """Whether to go on."""
        words = f"loss {progress.loss_nats:.3f}  {progress.tokens_per_second:,.0f}/s"
        self.bar.update(self.line, completed=progress.share, description=words)
        if not self.console.is_terminal and int(progress.share * 10) > self.tenths:
            self.tenths = int(progress.share * 10)
            self.console.print(f"{progress.share:4.0%}  {words}", highlight=False)
        return not self.interrupted.is_set()


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Set once Ctrl-C was pressed; outside of the main thread Python delivers none."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.signal(signal.SIGINT, lambda *_: asked.set())
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
