"""`seqarena compare`, `train`, `recipe` and `claims`: the verbs that train."""

from pathlib import Path
from typing import Annotated, Any

import typer

from seqarena.arena.requests import CompareRequest, TrainRequest
from seqarena.cli.derive import verb_of
from seqarena.cli.output import AsJson, print_json, progress_console, say
from seqarena.core.options import names

DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Read the data, say what would be done and how long it takes; stop there."
    ),
]


def _compare(given: dict[str, Any], dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Train architectures at equal size and cost on your data; rank them, honestly.

    Exit code 1 means that a trial or a measurement failed; the others are ranked.

    Every architecture gets the same budget, the same number of learning rates (chosen on
    validation) and the same seeds. Stop it at any time; the same command goes on where it stopped.
    """
    from seqarena import api

    console = progress_console(as_json)
    if dry_run:
        show_preview(api.compare(dry_run=True, console=console, **given), as_json)
    else:
        _show(api.compare(console=console, **given), as_json)


def _train(given: dict[str, Any], dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Train one architecture; the result is a run folder that the other verbs read.

    Stop it at any time; the same command goes on where it stopped.
    """
    from seqarena import api

    console = progress_console(as_json)
    if dry_run:
        show_preview(api.train(dry_run=True, console=console, **given), as_json)
    else:
        _show(api.train(console=console, **given), as_json)


def show_preview(preview: Any, as_json: bool) -> None:
    """A preview as text or as JSON."""
    from rich.console import Console

    if as_json:
        print_json(preview.summary())
    else:
        Console(highlight=False).print(preview, soft_wrap=True)


def _show(run: Any, as_json: bool) -> None:
    from rich.console import Console

    if as_json:
        print_json(run.summary())
    else:
        console = Console()
        console.print(run)
        for name, why in run.not_measured.items():
            console.print(
                f"{name}: {why}", style="red", highlight=False, markup=False, soft_wrap=True
            )
        if run.train_on:
            say(f"train it on: {run.train_on}")
        say(f"report: {run.page_path}")
    if run.failures:
        raise typer.Exit(1)


compare = verb_of(
    CompareRequest, _compare, name="compare", argument="data", hidden=CompareRequest.hidden
)
train = verb_of(TrainRequest, _train, name="train", argument="data", hidden=TrainRequest.hidden)


def recipe(
    file: Annotated[Path, typer.Argument(help="A recipe, for instance recipes/mqar.toml.")],
    *,
    trust_code: Annotated[
        bool, typer.Option("--trust-code", help="Run the mixer or task that the recipe names.")
    ] = False,
) -> None:
    """Run a published setting and say whether the published figure is reached.

    Exit code 1 means that it ran and missed. Data are found through SEQARENA_DATA.
    """
    from seqarena import api

    if not api.recipe(file, trust_code=trust_code, console=progress_console()):
        raise typer.Exit(1)


def claims(
    only: Annotated[
        str | None, typer.Option(help="These claims only: NAME or NAME,NAME (see --list).")
    ] = None,
    full: Annotated[
        bool,
        typer.Option("--full/--quick", help="Larger models, longer, more seeds; or minutes."),
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Trainings at a time [cores]; timings run alone.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Where run folders live.")] = Path("runs"),
    list_claims: Annotated[
        bool, typer.Option("--list", help="One claim a line, name and title; measures nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """What the literature claims, measured here: each claim with its verdict and its figure.

    Every claim has an experiment and a criterion that was written before the run. --quick takes
    about a quarter of an hour on two cores; --full says beforehand how long it takes. Stop it at
    any time: what is measured is kept, and the same command goes on from there. A change of the
    code that measures or of the models measures again.

    It writes runs/claims-quick/report.html (or claims-full), from the records only.
    """
    from rich.console import Console

    from seqarena import api

    if list_claims:
        titles = api.claim_titles()
        if as_json:
            print_json(titles)
            return
        width = max(map(len, titles))
        for name, title in titles.items():
            print(f"{name:<{width}}  {title}")
        return
    judged = api.claims(
        None if only is None else names(only),
        scale="full" if full else "quick",
        jobs=jobs,
        runs=runs,
        console=progress_console(as_json),
    )
    if as_json:
        print(judged.view.model_dump_json(indent=1))
    else:
        Console().print(judged)
        say(f"report: {judged.page}")
    if judged.failed:
        Console(stderr=True).print(
            f"{judged.failed} part(s) failed: the same command tries them again", style="red"
        )
        raise typer.Exit(1)
