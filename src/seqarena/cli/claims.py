"""`seqarena claims`: the ledger of claims, measured here."""

import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from seqarena.arena.claims.claim import Claim, Part, Scale
    from seqarena.arena.claims.run import Happening
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
    from seqarena.arena.claims.parts import parts_of
    from seqarena.arena.claims.run import missing_parts, run_parts, seconds_left
    from seqarena.arena.folder import RunFolder
    from seqarena.core.runtime import available_cores

    jobs = jobs or available_cores()
    with RunFolder(folder).lock():
        parts = parts_of(chosen, scale)
        missing = missing_parts(folder, parts)
        console.print(
            f"{len(chosen)} claims, {len(parts)} parts, {len(parts) - len(missing)} stand"
            + (f"; about {_duration(seconds_left(missing, jobs))} to go" if missing else ""),
            highlight=False,
        )
        if not missing:
            return 0
        progress = _Progress(console, missing, jobs)
        with progress, closing(run_parts(folder, missing, jobs)) as happenings:
            for happening in happenings:
                progress.show(happening)
        return progress.failed


class _Progress:
    """A live line of what runs, a printed line for what is done, and the time left."""

    def __init__(self, console: "Console", parts: "Sequence[Part]", jobs: int) -> None:
        self.console, self.jobs = console, jobs
        self.left = {part.hash: part for part in parts}
        self.total, self.failed = len(parts), 0
        self.running: dict[str, Part] = {}
        self.began = time.monotonic()
        self.expected = self._seconds_left()
        self.status = console.status("starting")

    def __enter__(self) -> "_Progress":
        self.status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.status.stop()

    def show(self, happening: "Happening") -> None:
        part = happening.part
        if part is not None and happening.kind == "started":
            self.running[part.hash] = part
        elif part is not None:
            self.running.pop(part.hash, None)
            self.left.pop(part.hash, None)
            self._say(happening)
        names = ", ".join(part_label(part) for part in self.running.values())
        self.status.update(f"{self.total - len(self.left)}/{self.total}, {self.time_left}: {names}")

    @property
    def time_left(self) -> str:
        """By the estimates of what is left, corrected by how those of what is done came out."""
        left, spent = self._seconds_left(), time.monotonic() - self.began
        done = self.expected - left
        pace = spent / done if done > 0.1 * self.expected else 1.0
        return f"about {_duration(left * pace)} left"

    def _seconds_left(self) -> float:
        from seqarena.arena.claims.run import seconds_left

        return seconds_left(list(self.left.values()), self.jobs)

    def _say(self, happening: "Happening") -> None:
        assert happening.part is not None
        count = f"{self.total - len(self.left)}/{self.total}"
        label = part_label(happening.part)
        if happening.error is None:
            self.console.print(
                f"{count}  {label}  {_duration(happening.seconds)}; {self.time_left}",
                highlight=False, style="dim", soft_wrap=True,
            )  # fmt: skip
        else:
            self.failed += 1
            self.console.print(
                f"{count}  {label} failed: {happening.error}",
                highlight=False, style="red", soft_wrap=True, markup=False,
            )  # fmt: skip


def part_label(part: "Part") -> str:
    """What is measured of what, in a few words."""
    arguments = part.arguments
    words = [part.function.rpartition(":")[2].replace("_", " ")]
    words += [
        str(arguments[key]) for key in ("task", "architecture", "variant") if key in arguments
    ]
    return " ".join(words)


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
    from seqarena.arena.folder import write_atomically
    from seqarena.measure.complexity import catalog_rows
    from seqarena.report.claims.page import render_ledger

    page = folder / "report.html"
    write_atomically(page, render_ledger(view, catalog_rows()))
    return page


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
