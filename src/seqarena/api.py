"""The front door: everything that seqarena does, from Python.

    import seqarena as sa

    run = sa.compare("my_text.txt", models=["gru", "mamba"], params="100k", tokens="200k")
    print(run)                                  # the ranking, with its doubt
    run.ranking.verdict                         # one sentence
    run.to_pandas()                             # a row an architecture, then one a baseline
    run.best.generate("The ")                   # or .predict, .evaluate, .embed
    run.best.export("gru.onnx")                 # or .pt2, .c
    run.page()                                  # the offline page, drawn from the records

    bigger = sa.train("my_text.txt", model="gru", params="1M", tokens="2M")
    model = sa.load("runs/NAME", "gru")         # a trained model of an earlier run
    module = sa.build("mamba", vocab_size=256, params=1_000_000)  # a torch.nn.Module
    session = sa.Session(module, rollback=8)    # its state, kept: read, rollback, fork, save

Options have the names that they have on the command line: `seqarena compare --label-smoothing .1`
is `sa.compare(label_smoothing=.1)`, and `seqarena compare --help` lists them. Values may be numbers
or texts such as "200k". Every function raises `UserError` with one sentence for a mistake. Progress
is printed to `console`, a rich console, and not at all with `verbose=False`. A call that was
interrupted goes on when it is made again.
"""

# pyright: strict
import importlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from rich.console import Console

from seqarena.arena.requests import CompareRequest, TrainRequest
from seqarena.core.errors import UserError, unknown_name
from seqarena.core.options import build as build_request
from seqarena.core.options import flags
from seqarena.core.user_code import allow, is_own
from seqarena.forecast.requests import ForecastRequest
from seqarena.measure.requests import MEASUREMENTS
from seqarena.models.catalog import CATALOG
from seqarena.serve.model.request import ServeRequest
from seqarena.tasks.registry import TASKS, settings_of

if TYPE_CHECKING:
    import numpy as np

    from seqarena.core.batch import Problem
    from seqarena.core.results.records import Ranking, RankRow, RunView
    from seqarena.engine.check import MixerCheck
    from seqarena.engine.claims import Judged
    from seqarena.engine.ladder.plan import LadderPreview
    from seqarena.engine.ladder.run import ForecastRun
    from seqarena.engine.measure import Measured
    from seqarena.engine.preview import Preview
    from seqarena.engine.run import Run
    from seqarena.engine.trained import OwnCode, TrainedModel
    from seqarena.mixers.base import Mixer, MixerConfig
    from seqarena.models.build import build
    from seqarena.models.exchange.family import Published
    from seqarena.models.export.forms import Exported
    from seqarena.models.states.session import Session
    from seqarena.serve.model.server import ModelServer
    from seqarena.serve.page import PageServer
    from seqarena.tasks.base import Answer
    from seqarena.use.evaluate import Evaluation

__all__ = [
    "CATALOG",
    "Answer",
    "CompareRequest",
    "Evaluation",
    "Exported",
    "ForecastRequest",
    "ForecastRun",
    "Judged",
    "LadderPreview",
    "Measured",
    "Mixer",
    "MixerCheck",
    "MixerConfig",
    "ModelServer",
    "Preview",
    "Problem",
    "RankRow",
    "Ranking",
    "Run",
    "RunView",
    "ServeRequest",
    "Session",
    "TrainRequest",
    "TrainedModel",
    "UserError",
    "build",
    "check",
    "claim_titles",
    "claims",
    "compare",
    "embed",
    "evaluate",
    "export",
    "forecast",
    "forecast_from",
    "generate",
    "load",
    "load_published",
    "measure",
    "models",
    "open_run",
    "options_of",
    "page_server",
    "predict",
    "recipe",
    "report",
    "save_published",
    "serve",
    "tasks",
    "train",
]

