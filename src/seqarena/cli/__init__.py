"""The command line: thin verbs in the order of the story. Torch is imported inside the verbs."""

import functools
import sys
from collections.abc import Callable
from typing import Any

import typer

from seqarena.cli import claims, compare, measure, recipe, show, single
from seqarena.core.errors import UserError


def _plainly(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The verb with a user's mistake told in one line, exit code 2, and no traceback."""

    @functools.wraps(verb)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            verb(*args, **kwargs)
        except UserError as error:
            print(f"seqarena: {error}", file=sys.stderr)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            print("\nseqarena: stopped; the same command goes on from here", file=sys.stderr)
            raise typer.Exit(130) from None

    return wrapped


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
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verb in (
    show.models,
    show.tasks,
    compare.compare,
    single.train,
    single.evaluate,
    single.predict,
    single.generate,
    show.report,
    recipe.recipe,
    claims.claims,
    show.check,
):
    app.command(context_settings=_HELP)(_plainly(verb))
measuring = typer.Typer(no_args_is_help=True, rich_markup_mode=None, context_settings=_HELP)
app.add_typer(measuring, name="measure", help=measure.HELP)
for verb in measure.VERBS:
    measuring.command(context_settings=_HELP)(_plainly(verb))


def main() -> None:
    """The console script."""
    app()
