"""`compare` and `train`: from a request to a ranked run folder with its page."""

from contextlib import closing

from rich.console import Console

from seqarena.arena.baselines.jobs import current_baselines
from seqarena.arena.costs import CostRounds, run_costs
from seqarena.arena.prepare import Prepared, write_facts
from seqarena.arena.requests import CompareRequest, RunRequest, TrainRequest
from seqarena.arena.run import RunState, run
from seqarena.arena.store import write_database
from seqarena.core import words
from seqarena.core.cores import is_watched
from seqarena.core.errors import UserError
from seqarena.core.user_code import is_own, reporting
from seqarena.engine.before_training.baselines import compute_baselines
from seqarena.engine.before_training.overlap import ask_about_overlap
from seqarena.engine.live import CostDisplay, comparison_display
from seqarena.engine.pages import LIVE_MEGABYTES, live_models
from seqarena.engine.planned import announce, plan_comparison, plan_training, say
from seqarena.engine.run import Run
from seqarena.engine.tracking.feed import Tracking
from seqarena.engine.tracking.tracker import check_trackers, where
from seqarena.jobs.files import write_atomically
from seqarena.jobs.inline import Inline
from seqarena.jobs.job import Event
from seqarena.jobs.signals import ending_on_signals
from seqarena.report.run.page import render_html


def compare(request: CompareRequest, console: Console) -> Run:
    """Plans, trains, measures and ranks the line-up; writes the page. Says on `console` what was
    chosen and how far it is."""
    with ending_on_signals():
        return _compare(request, console)


def _compare(request: CompareRequest, console: Console) -> Run:
    check_trackers(request.run.track)
    prepared, rows = plan_comparison(request, console)
    ask_about_overlap(console, prepared, agreed=request.run.yes)
    with prepared.folder.lock():
        announce(console, prepared, write_facts(prepared, rows))
        not_measured = compute_baselines(console, prepared) if request.run.baselines else {}
        _run(console, prepared, request.run)
        not_measured |= _measure(console, prepared) if request.run.measure else {}
        return _finish(prepared, not_measured)


def train(request: TrainRequest, console: Console) -> Run:
    """Trains one model in this process, with a progress bar; ranks and draws as `compare` does.

    Raises UserError where the training fails.
    """
    with ending_on_signals():
        return _train(request, console)


def _train(request: TrainRequest, console: Console) -> Run:
    check_trackers(request.run.track)
    prepared, rows = plan_training(request)
    ask_about_overlap(console, prepared, agreed=request.run.yes)
    with prepared.folder.lock():
        announce(console, prepared, write_facts(prepared, rows))
        not_measured = compute_baselines(console, prepared) if request.run.baselines else {}
        own = request.mixer is not None or is_own(request.task.kind)
        with reporting(own, f"{rows[0].name} failed: "):
            state = _run(console, prepared, request.run, inline=True)
        for trial, why in state.failures.items():
            trace = prepared.folder.path / "trials" / trial / "error.txt"
            raise UserError(f"{why}; the traceback: {trace}" if trace.exists() else why)
        return _finish(prepared, not_measured)


def _run(
    console: Console,
    prepared: Prepared,
    request: RunRequest,
    *,
    inline: bool = False,
) -> RunState:
    """Runs what is missing of the plan, in workers or in this process, and shows it."""
    plan, folder, task = prepared.plan, prepared.folder, prepared.task
    state = RunState(
        plan, folder, task.lower_is_better, request.trial_timeout, task.metric, request.max_minutes
    )
    display = comparison_display(console, state, task.metric, prepared.jobs)
    for name in request.track:
        say(console, where(name, folder.path), "dim")
    tracking = Tracking(request.track, folder, plan.name, lambda text: say(console, text))

    def watch(event: Event) -> None:
        display.show(event)
        tracking.take(event, state.trials[event.job.key][1])

    executor = Inline(watch) if inline else None
    said = 0
    running = run(state, prepared.jobs, task=task, executor=executor)
    with tracking, display, closing(running) as events:
        for event in events:
            if state.total != display.total:
                display.extend(state.total)
            for tied, seeds in list(zip(state.rounds, state.seed_counts[1:]))[said:]:
                said += 1
                if tied:
                    names = words.listed(tied)
                    say(console, f"{seeds} seeds of those that tie for the lead: {names}")
            watch(event)
    if display.reused:
        console.print(f"{display.reused} finished trial(s) of earlier calls were used again")
    if state.in_vain:
        say(console, "stopped: more seeds will not part all of those that tie")
    if state.out_of_time:
        say(
            console,
            f"stopped after --max-minutes {request.max_minutes:g}, before it was decided: the same "
            "command goes on",
        )
    if wider := state.wider_rates():
        parts = (
            f"{name} {words.listed([f'{rate:g}' for rate in rates])}"
            for name, rates in wider.items()
        )
        say(console, f"wider learning rates, as the best was at the edge: {'; '.join(parts)}")
    return state


def _measure(console: Console, prepared: Prepared) -> dict[str, str]:
    """Measures the costs that are missing; what could not be, and why."""
    task = prepared.task
    rounds = CostRounds(
        prepared.plan, prepared.folder, task.problem, task.sequence_length, threads=prepared.cores
    )
    failures: dict[str, str] = {}
    if not rounds.ready():
        return failures
    watched = "watched" if is_watched() else "not told by this system: it cannot be watched"
    say(
        console,
        f"costs: {words.plural(rounds.total, 'measurement')} with "
        f"{words.plural(prepared.cores, 'thread')}, about {words.duration(rounds.seconds)}; what "
        f"others do on the machine is {watched}",
        "dim",
    )
    display = CostDisplay(console, rounds)
    with display, closing(run_costs(rounds)) as events:
        for event in events:
            display.show(event)
            if event.kind == "failed":
                failures[event.job.label] = event.payload.message
    if rounds.again:
        say(
            console,
            f"{words.plural(rounds.again, 'measurement')} had been disturbed by others on the "
            "machine and were taken again",
        )
    return failures


def _finish(prepared: Prepared, not_measured: dict[str, str]) -> Run:
    """Ranks, and writes the database and the page."""
    folder = prepared.folder
    finished = Run(folder.path, not_measured)
    view = finished.view
    baselines = current_baselines(folder, prepared.plan)
    write_database(folder.path / "results.sqlite", view.trials, view.costs, baselines)
    write_atomically(
        folder.report_path, render_html(view, live=live_models(folder.path, view, LIVE_MEGABYTES))
    )
    return finished
