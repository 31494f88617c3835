"""What a user is told when something is wrong: one clear line, exit code 2, no traceback."""

import difflib
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_NO_LETTERS = ("Cc", "Cs", "Zl", "Zp")  # of Unicode: control, half of a pair, line, paragraph
_NO_MEMORY = (  # of torch's allocators: Linux, Windows, other devices
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "out of memory",
)


class UserError(Exception):
    """A mistake the user can mend. The message says what was wrong and what would be right.

    What a user's data put into it stays one line: signs that control a terminal are written out.

    >>> print(UserError("no column 'a\\x1b[2J\\n'"))
    no column 'a\\x1b[2J\\n'
    """

    def __init__(self, message: str) -> None:
        super().__init__(message if message.isprintable() else "".join(map(_written, message)))


def _written(sign: str) -> str:
    if unicodedata.category(sign) in _NO_LETTERS:
        return sign.encode("unicode_escape").decode()
    return sign


class ChangedCodeWarning(UserWarning):
    """A user's own file is not the one that a model was trained with."""


def one_line(error: BaseException) -> str:
    """An error's kind and message without line breaks.

    >>> one_line(ValueError("first\\nsecond"))
    'ValueError: first second'
    """
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def in_words(error: BaseException) -> str:
    """What a user is told of an error: a UserError's message, and of any other its kind as well."""
    return str(error) if isinstance(error, UserError) else one_line(error)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of Python or torch (by its name: torch need not be here) says that memory
    could not be had, on any device."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(s in str(error).lower() for s in _NO_MEMORY)


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a misspelt name, with the nearest known ones.

    >>> str(unknown_name("architecture", "lstn", ["lstm", "gru"]))
    "unknown architecture 'lstn': did you mean lstm?"
    """
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(known)}"
    return UserError(f"unknown {kind} {name!r}: {hint}")


def missing_extra(package: str, extra: str, purpose: str) -> UserError:
    """The error for an optional package that is missing, with the command that installs it."""
    return UserError(f"{purpose} needs the package {package!r}: pip install 'seqarena[{extra}]'")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """An OSError inside that names no file, as writing to a full disk raises it, names `path`; so
    does one of a file `path.*`, which is written to become `path`."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and not str(error.filename).startswith(f"{path}."):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
