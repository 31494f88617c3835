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
from typing import Any, NamedTuple

from rich.console import Console

from seqarena.arena.requests import CompareRequest, TrainRequest
from seqarena.core.errors import UserError, one_line, unknown_name
from seqarena.core.names import folder_name
from seqarena.core.options import build
from seqarena.core.results.records import RunView
from seqarena.core.user_code import is_own
from seqarena.engine.compare import compare, train

_VERBS = {"train": TrainRequest, "compare": CompareRequest}
_KEYS = ("verb", "about", "options", "expect")
_BOUNDS = ("at_least", "at_most", "above", "published")


class RecipeFile(NamedTuple):
    """A recipe as read: every part has its type, and the request is whole."""

    request: TrainRequest | CompareRequest
    about: str
    expect: dict[str, dict[str, dict[str, Any]]]  # architecture -> metric or slice -> bounds


def recipe(file: Path, console: Console, results: Console, *, trust_code: bool = False) -> bool:
    """Runs the setting and prints each expectation to `results`; whether all of them hold.

    Raises UserError for a file that is no recipe, and for one that names code outside of seqarena
    unless `trust_code`. Data are found through SEQARENA_DATA.
    """
    found = read_recipe(file)
    request = found.request
    if not trust_code:
        _refuse_code(file, request)
    console.print(found.about, highlight=False, markup=False)
    try:
        if isinstance(request, TrainRequest):
            run = train(request, console)
        else:
            run = compare(request, console)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    console.print(run)
    outcomes = [_holds(run.view, name, wanted, results) for name, wanted in found.expect.items()]
    return all(outcomes)


def _refuse_code(file: Path, request: TrainRequest | CompareRequest) -> None:
    """Raises UserError for a recipe that names or trusts code: only the user does."""
    named = [request.task.kind]
    if isinstance(request, TrainRequest):
        named += [request.mixer or ""]
        if request.trust_code:
            raise UserError(f"{file} says trust_code, which only you can: say --trust-code")
    else:
        named += request.lineup.mixer
    for code in filter(is_own, named):
        raise UserError(f"{file} runs {code!r}, code of its own: say --trust-code to allow it")


def read_recipe(file: Path) -> RecipeFile:
    """Reads and checks a recipe, and runs nothing. Raises UserError with the file's name."""
    found = _read_toml(file)
    try:
        verb = found.get("verb")
        if not isinstance(verb, str) or verb not in _VERBS:
            raise UserError(f"verb must be train or compare, not {verb!r}")
        for key in found:
            if key not in _KEYS:
                raise unknown_name("key", key, _KEYS)
        about = found.get("about", file.stem)
        if not isinstance(about, str):
            raise UserError(f"about must be a text, not {about!r}")
        options = {key: _expand(value) for key, value in _table(found, "options").items()}
        options.setdefault("name", folder_name(f"recipe-{file.stem}"))
        return RecipeFile(build(_VERBS[verb], options), about.strip(), _expectations(found))
    except UserError as error:
        raise UserError(f"{file}: {error}") from error


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"recipe {str(file)!r} does not exist") from None
    except OSError as error:
        raise UserError(f"recipe {str(file)!r} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8: its byte {error.start + 1} is no letter") from error
    except (ValueError, RecursionError) as error:  # ValueError: also a number of 5,000 digits
        raise UserError(f"{file} is not TOML: {one_line(error)}") from error


def _expectations(found: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    expect = _table(found, "expect")
    for architecture in expect:
        for name in _table(expect, architecture):
            bounds = _table(expect[architecture], name)
            for key, value in bounds.items():
                if key not in _BOUNDS:
                    raise unknown_name("bound", key, _BOUNDS)
                kind = {"above": str, "published": str | int | float}.get(key, int | float)
                if isinstance(value, bool) or not isinstance(value, kind) or value != value:
                    wanted = "the name of an architecture" if key == "above" else "a number"
                    raise UserError(f"expect.{architecture}.{name}.{key} must be {wanted}")
    return expect


def _table(found: dict[str, Any], key: str) -> dict[str, Any]:
    value = found.get(key, {})
    if not isinstance(value, dict):
        raise UserError(f"{key} must be a table, not {value!r}")
    return value


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