# What needs torch is imported when it is asked for.
_LAZY = {
    "Answer": "seqarena.tasks.base",
    "MixerCheck": "seqarena.engine.check",
    "Evaluation": "seqarena.use.evaluate",
    "Exported": "seqarena.models.export.forms",
    "ForecastRun": "seqarena.engine.ladder.run",
    "Judged": "seqarena.engine.claims",
    "LadderPreview": "seqarena.engine.ladder.plan",
    "Measured": "seqarena.engine.measure",
    "Mixer": "seqarena.mixers.base",
    "MixerConfig": "seqarena.mixers.base",
    "ModelServer": "seqarena.serve.model.server",
    "PageServer": "seqarena.serve.page",
    "Preview": "seqarena.engine.preview",
    "Problem": "seqarena.core.batch",
    "RankRow": "seqarena.core.results.records",
    "Ranking": "seqarena.core.results.records",
    "Run": "seqarena.engine.run",
    "RunView": "seqarena.core.results.records",
    "Session": "seqarena.models.states.session",
    "TrainedModel": "seqarena.engine.trained",
    "build": "seqarena.models.build",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


Place = str | Path  # of a run folder, a trial or a checkpoint
Data = str | Path | Any  # a place, or a DataFrame or Series of pandas
Code = str | type | Sequence[str | type]  # of the user's own: file.py:Class, or a loaded class


@overload
def compare(
    data: Data | None = None,
    *,
    models: str | Sequence[str] | None = None,
    request: CompareRequest | None = None,
    dry_run: Literal[False] = False,
    verbose: bool = True,
    console: Console | None = None,
    **options: Any,
) -> "Run": ...
@overload
def compare(
    data: Data | None = None,
    *,
    models: str | Sequence[str] | None = None,
    request: CompareRequest | None = None,
    dry_run: Literal[True],
    verbose: bool = True,
    console: Console | None = None,
    **options: Any,
) -> "Preview": ...
def compare(
    data: Data | None = None,
    *,
    models: str | Sequence[str] | None = None,
    request: CompareRequest | None = None,
    dry_run: bool = False,
    verbose: bool = True,
    console: Console | None = None,
    **options: Any,
) -> "Run | Preview":
    """Trains architectures at equal size and cost on `data`, ranks them, writes a run folder.

    `data` is a file, a folder or a pattern (docs/formats.md), or a DataFrame of pandas, which is
    written to runs/frames first; None is the task's own data. `models`
    are names of the catalog, or "all"; the default is a line-up of one of each idea. `options` are
    those of `seqarena compare`; a `request` replaces them all. With `dry_run` the data are read
    and nothing is trained or written: what is returned says what would be done.
    """
    from seqarena.engine import compare as comparing

    if request is None:
        request = build_request(CompareRequest, _given(data=data, models=models, **options))
    if dry_run:
        from seqarena.engine.preview import preview_comparison

        return preview_comparison(request, _console(verbose, console))
    return comparing.compare(request, _console(verbose, console))


@overload
def train(
    data: Data | None = None,
    *,
    model: str | None = None,
    request: TrainRequest | None = None,
    dry_run: Literal[False] = False,
    verbose: bool = True,
    console: Console | None = None,
    **options: Any,
) -> "Run": ...
@overload
def train(
    data: Data | None = None,
    *,
    model: str | None = None,
    request: TrainRequest | None = None,
    dry_run: Literal[True],
    verbose: bool = True,
    console: Console | None = None,
    **options: Any,
) -> "Preview": ...
def train(
    data: Data | None = None,
    *,
    model: str | None = None,
    request: TrainRequest | None = None,
    dry_run: bool = False,
    verbose: bool = True,
    console: Console | None = None,
    **options: Any,
) -> "Run | Preview":
    """Trains one architecture; the run's `best` is the trained model.

    `data` is as in `compare`. `model` is a name of the catalog, by default attention. `options` are
    those of `seqarena train`; a `request` replaces them all. `dry_run` is as in `compare`.
    """
    from seqarena.engine import compare as comparing

    if request is None:
        request = build_request(TrainRequest, _given(data=data, model=model, **options))
    if dry_run:
        from seqarena.engine.preview import preview_training

        return preview_training(request, _console(verbose, console))
    return comparing.train(request, _console(verbose, console))


@overload
def forecast(
    data: Data | None = None,
    *,
    models: str | Sequence[str] | None = None,
    request: ForecastRequest | None = None,
    dry_run: Literal[False] = False,
    verbose: bool = True,
    console: Console | None = None,
    **options: Any,
) -> "ForecastRun": ...
@overload
def forecast(
    data: Data | None = None,
    *,
    models: str | Sequence[str] | None = None,
    request: ForecastRequest | None = None,
    dry_run: Literal[True],
    verbose: bool = True,
    console: Console | None = None,
    **options: Any,
) -> "LadderPreview": ...
def forecast(
    data: Data | None = None,
    *,
    models: str | Sequence[str] | None = None,
    request: ForecastRequest | None = None,
    dry_run: bool = False,
    verbose: bool = True,
    console: Console | None = None,
    **options: Any,
) -> "ForecastRun | LadderPreview":
    """Trains a ladder of comparisons on `data` and forecasts who is better at `target`.

    `data` and `models` are as in `compare`, `options` those of `seqarena forecast`: `target` (100x,
    10M, 200M-tokens or 1e15-flops), `rungs`, `verify` and others; a `request` replaces them
    all. `dry_run` says what would be trained and how long that takes.
    """
    from seqarena.engine.ladder import climb as forecasting

    if request is None:
        request = build_request(ForecastRequest, _given(data=data, models=models, **options))
    printer = _console(verbose, console)
    if dry_run:
        from seqarena.engine.ladder.plan import preview_forecast

        return preview_forecast(request, forecasting.ladder_folder(request), printer)
    return forecasting.forecast(request, printer)


def forecast_from(
    folders: Iterable[Place],
    target: str = "100x",
    *,
    verbose: bool = True,
    console: Console | None = None,
    **options: Any,
) -> "ForecastRun":
    """The same from `folders` of runs that are trained: each a rung, of the same data and at
    another size. `target` and `options` are as in `forecast`."""
    named = tuple(str(folder) for folder in folders)
    more: dict[str, Any] = {"target": target, "folders": named, **options}
    return forecast(None, dry_run=False, verbose=verbose, console=console, **more)


def open_run(path: Place, *, mixer: Code = (), trust_code: bool = False) -> "Run":
    """Opens a run of an earlier call. `path` is its folder; `mixer` and `trust_code` are as in
    `load`. Raises UserError for a folder that is no run."""
    from seqarena.engine.run import Run

    return Run(path, code=_own_code(mixer, trust_code))


def load(
    path: Place, model: str | None = None, *, mixer: Code = (), trust_code: bool = False
) -> "TrainedModel":
    """A trained model. `path` is a run folder, a trial or a checkpoint; `model` names one of the
    run's architectures, by default the best. Raises UserError where there is none.

    Code outside of seqarena runs only if `mixer` names it (`my_file.py:MyMixer`, a task's class, or
    a class that is loaded already), or if `trust_code` and its digest is the recorded one.
    """
    from seqarena.engine.trained import TrainedModel, find_checkpoint

    return TrainedModel(find_checkpoint(Path(path), model), _own_code(mixer, trust_code))


def evaluate(
    path: Place,
    data: Place | None = None,
    *,
    model: str | None = None,
    settings: dict[str, Any] | None = None,
    mixer: Code = (),
    trust_code: bool = False,
) -> "Evaluation":
    """The scores of a trained model on its test split; or on `data`, in a form that training
    reads: on their test split, or on all of them. `settings` of the task (names of fields, say) say
    how they are read where it is other than in training. `path`, `model`, `mixer` and `trust_code`
    are as in `load`."""
    return load(path, model, mixer=mixer, trust_code=trust_code).evaluate(data, settings)


@overload
def predict(
    path: Place,
    inputs: Sequence[str],
    *,
    model: str | None = None,
    mixer: Code = (),
    trust_code: bool = False,
) -> "list[Answer]": ...
@overload
def predict(
    path: Place,
    inputs: Any,
    *,
    model: str | None = None,
    mixer: Code = (),
    trust_code: bool = False,
) -> Any: ...
def predict(
    path: Place,
    inputs: Any,
    *,
    model: str | None = None,
    mixer: Code = (),
    trust_code: bool = False,
) -> Any:
    """One answer for each of `inputs`, by the task that the model was trained for: a translation,
    a class, tags, a transcript. To a DataFrame of series it is a DataFrame of forecasts: series,
    time, forecast, and a column for each quantile. `path`, `model`, `mixer` and `trust_code` are
    as in `load`."""
    return load(path, model, mixer=mixer, trust_code=trust_code).predict(inputs)


def embed(
    path: Place,
    texts: Sequence[str],
    *,
    pooling: str = "auto",
    model: str | None = None,
    mixer: Code = (),
    trust_code: bool = False,
) -> "np.ndarray":
    """A vector for each of `texts`, float32 [texts, numbers], from a model of any task that reads
    texts. `pooling` is as in `TrainedModel.embed`; `path`, `model`, `mixer` and `trust_code` are as
    in `load`."""
    return load(path, model, mixer=mixer, trust_code=trust_code).embed(texts, pooling=pooling)


def generate(
    path: Place,
    prompt: str | None = None,
    *,
    model: str | None = None,
    mixer: Code = (),
    trust_code: bool = False,
    **options: Any,
) -> str:
    """Text that continues `prompt`, by default the start of a line. `path`, `model`, `mixer` and
    `trust_code` are as in `load`, `options` those of `TrainedModel.stream`."""
    return load(path, model, mixer=mixer, trust_code=trust_code).generate(prompt, **options)


def export(
    path: Place,
    out: Place | None = None,
    *,
    to: str | None = None,
    model: str | None = None,
    mixer: Code = (),
    trust_code: bool = False,
    **options: Any,
) -> "Exported":
    """Writes a trained model as a file that runs without seqarena: ONNX, torch.export's .pt2, C, or
    a folder of Hugging Face. `path`, `model`, `mixer` and `trust_code` are as in `load`; `out`,
    `to` and `options` are those of `TrainedModel.export`."""
    return load(path, model, mixer=mixer, trust_code=trust_code).export(out, to=to, **options)


def measure(
    what: str,
    /,  # a measurement may have an option of that name
    *,
    models: str | Sequence[str] | None = None,
    verbose: bool = True,
    console: Console | None = None,
    **options: Any,
) -> "Measured":
    """One property against length, distance or depth; its records and a page go into a folder.

    `what` is speed, memory, utilisation, gradient, reach, recall, length or maps. `models` are
    names of the catalog, or "all"; the default is a handful that tells most. `options` are those of
    `seqarena measure WHAT`.
    """
    from seqarena.engine import measure as measuring

    if what not in MEASUREMENTS:
        raise unknown_name("measurement", what, MEASUREMENTS)
    request = build_request(MEASUREMENTS[what], _given(models=models, **options))
    return measuring.measure(request, _console(verbose, console))


def claims(
    only: Iterable[str] | None = None,
    *,
    scale: Literal["quick", "full"] = "quick",
    jobs: int | None = None,
    runs: Place = "runs",
    verbose: bool = True,
    console: Console | None = None,
) -> "Judged":
    """What the literature claims, measured here: verdicts with their figures, and a page.

    `only` are names of claims (`claim_titles`), by default all. `scale` "quick" takes minutes,
    "full" is larger, longer and has more seeds. `jobs` trainings run at a time, by default one a
    core. `runs` is the folder that `claims-quick` or `claims-full` is written to.
    """
    from seqarena.engine import claims as claiming

    return claiming.claims(
        _console(verbose, console),
        only=None if only is None else list(only),
        scale=scale,
        jobs=jobs,
        runs=Path(runs),
    )


def claim_titles() -> dict[str, str]:
    """Every claim of the ledger: name -> title."""
    from seqarena.claims.contents import CLAIMS

    return {claim.name: claim.title for claim in CLAIMS}


def check(mixer: str, *, device: str = "cpu", dtype: str = "float64") -> "Iterator[MixerCheck]":
    """The contract suite, check by check. `mixer` is `my_file.py:MyMixer` or a name of the catalog,
    `device` cpu or cuda, `dtype` float64, float32 or bfloat16 (autocast)."""
    from seqarena.engine import check as checking

    return checking.check(mixer, device=device, dtype=dtype)


def recipe(
    file: Place,
    *,
    trust_code: bool = False,
    verbose: bool = True,
    console: Console | None = None,
) -> bool:
    """Runs the recipe in `file`, a TOML file; returns whether what it expects holds. A mixer or a
    task of its own runs only with `trust_code`."""
    from seqarena.engine import recipe as recipes

    results = Console(quiet=not verbose)
    progress = _console(verbose, console)
    return recipes.recipe(Path(file), progress, results, trust_code=trust_code)


def report(path: Place, *, live_megabytes: float = 2.0) -> Path:
    """Draws a page again from its records and returns its place. `path` is a folder of a run, of
    measurements or of claims. At most `live_megabytes` of a language run's page are models that
    run in it; 0 leaves them out."""
    from seqarena.engine.pages import write_page

    return write_page(Path(path), live_megabytes=live_megabytes)


def page_server(
    path: Place,
    port: int = 0,
    *,
    mixer: Code = (),
    trust_code: bool = False,
    live_megabytes: float = 2.0,
) -> "PageServer":
    """A server, for this machine only, of the page of the folder `path`; use it as a context
    manager. `port` 0 takes a free one; `mixer` and `trust_code` are as in `load`,
    `live_megabytes` as in `report`."""
    from seqarena.serve.page import PageServer

    code = _own_code(mixer, trust_code)
    return PageServer(Path(path), port, code=code, live_megabytes=live_megabytes)


def serve(
    run: Place | None = None,
    *,
    mixer: Code = (),
    trust_code: bool = False,
    request: ServeRequest | None = None,
    **options: Any,
) -> "ModelServer":
    """A server of a trained model over HTTP, which listens already; use it as a context manager.

    `run` is a run folder (its best model), `runs/NAME:MODEL` or a checkpoint. `options` are those
    of `seqarena serve`; a `request` replaces them all. `.serve()` answers until Ctrl-C, `.start()`
    in another thread. Without `token`, SEQARENA_TOKEN of the environment is taken. `mixer` and
    `trust_code` are as in `load`.
    """
    from seqarena.serve.model.server import ModelServer

    if request is None:
        token = options.pop("token", None) or os.environ.get("SEQARENA_TOKEN") or None
        request = build_request(ServeRequest, _given(run=run, token=token, **options))
    return ModelServer(request, _own_code(mixer, trust_code))


def models() -> dict[str, dict[str, Any]]:
    """The catalog: name -> title, family, year, paper, idea, equations and orders of cost, and
    what it is equal to (models/parity.py)."""
    from seqarena.measure.complexity import catalog_rows
    from seqarena.models.parity import parity_of

    return {name: {**row, "parity": parity_of(name)} for name, row in catalog_rows().items()}


def tasks(name: str | None = None) -> dict[str, Any]:
    """What can be asked: name -> idea; of the task `name` alone: setting -> (default, help)."""
    if name is None:
        return dict(TASKS)
    if is_own(name):
        allow(name)
    return settings_of(name)


def _given(**options: Any) -> dict[str, Any]:
    """The options that are not None; lists as tuples, and a frame of pandas as its table."""
    if options.get("data") is not None and not isinstance(options["data"], str | Path):
        options["data"] = _written(options["data"], Path(options.get("runs") or "runs"))
    return {
        name: tuple(cast("list[Any]", value)) if isinstance(value, list) else value
        for name, value in options.items()
        if value is not None
    }


def _written(data: Any, runs: Path) -> Any:
    """The table of a frame, below the folder of runs; anything else as it is."""
    from seqarena.use.frames import frame_file, is_frame

    return frame_file(data, runs / "frames") if is_frame(data) else data


def _own_code(mixer: Code, trust_code: bool) -> "OwnCode":
    from seqarena.engine.trained import OwnCode

    named = (mixer,) if isinstance(mixer, str | type) else tuple(mixer)
    return OwnCode(named, trust_code)


def _console(verbose: bool, console: Console | None) -> Console:
    return console or Console(quiet=not verbose)


def load_published(
    folder: Place,
    *,
    ignore: Sequence[str] = (),
    verbose: bool = True,
    console: Console | None = None,
) -> "Published":
    """A GPT-2, BERT, Llama or Mamba in `folder`, as `transformers` lays it out, in float32.

    `ignore` are settings of config.json to pass over. Each choice that is made is printed. Raises
    UserError for what the model has no place for, by its name (docs/exchange.md)."""
    from seqarena.models.exchange import huggingface

    printer = _console(verbose, console)

    def say(note: str) -> None:
        printer.print(note, highlight=False, markup=False, soft_wrap=True)

    return huggingface.load(folder, ignore=ignore, say=say)


def save_published(model: "Published", folder: Place) -> None:
    """Writes `model`, one that `load_published` can read, so that `from_pretrained(folder)` of
    `transformers` reads `folder`. Raises UserError for a model that has no place there."""
    from seqarena.models.exchange import huggingface

    huggingface.save(model, folder)


def options_of(verb: Literal["compare", "train", "forecast", "serve"]) -> dict[str, str]:
    """The options of `verb`, compare, train, forecast or serve: name -> help."""
    kind = {"compare": CompareRequest, "train": TrainRequest, "forecast": ForecastRequest,
            "serve": ServeRequest}[verb]  # fmt: skip
    hidden = getattr(kind, "hidden", ())
    return {flag.name: flag.description for flag in flags(kind).values() if flag.name not in hidden}
