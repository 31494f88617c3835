"""Recipes: a published setting as a TOML file, run and held against what was published.

verb = "train"                      # or "compare"
about = "what it reproduces"
[options]                           # as on the command line, without the dashes
data = "$SEQARENA_DATA/..."
[expect.ARCHITECTURE]               # a metric or slice of the test split
nats_per_token = { at_most = 1.90, published = 1.88 }
accuracy = { above = "gru" }        # greater than another architecture's
"""

import os
import tomllib
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console

from seqarena.arena.requests import CompareRequest, TrainRequest
from seqarena.core.errors import UserError
from seqarena.core.options import build
from seqarena.core.results.records import RunView
from seqarena.engine.compare import compare, train


def recipe(file: Path, console: Console, results: Console) -> bool:
    """Runs the setting and prints each expectation to `results`; whether all of them hold.

    Raises UserError for a file that is no recipe. Data are found through SEQARENA_DATA.
    """
    if not file.is_file():
        raise UserError(f"recipe {str(file)!r} does not exist")
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{file}: {error}") from error
    if found.get("verb") not in ("train", "compare"):
        raise UserError(f"{file}: verb must be train or compare, not {found.get('verb')!r}")
    options = {key: _expand(value) for key, value in found.get("options", {}).items()}
    options.setdefault("name", f"recipe-{file.stem}")
    console.print(found.get("about", file.stem).strip(), highlight=False, markup=False)
    if found["verb"] == "train":
        run = train(build(TrainRequest, options), console)
    else:
        run = compare(build(CompareRequest, options), console)
    console.print(run)
    expected = found.get("expect", {})
    outcomes = [_holds(run.view, name, wanted, results) for name, wanted in expected.items()]
    return all(outcomes)


def _holds(view: RunView, architecture: str, wanted: dict[str, Any], results: Console) -> bool:
    """Prints each expectation beside what was measured: the mean over seeds at the chosen rate, and
    how many of the seeds reach it by themselves."""
    holds = True
    for name, bounds in wanted.items():
        values = _values(view, architecture, name)
        rival = _values(view, bounds["above"], name) if "above" in bounds else []
        if not values or ("above" in bounds and not rival):
            _say(results, f"{architecture if not values else bounds['above']}: not measured")
            return False
        reached = [_within(value, bounds, rival) for value in (fmean(values), *values)]
        good = reached[0]
        holds = holds and good
        limits = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in bounds.items())
        seeds = f"{sum(reached[1:])} of {len(values)} seeds; " if len(values) > 1 else ""
        verdict = "holds" if good else "MISSED"
        found = f"{architecture} {name}: {fmean(values):.4f}"
        _say(results, f"{found} ({seeds}{limits}): {verdict}")
    return holds


def _say(results: Console, line: str) -> None:
    results.print(line, highlight=False, markup=False, soft_wrap=True)


def _within(value: float, bounds: dict[str, Any], rival: list[float]) -> bool:
    if rival and value <= fmean(rival):
        return False
    return bounds.get("at_least", value) <= value <= bounds.get("at_most", value)


def _values(view: RunView, architecture: str, name: str) -> list[float]:
    """The metric or a slice, one a seed at the chosen rate; empty: not measured."""
    rows = view.ranking.rows if view.ranking else ()
    row = next((r for r in rows if r.architecture == architecture), None)
    if row is None:
        return []
    values = [
        t.test_value if name == view.metric else t.test_slices.get(name)
        for t in view.trials
        if t.architecture == architecture
        and t.learning_rate == row.learning_rate
        and t.role != "repeat"
        and t.test_value is not None
    ]
    known = [value for value in values if value is not None]
    if not known:
        raise UserError(f"recipe expects {name!r}, which {architecture} has not")
    return known


def _expand(value: Any) -> Any:
    """$VARIABLES in texts. SEQARENA_DATA has the developers' default."""
    if not isinstance(value, str):
        return value
    os.environ.setdefault("SEQARENA_DATA", "../shared/data")
    return os.path.expandvars(value)
