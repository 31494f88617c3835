"""The command line: thin verbs in the order of the story. Torch is imported inside the verbs."""

import sys

import typer

from seqarena.cli import compare, recipe, show, single
from seqarena.core.errors import UserError

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
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verb in (
    show.models,
    compare.compare,
    single.train,
    single.evaluate,
    single.generate,
    show.report,
    recipe.recipe,
    show.check,
):
    app.command(context_settings={"help_option_names": ["-h", "--help"]})(verb)


def main() -> None:
    """The console script. A user's mistake is one line on standard error and exit code 2."""
    try:
        app()
    except UserError as error:
        print(f"seqarena: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nseqarena: stopped; nothing is lost, the same command goes on", file=sys.stderr)
        sys.exit(130)
