"""What every verb shares: quiet or verbose, text or JSON, and one line for a mistake, for a disk
that refuses and for memory that does not suffice."""

import contextlib
import functools
import inspect
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console

from seqarena.core.errors import UserError, is_out_of_memory


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
OwnCode = Annotated[
    list[str] | None,
    typer.Option(
        "--mixer",
        help="Your own mixer or task that the run was trained with, my_file.py:MyClass: a run or "
        "checkpoint runs no code by itself. Repeatable.",
    ),
]
TrustCode = Annotated[
    bool,
    typer.Option(
        "--trust-code",
        help="Run the code that the checkpoint names, where its digest is the recorded one.",
    ),
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
            sys.stdout.flush()
        except KeyboardInterrupt as stop:
            complain("\nseqarena: stopped; the same command goes on from here")
            raise typer.Exit(128 + getattr(stop, "number", signal.SIGINT)) from None
        except BrokenPipeError:
            raise  # click ends the program without a word: the reader has what it wanted
        except Exception as error:
            words = _words(error)
            if words is None:
                raise  # a fault of ours: the traceback is what a report of it needs
            if _VERBOSITY.get().verbose:
                complain(traceback.format_exc().rstrip())
            complain(f"seqarena: {words}")
            raise typer.Exit(2) from None

    own = [parameter.replace(kind=keyword) for parameter in signature.parameters.values()]
    parameters = [*own, *extra]
    verb.__dict__["__signature__"] = signature.replace(parameters=parameters)
    return verb


def complain(text: str) -> None:
    """A line on standard error, where that can be written."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def _words(error: Exception) -> str | None:
    """What the user can mend, in one line; None for anything else."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError):
        place = "standard output" if _output_refused() else error.filename
        reason = error.strerror or _first_line(error)
        return f"{place or 'cannot read or write'}: {reason}"
    beyond = isinstance(error, RuntimeError) and _BEYOND_MEMORY in str(error)
    if beyond or is_out_of_memory(error):
        return _no_memory(error)
    if type(error).__name__ in _DISK_ERRORS:
        return f"the disk refused: {_first_line(error)}"
    return None


_BEYOND_MEMORY = "Storage size calculation overflowed"  # of torch: more than can be addressed
_DISK_ERRORS = ("SafetensorError", "OperationalError")  # of safetensors and sqlite3


def _no_memory(error: Exception) -> str:
    return (
        "not enough memory: ask for a smaller batch, a smaller model, or shorter sequences "
        f"({_first_line(error)[:100] or type(error).__name__})"
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else ""


def _output_refused() -> bool:
    """Whether standard output takes nothing any more. What it still holds is thrown away then, so
    that the interpreter does not try once more when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return True
    return False
