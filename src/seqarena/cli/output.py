"""What every verb shares: quiet or verbose, text or JSON, and one line for a mistake."""

import contextlib
import functools
import inspect
import json
import signal
import sys
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console

from seqarena.core.errors import UserError


class Verbosity(NamedTuple):
    """What the user asked to see."""

    quiet: bool = False
    verbose: bool = False


_NORMAL = Verbosity()
_VERBOSITY: ContextVar[Verbosity] = ContextVar("verbosity", default=_NORMAL)
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the result only.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show where in the code a mistake was found.")
]
AsJson = Annotated[bool, typer.Option("--json", help="The result as JSON, for programs.")]


def progress_console(as_json: bool = False) -> Console:
    """Where progress is said: standard error where standard output is for programs."""
    return Console(stderr=as_json, quiet=_VERBOSITY.get().quiet)


def say(text: str) -> None:
    """One line that is not the result; -q leaves it out."""
    if not _VERBOSITY.get().quiet:
        print(text)


def print_json(value: Any) -> None:
    """Indented JSON on standard output; letters of all scripts as they are, where it is UTF-8."""
    print(json.dumps(value, indent=1, ensure_ascii=not writes_utf8(), default=str))


def writes_utf8() -> bool:
    """Whether standard output takes every letter; a pipe on Windows may not."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def as_verb(function: Callable[..., Any]) -> Callable[..., Any]:
    """The verb with -q and -v, and with a mistake said in one line, exit code 2."""
    signature = inspect.signature(function)
    keyword = inspect.Parameter.KEYWORD_ONLY
    extra = [
        inspect.Parameter("quiet", keyword, default=False, annotation=Quiet),
        inspect.Parameter("verbose", keyword, default=False, annotation=Verbose),
    ]

    @functools.wraps(function)
    def verb(**given: Any) -> None:
        _VERBOSITY.set(Verbosity(given.pop("quiet"), given.pop("verbose")))
        try:
            function(**given)
        except UserError as error:
            if _VERBOSITY.get().verbose:
                traceback.print_exc()
            print(f"seqarena: {error}", file=sys.stderr)
            raise typer.Exit(2) from None
        except KeyboardInterrupt as stop:
            with contextlib.suppress(OSError):  # the terminal may be gone (SIGHUP)
                print("\nseqarena: stopped; the same command goes on from here", file=sys.stderr)
            raise typer.Exit(128 + getattr(stop, "number", signal.SIGINT)) from None

    own = [parameter.replace(kind=keyword) for parameter in signature.parameters.values()]
    parameters = [*own, *extra]
    verb.__dict__["__signature__"] = signature.replace(parameters=parameters)
    return verb
