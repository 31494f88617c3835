"""`forecast`: a ladder of comparisons, what it says of a larger size, and trainings that check it.

    runs/NAME/rung-PARAMS/            each rung, an ordinary run folder
    runs/NAME/forecast.json           the ladder and what is forecast from it
    runs/NAME/predictions/HASH.json   what will be scored, written before any verification
    runs/NAME/verify-PARAMS-NAME/     a training at the target, an ordinary run folder
    runs/NAME/verification.json       the predictions, scored
    runs/NAME/report.html             the page

Stopped at any point, the same call goes on: rungs and trials that are finished are used again.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from seqarena.arena.requests import own_name
from seqarena.core import words
from seqarena.core.errors import UserError
from seqarena.core.names import folder_name
from seqarena.core.options import command_line
from seqarena.core.results.forecasts import Forecast, Ladder
from seqarena.engine.compare import compare
from seqarena.engine.estimate import RANGE
from seqarena.engine.ladder.plan import RungPlan, plan_rungs
from seqarena.engine.ladder.run import ForecastRun
from seqarena.engine.planned import say
from seqarena.forecast.ladder import read_ladder, read_rung
from seqarena.forecast.predict import forecast as predict
from seqarena.forecast.requests import LEAST_RUNGS, ForecastRequest
from seqarena.forecast.store import (
    write_forecast,
    write_predictions,
    write_verification,
)
from seqarena.forecast.targets import target_of
from seqarena.forecast.verify import verified
from seqarena.jobs.files import locked
from seqarena.jobs.signals import ending_on_signals


class Verifying(NamedTuple):
    """One training at the target."""

    architecture: str
    plan: RungPlan


def forecast(request: ForecastRequest, console: Console) -> ForecastRun:
    """Trains the rungs that are missing, or reads those that are named; forecasts; writes the page.
    With `--verify` trains the first ones at the target and scores the forecast.

    Raises UserError for a ladder that cannot be read or is too short for --max-minutes.
    """
    with ending_on_signals(), _folder(request) as path:
        choices: list[str] = []
        if request.ladder.folders:
            folders = [Path(folder) for folder in request.ladder.folders]
        else:
            folders = _train_rungs(request, path, console, choices)
        with console.status("reading the rungs and hiding the top ones from each method"):
            ladder = read_ladder(folders)
            found = predict(ladder, target_of(request.ladder.target, ladder))
        command = command_line("forecast", request, positional=("data",))
        write_forecast(path, found, command=command, choices=choices)
        if request.ladder.verify:
            _verify(request, path, found, console)
        finished = ForecastRun(path)
        finished.page()
        return finished


def ladder_folder(request: ForecastRequest) -> Path:
    """Where the ladder of a request lies."""
    if request.run.name is not None:
        return request.run.runs / request.run.name
    if request.ladder.folders:
        return request.run.runs / folder_name(
            f"forecast-{Path(request.ladder.folders[0]).resolve().parent.name}"
        )
    return request.run.runs / folder_name(
        f"forecast-{Path(request.task.data or request.task.kind).stem.lower()}"
    )


@contextlib.contextmanager
def _folder(request: ForecastRequest) -> Iterator[Path]:
    path = ladder_folder(request)
    if (path / "plan.json").exists():
        raise UserError(f"{path} holds a comparison: choose another --name for the ladder")
    with locked(path / ".lock"):
        yield path


def _train_rungs(
    request: ForecastRequest, path: Path, console: Console, choices: list[str]
) -> list[Path]:
    """Every rung that fits, from the smallest on. What is decided is said and noted."""

    def choose(sentence: str) -> None:
        choices.append(sentence)
        say(console, sentence)

    plans = plan_rungs(request, path, console)
    kept = fitting(plans, request.run.max_minutes)
    left = sum(plan.seconds_left for plan in kept)
    low, high = (words.duration(factor * left) for factor in RANGE)
    sizes = words.listed([words.with_unit(plan.params, "count") for plan in kept])
    say(
        console,
        f"a ladder of {len(kept)} rungs, {sizes} parameters: about {words.duration(left)} to go, "
        f"between {low} and {high} -> {path}",
    )
    for plan in plans[len(kept) :]:
        choose(
            f"the rung of {words.with_unit(plan.params, 'count')} parameters is left out: it would "
            f"take about {words.duration(plan.seconds_left)} more than --max-minutes leaves"
        )
    start = time.monotonic()
    for number, plan in enumerate(kept, start=1):
        rates = next_rates(request, kept[: number - 1], choose)
        console.rule(
            f"rung {number} of {len(kept)}: {words.with_unit(plan.params, 'count')} parameters, "
            f"{words.with_unit(plan.tokens, 'count')} tokens"
        )
        compare(plan.request(rates), console)
        spent = words.duration(time.monotonic() - start)
        ahead = sum(one.seconds_left for one in kept[number:])
        if ahead:
            say(console, f"{spent} gone, about {words.duration(ahead)} of training to go", "dim")
    return [plan.folder for plan in kept]


def fitting(plans: Sequence[RungPlan], max_minutes: float | None) -> list[RungPlan]:
    """The rungs from the smallest on that the time pays for. Raises UserError for fewer than
    four."""
    if max_minutes is None:
        return list(plans)
    kept, seconds = [], 0.0
    for plan in plans:
        seconds += plan.seconds_left
        if seconds > 60 * max_minutes:
            break
        kept.append(plan)
    if len(kept) < LEAST_RUNGS:
        needed = sum(plan.seconds_left for plan in plans[:LEAST_RUNGS])
        raise UserError(
            f"--max-minutes {max_minutes:g} pays for {words.plural(len(kept), 'rung')} of the "
            f"{LEAST_RUNGS} that a ladder needs: they take about {words.duration(needed)}; allow "
            "that, or name fewer --models, fewer --rates or smaller --rungs"
        )
    return kept


def next_rates(
    request: ForecastRequest, below: Sequence[RungPlan], choose: Callable[[str], None]
) -> tuple[float, ...]:
    """The rates to try on the next rung; none: all that were asked for."""
    if request.ladder.rates_at == "every-rung" or len(below) < 2:
        return ()
    chosen = {cell.learning_rate for cell in read_rung(below[-1].folder).rung.cells}
    asked = tuple(sorted({*request.search.rates, *chosen}))
    low, high = min(chosen), max(chosen)
    lower = [rate for rate in asked if rate < low]
    rates = tuple(rate for rate in asked if low <= rate <= high or rate in lower[-1:])
    if rates != asked:
        tried = words.listed([words.rate(rate) for rate in rates])
        choose(
            f"learning rates {tried} from {below[-1].folder.name} on: those that were chosen "
            "there, and the next lower one"
        )
    return rates


def _verify(request: ForecastRequest, path: Path, found: Forecast, console: Console) -> None:
    """Writes the predictions, trains the first ones at the target, and scores."""
    kept = write_predictions(path, found)
    say(console, f"predictions written at {kept.predictions.written_at}, SHA-256 {kept.sha256}")
    plans = _verifying(request, path, found.ladder, found)
    say(
        console,
        f"verification: {words.listed([one.architecture for one in plans])} at "
        f"{found.target.params:,} parameters and {found.target.tokens:,} tokens",
    )
    seconds = [one.seconds.value for one in found.architectures[: len(plans)] if one.seconds]
    if seconds:
        total = sum(seconds) * request.search.num_seeds
        say(console, f"about {words.duration(total)} of training, one after the other")
    for one in plans:
        console.rule(f"verification: {one.architecture}")
        compare(one.plan.request(()), console)
    rungs = [read_rung(one.plan.folder).rung for one in plans]
    write_verification(path, verified(kept, rungs, [str(one.plan.folder) for one in plans]))


def _verifying(
    request: ForecastRequest, path: Path, ladder: Ladder, found: Forecast
) -> list[Verifying]:
    own = {own_name(mixer): mixer for mixer in request.lineup.mixer}
    plans = []
    for one in found.architectures[: request.ladder.verify]:
        name, rate = one.architecture, one.learning_rate
        assert rate is not None
        plans.append(
            Verifying(
                name,
                RungPlan(
                    params=found.target.params,
                    tokens=found.target.tokens,
                    folder=path / f"verify-{found.target.params}-{name}",
                    seconds_left=0.0,
                    made=request,
                    models=() if name in own else (name,),
                    mixers=(own[name],) if name in own else (),
                    fixed_rates=(rate,),
                ),
            )
        )
    if len(plans) < 2:
        raise UserError("--verify needs two architectures or more: a forecast is of pairs")
    return plans
