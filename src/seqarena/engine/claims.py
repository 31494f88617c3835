"""The ledger of claims: what is missing is measured, and every claim gets its verdict."""

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from seqarena.arena.claims import ledger
from seqarena.arena.claims.claim import Claim, Part, Scale
from seqarena.arena.claims.parts import parts_of
from seqarena.arena.claims.read import read_ledger
from seqarena.arena.claims.run import Happening, missing_parts, run_parts, seconds_left
from seqarena.arena.folder import RunFolder, write_atomically
from seqarena.core.errors import unknown_name
from seqarena.core.ledger import LedgerView
from seqarena.core.runtime import available_cores
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

    def __init__(self, console: Console, parts: Sequence[Part], jobs: int) -> None:
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

    def show(self, happening: Happening) -> None:
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
        return seconds_left(list(self.left.values()), self.jobs)

    def _say(self, happening: Happening) -> None:
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


def part_label(part: Part) -> str:
    """What is measured of what, in a few words."""
    arguments = part.arguments
    words = [part.function.rpartition(":")[2].replace("_", " ")]
    words += [
        str(arguments[key]) for key in ("task", "architecture", "variant") if key in arguments
    ]
    return " ".join(words)


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


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
