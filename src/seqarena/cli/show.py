"""`seqarena models`, `tasks`, `report`, `check`: what there is, was found, and must hold."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from seqarena.mixers.base import Mixer, MixerConfig


def models(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """The catalog: every architecture, its paper, and what a layer of it costs.

    The columns are those of Table 1 of "Attention Is All You Need", for every architecture:
    T is the sequence length, D the width, N the state size, W the window, K the kernel.
    """
    from rich.console import Console
    from rich.table import Table

    from seqarena.measure.complexity import catalog_rows

    rows = catalog_rows()
    if as_json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False, title_justify="left")
    for heading in (
        "name",
        "year",
        "work a layer",
        "serial steps",
        "longest path",
        "state",
        "idea",
    ):
        table.add_column(heading, overflow="fold")
    for name, row in rows.items():
        table.add_row(
            name, str(row["year"]), row["work"], row["serial_steps"], row["path_length"],
            row["state"], row["idea"],
        )  # fmt: skip
    Console().print(table)


def tasks(
    name: Annotated[str | None, typer.Argument(help="One task: its settings and defaults.")] = None,
) -> None:
    """What can be asked, each with its settings: --task NAME --set key=value."""
    from seqarena.core.errors import unknown_name
    from seqarena.tasks.registry import TASKS, settings_of

    if name is not None and name not in TASKS:
        raise unknown_name("task", name, TASKS)
    for kind, idea in TASKS.items():
        if name in (None, kind):
            print(f"{kind:<20} {idea}")
    if name is not None:
        for field, (default, words) in settings_of(name).items():
            print(f"  {field:<22} {default!s:<16} {words}")


def report(
    run: Annotated[
        Path,
        typer.Argument(help="A folder of runs/: a comparison, measurements, or claims."),
    ],
    *,
    open_page: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    serve: Annotated[
        bool,
        typer.Option(
            "--serve",
            help="Serve it to this machine: it follows a run in progress, and sentences can be "
            "typed into the attention explorer. Ctrl-C ends it.",
        ),
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="To serve at; 0 takes a free one.")
    ] = 8000,
) -> None:
    """Draw a folder's page again from its records, and print its table.

    The page is one file that needs no network: seqarena report runs/my_text --open
    """
    from rich.console import Console

    from seqarena.arena.folder import RunFolder
    from seqarena.arena.view import read_run
    from seqarena.cli.pages import kind_of, page_of
    from seqarena.jobs.files import write_atomically
    from seqarena.report.tables import ranking_table

    folder = RunFolder(run)
    if serve:
        _serve(run, port, open_page)
        return
    write_atomically(folder.report_path, page_of(run))
    if kind_of(run) == "comparison":
        Console().print(ranking_table(read_run(folder)))
    print(f"report: {folder.report_path}")
    if open_page:
        import webbrowser

        webbrowser.open(folder.report_path.resolve().as_uri())


def _serve(run: Path, port: int, open_page: bool) -> None:
    from seqarena.cli.serve import PageServer

    with PageServer(run, port) as server:
        print(f"serving {run} at {server.address} (Ctrl-C ends it)", flush=True)
        if open_page:
            import webbrowser

            webbrowser.open(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("\nstopped serving")


def check(
    mixer: Annotated[str, typer.Argument(help="my_file.py:MyMixer, or a name of the catalog.")],
) -> None:
    """Run the whole contract suite on a mixer: causality, splitting, decoding, padding, gradients,
    algorithms, state bytes, saving and costs."""
    from seqarena.mixers.contract import CHECKS, ContractError, subject

    failed = 0
    for name, mixer_class, config in _layers(mixer):
        print(f"{name}: {mixer_class.__name__}")
        under_test = subject(mixer_class, config)
        print(f"  width {under_test.width}, algorithms {', '.join(under_test.algorithms())}")
        for check_name, run_check in CHECKS.items():
            start = time.perf_counter()
            try:
                run_check(under_test)
                outcome = "ok"
            except ContractError as error:
                outcome = f"FAILED: {error}"
                failed += 1
            except Exception as error:  # the mixer's own: it is what is being checked
                outcome = f"FAILED: {type(error).__name__}: {error}"
                failed += 1
            print(
                f"  {check_name:<12} {outcome}  ({time.perf_counter() - start:.1f} s)", flush=True
            )
    if failed:
        print(f"{failed} check(s) failed", file=sys.stderr)
        raise typer.Exit(1)


def _layers(mixer: str) -> "list[tuple[str, type[Mixer], MixerConfig]]":
    """(name, class, configuration) of each different layer that the argument names."""
    from seqarena.models.catalog import architecture
    from seqarena.models.stack import load_mixer

    if ":" in mixer:
        mixer_class = load_mixer(mixer)
        return [(mixer, mixer_class, mixer_class.Config())]
    cycle = architecture(mixer).cycle
    classes = [(load_mixer(place), options) for place, options in cycle]
    return [(mixer, found, found.Config(**options)) for found, options in classes]
