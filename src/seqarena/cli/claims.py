"""`seqarena claims`: the ledger of claims, measured here."""

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from seqarena.arena.claims.claim import Claim, Scale
    from seqarena.core.ledger import LedgerView


def claims(
    only: Annotated[
        str | None, typer.Option(help="These claims alone: NAME or NAME,NAME (see --list).")
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
    json: Annotated[
        bool, typer.Option("--json", help="The ledger as JSON on standard output.")
    ] = False,
) -> None:
    """What the literature claims, measured here: each claim with its verdict and its figure.

    Every claim has an experiment and a criterion that was written before the run. --quick takes
    about a quarter of an hour on two cores; --full says beforehand how long it takes. Stop it at
    any time: what is measured stands, and the same command goes on from there. A change of the
    code that measures or of the models measures again.

    It writes runs/claims-quick/report.html (or claims-full), from the records alone.
    """
    if list_claims:
        _list()
        return
    from rich.console import Console

    from seqarena.arena.claims.ledger import CLAIMS
    from seqarena.arena.claims.read import read_ledger

    scale: Scale = "full" if full else "quick"
    chosen = _chosen(only)
    folder = runs / f"claims-{scale}"
    console = Console(stderr=json)
    failed = _measure(console, folder, chosen, scale, jobs)
    view = read_ledger(folder, scale, CLAIMS)
    page = _write_page(folder, view)
    if json:
        sys.stdout.write(view.model_dump_json(indent=1) + "\n")
    else:
        console.print(ledger_table(view, [claim.name for claim in chosen]))
    console.print(f"report: {page}", highlight=False, soft_wrap=True)
    if failed:
        console.print(f"{failed} part(s) failed: the same command tries them again", style="red")
        raise typer.Exit(1)


def _list() -> None:
    from seqarena.arena.claims.ledger import CLAIMS

    width = max(len(claim.name) for claim in CLAIMS)
    for claim in CLAIMS:
        print(f"{claim.name:<{width}}  {claim.title}")


def _chosen(only: str | None) -> "Sequence[Claim]":
    from seqarena.arena.claims.ledger import CLAIMS
    from seqarena.core.errors import unknown_name

    if only is None:
        return CLAIMS
    by_name = {claim.name: claim for claim in CLAIMS}
    names = [name.strip() for name in only.split(",") if name.strip()]
    for name in names:
        if name not in by_name:
            raise unknown_name("claim", name, by_name)
    return [claim for claim in CLAIMS if claim.name in names]


def _measure(
    console: "Console",
    folder: Path,
    chosen: "Sequence[Claim]",
    scale: "Scale",
    jobs: int | None,
) -> int:
    """Runs what is missing and says so; the number of parts that failed."""
    from seqarena.arena.claims.parts import jobs_of, missing_jobs
    from seqarena.arena.claims.run import run_parts
    from seqarena.arena.folder import RunFolder
    from seqarena.core.runtime import available_cores
    from seqarena.jobs.display import Display, duration
    from seqarena.jobs.executor import seconds_of

    workers = jobs or available_cores()
    with RunFolder(folder).lock():
        parts = jobs_of(chosen, scale)
        missing = missing_jobs(folder, parts)
        seconds = seconds_of(missing, workers)
        console.print(
            f"{len(chosen)} claims, {len(parts)} parts, {len(parts) - len(missing)} stand"
            + (f"; about {duration(seconds)} to go" if missing else ""),
            highlight=False,
        )
        display = Display(
            console, total=len(missing), workers=workers, expected_seconds=seconds, noun="parts"
        )
        with display, closing(run_parts(folder, missing, workers)) as events:
            for event in events:
                display.show(event)
        return display.failed


def ledger_table(view: "LedgerView", names: Sequence[str]) -> "Table":
    """Name, verdict and figure of those claims; remarks are on the page."""
    from rich.table import Table
    from rich.text import Text

    colours = {
        "holds": "green",
        "holds within limits": "yellow",
        "does not hold": "red",
    }
    table = Table(show_lines=True)
    table.add_column("claim", no_wrap=True)
    table.add_column("verdict")
    table.add_column("figure")
    for claim in view.claims:
        if claim.name in names:
            found = claim.judgement
            verdict = Text(found.verdict, style=colours.get(found.verdict, "dim"))
            table.add_row(claim.name, verdict, Text(f"{claim.title}\n{found.figure}"))
    return table


def _write_page(folder: Path, view: "LedgerView") -> Path:
    from seqarena.jobs.files import write_atomically
    from seqarena.measure.complexity import catalog_rows
    from seqarena.report.ledger import render_ledger

    page = folder / "report.html"
    write_atomically(page, render_ledger(view, catalog_rows()))
    return page
