"""The ledger of claims: what is missing is measured, and every claim gets its verdict."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from seqarena.arena.folder import RunFolder
from seqarena.claims import contents as ledger
from seqarena.claims.claim import Claim, Scale
from seqarena.claims.parts import jobs_of, missing_jobs
from seqarena.claims.read import read_ledger
from seqarena.claims.run import run_parts
from seqarena.core.cores import chosen_cores
from seqarena.core.errors import unknown_name
from seqarena.core.results.verdicts import LedgerView
from seqarena.core.words import duration
from seqarena.jobs.display import Display
from seqarena.jobs.executor import seconds_of
from seqarena.jobs.files import write_atomically
from seqarena.measure.complexity import catalog_rows
from seqarena.report.claims.page import render_ledger


class Judged:
    """The ledger after a run: every claim's verdict, the page, and how many parts failed."""

    def __init__(self, view: LedgerView, chosen: Sequence[str], page: Path, failed: int) -> None:
        self.view, self.page, self.failed = view, page, failed
        self.chosen = tuple(chosen)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield ledger_table(self.view, self.chosen)


def claims(
    console: Console,
    *,
    only: Sequence[str] | None = None,
    scale: Scale = "quick",
    jobs: int | None = None,
    runs: Path = Path("runs"),
) -> Judged:
    """Runs the parts that are missing and judges; `only` names claims. Writes the page.

    Raises UserError for an unknown claim.
    """
    chosen = choose(only)
    folder = runs / f"claims-{scale}"
    failed = _measure(console, folder, chosen, scale, jobs)
    view = read_ledger(folder, scale, ledger.CLAIMS)
    page = folder / "report.html"
    write_atomically(page, render_ledger(view, catalog_rows()))
    return Judged(view, [claim.name for claim in chosen], page, failed)


def choose(only: Sequence[str] | None) -> Sequence[Claim]:
    """The claims of these names, or all, in the order of the ledger."""
    if only is None:
        return ledger.CLAIMS
    by_name = {claim.name: claim for claim in ledger.CLAIMS}
    for name in only:
        if name not in by_name:
            raise unknown_name("claim", name, by_name)
    return [claim for claim in ledger.CLAIMS if claim.name in only]


def _measure(
    console: Console,
    folder: Path,
    chosen: Sequence[Claim],
    scale: Scale,
    jobs: int | None,
) -> int:
    """Runs what is missing and says so; the number of parts that failed."""
    workers = jobs or chosen_cores().count
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


def ledger_table(view: LedgerView, names: Sequence[str]) -> Table:
    """Name, verdict and figure of those claims; remarks are on the page."""
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
