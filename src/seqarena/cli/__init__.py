"""The command line: thin verbs in the order of the story. Torch is imported inside the verbs."""

import io
import os
import sys
import warnings
from typing import Annotated, Any

import typer

from seqarena.cli import compare, forecast, measure, serve, show, use
from seqarena.cli.output import as_verb
from seqarena.core.errors import ChangedCodeWarning

_HELP = {"help_option_names": ["-h", "--help"]}
app = typer.Typer(
    name="seqarena",
    help=(
        "Which sequence architecture to use, settled by measurement.\n\n"
        "Train every architecture, from the recurrent network to the Transformer and state-space "
        "models, on your own data, at equal size and equal cost; see who wins, whether that is "
        "noise, and what each costs; then generate from the winner.\n\n"
        "Start with:  seqarena compare my_text.txt"
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=_HELP,
)
for verb in (
    show.models,
    show.tasks,
    compare.compare,
    compare.train,
    forecast.forecast,
    use.evaluate,
    use.predict,
    use.embed,
    use.generate,
    use.export,
    serve.serve,
    show.report,
    compare.recipe,
    compare.claims,
    show.check,
):
    app.command(context_settings=_HELP)(as_verb(verb))
measuring = typer.Typer(no_args_is_help=True, rich_markup_mode=None, context_settings=_HELP)
app.add_typer(measuring, name="measure", help=measure.HELP)
for verb in measure.VERBS:
    measuring.command(context_settings=_HELP)(as_verb(verb))


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        import seqarena

        print(f"seqarena {seqarena.__version__} (torch {version('torch')})")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """The console script. A letter that standard output does not know becomes a question mark. A
    stream that was closed before the start takes and gives nothing. What the user is warned of is
    one line."""
    plain = warnings.formatwarning

    def one_line(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> str:
        if issubclass(category, ChangedCodeWarning):
            return f"seqarena: {message}\n"
        return plain(message, category, *place, **more)

    warnings.formatwarning = one_line
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(nowhere, mode, encoding="utf-8"))
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    app()
