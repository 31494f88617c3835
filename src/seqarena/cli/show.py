"""`seqarena models`, `tasks`, `report`, `check`: what there is, was found, and must hold."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from seqarena.cli.output import AsJson, OwnCode, TrustCode, print_json
from seqarena.core.errors import UserError


def models(as_json: AsJson = False) -> None:
    """The catalog: every architecture, its idea, and what a layer of it costs.

    The columns are those of Table 1 of "Attention Is All You Need", for every architecture:
    T is the sequence length, D the width, N the state size, W the window, K the kernel.
    """
    from rich.console import Console

    from seqarena import api
    from seqarena.core import words
    from seqarena.report.tables import models_table

    rows = api.models()
    if as_json:
        print_json(rows)
        return
    console = Console()
    console.print(models_table(rows))
    console.print(f"\n{words.AN_ENTRY.replace('`', '')}", highlight=False, markup=False)


def tasks(
    name: Annotated[str | None, typer.Argument(help="One task: its settings and defaults.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """What can be asked, each with what to beat and its settings: --task NAME --set key=value."""
    from rich.console import Console

    from seqarena import api
    from seqarena.report.tables import settings_table, tasks_table
    from seqarena.tasks.baselines.catalog import baseline_rows

    ideas = api.tasks()
    settings = {} if name is None else api.tasks(name)
    if as_json:
        print_json(
            ideas
            if name is None
            else {
                key: {"default": default, "help": words}
                for key, (default, words) in settings.items()
            }
        )
        return
    console = Console()
    to_beat = {kind: ", ".join(row.name for row in baseline_rows(kind)) for kind in ideas}
    if name is None:
        lines = {kind: f"{idea}\nto beat: {to_beat[kind]}" for kind, idea in ideas.items()}
        console.print(tasks_table(lines))
        return
    console.print(tasks_table({name: ideas[name]}))
    console.print()
    console.print(settings_table(settings))
    console.print("\nbaselines, computed before anything is trained:")
    console.print(tasks_table({row.name: row.idea for row in baseline_rows(name)}))


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
    live_megabytes: Annotated[
        float,
        typer.Option(
            min=0,
            help="Of the page, at most, for language models that run in it: type a text, see what "
            "they expect and what moves inside. 0 leaves them out.",
        ),
    ] = 2.0,
    mixer: OwnCode = None,
    trust_code: TrustCode = False,
    as_json: AsJson = False,
) -> None:
    """Draw a folder's page again from its records, and print its table.

    The page is one file that needs no network: seqarena report runs/my_text --open
    """
    from rich.console import Console

    from seqarena import api

    if serve:
        with api.page_server(
            run, port, mixer=mixer or (), trust_code=trust_code, live_megabytes=live_megabytes
        ) as server:
            _serve(server, run, open_page)
        return
    if mixer or trust_code:
        raise UserError(
            "a report is drawn from records and runs no code: --mixer and --trust-code "
            "are for --serve, whose sentences are read by the models"
        )
    page = api.report(run, live_megabytes=live_megabytes)
    is_run = (run / "plan.json").exists()
    if as_json:
        print_json(api.open_run(run).summary() if is_run else {"report": str(page)})
    else:
        if is_run:
            Console().print(api.open_run(run))
        print(f"report: {page}")
    if open_page:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())


def _serve(server: Any, run: Path, open_page: bool) -> None:
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
    *,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    dtype: Annotated[
        str, typer.Option(help="float64, float32, or bfloat16 (autocast, as it is trained).")
    ] = "float64",
) -> None:
    """Run the whole contract suite on a mixer: causality, splitting, decoding, padding, gradients,
    algorithms, state bytes, saving and costs, by every algorithm that runs on the device."""
    from seqarena import api

    failed, heading = 0, ""
    for result in api.check(mixer, device=device, dtype=dtype):
        if result.mixer != heading:
            heading = result.mixer
            print(f"{heading}, algorithms {', '.join(result.algorithms)}")
        failed += result.failure is not None
        outcome = "ok" if result.failure is None else f"FAILED: {result.failure}"
        print(f"  {result.name:<12} {outcome}  ({result.seconds:.1f} s)", flush=True)
    if failed:
        print(f"{failed} check(s) failed", file=sys.stderr)
        raise typer.Exit(1)
