"""Classes by their place, and whose code may run.

A place is `seqarena.module:Class`, or a user's own `path/to/file.py:Class` or
`package.module:Class`. Places are read from requests, but also from checkpoints and run folders,
which may come from elsewhere. The package's own classes load from any of them. A file or module
outside of the package loads only after the user named it in this process: `allow` is called for
what a request names, and for the code of a checkpoint that the user trusts.
"""

import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

from seqarena.core.errors import ChangedCodeWarning, UserError, one_line

Base = TypeVar("Base")
_PACKAGE = __name__.partition(".")[0]
_OF_THE_PACKAGE = re.compile(rf"{_PACKAGE}(?:\.[A-Za-z]\w*)+", re.ASCII)
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_NAMING_KEYS = ("mixer", "system", "kind")  # of a configuration whose value is a place


class _Allowed(NamedTuple):
    """Code that the user named. `digest` is the only content that may run; None: any."""

    place: str
    name: str
    digest: str | None


_ALLOWED: dict[str, _Allowed] = {}  # by file or module
_LOADED: dict[str, str] = {}  # file -> digest of the content that runs in this process
_CLASSES: dict[str, type] = {}  # by name; classes that the user passed


def allow(code: str | type, digest: str | None = None) -> None:
    """Lets a user's own code run in this process: a place, or a class that is loaded already.

    `digest` is that of the file's only content that may run; None is any, because the user names
    the file now. Raises UserError for a place that is not written as one, or whose file is missing.
    """
    if isinstance(code, type):
        _CLASSES[code.__name__] = code
        return
    place, name = _parts(code, "code")
    if _is_file(place) and not Path(place).is_file():
        raise UserError(f"file {place!r} does not exist")
    before = _ALLOWED.get(_key(place))
    if before is None or before.digest is not None or digest is None:
        _ALLOWED[_key(place)] = _Allowed(place, name, digest)


def is_own(specification: str) -> bool:
    """Whether a place names a user's own code: something outside of the package."""
    place = specification.rpartition(":")[0]
    return bool(place) and not _OF_THE_PACKAGE.fullmatch(place)


def own_places(value: Any) -> Iterator[tuple[str, str | None]]:
    """Each place of a user's own code in a configuration as JSON, with the recorded digest."""
    if isinstance(value, dict):
        for key in _NAMING_KEYS:
            if isinstance(value.get(key), str) and is_own(value[key]):
                yield value[key], value.get("source_digest")
        value = list(value.values())
    for inner in value if isinstance(value, list | tuple) else ():
        yield from own_places(inner)


def load_class(
    specification: str, base: type[Base], what: str, recorded_digest: str | None = None
) -> type[Base]:
    """The subclass of `base` that is named; `what` says in errors what it is for.

    `recorded_digest` is that of a user's file when the model was planned. Raises UserError when the
    code is not of the package and was not allowed, when the file, the module or the class is
    missing or abstract, or is no such subclass.
    """
    place, name = _parts(specification, what)
    found = load_named(specification, base, what, recorded_digest)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise UserError(
            f"{what} {specification!r}: {place} has no subclass of {base.__name__} named {name!r}"
        )
    if inspect.isabstract(found):
        missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        raise UserError(f"{what} {specification!r} is abstract: it does not define {missing}")
    return found


def load_named(
    specification: str, base: type, what: str, recorded_digest: str | None = None
) -> Any:
    """Whatever has that name at its place; None where nothing has. Raises UserError as `load_class`
    does, for all but the kind of thing that is found. `base` is that of a class that was passed."""
    place, name = _parts(specification, what)
    if _OF_THE_PACKAGE.fullmatch(place):
        return getattr(_module(place, what), name, None)
    if issubclass(_CLASSES.get(name, object), base):
        return _CLASSES[name]
    allowed = _allowed(place, name, recorded_digest)
    if allowed is None:
        raise UserError(
            f"{what} {specification!r} is code outside of seqarena: it runs only if you name "
            f"it yourself, --mixer {specification!r}, or say --trust-code"
        )
    place = allowed.place
    check_digest(place, recorded_digest)
    module = module_from_file(place, what) if _is_file(place) else _module(place, what)
    return getattr(module, name, None)


@contextmanager
def reporting(own: bool, what: str = "") -> Iterator[None]:
    """Where a user's own code runs inside, any error of it becomes a UserError of one line behind
    `what`. Without such code an error is a fault of the package and keeps its traceback."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if not own:
            raise
        raise UserError(f"{what}{one_line(error)}") from error


def own_digests(*values: Any) -> dict[str, str]:
    """Place -> digest of each user's file in these configurations as JSON, as it was loaded."""
    found: dict[str, str] = {}
    for specification, _ in own_places(list(values)):
        place = specification.rpartition(":")[0]
        if _is_file(place):
            found[specification] = _LOADED.get(_key(place)) or file_digest(place)
    return found


def file_digest(path: str | Path) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of a file's content."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


def check_digest(place: str, recorded: str | None) -> None:
    """Whether an allowed file is the one that was recorded. Warns where the user named the file,
    and raises UserError where only the recorded content was allowed."""
    allowed = _ALLOWED.get(_key(place))
    if allowed is None or not _is_file(place):
        return
    found = file_digest(place)
    if allowed.digest not in (None, found):
        raise UserError(
            f"{place} has changed: its digest is {found}, and {allowed.digest} was recorded; name "
            f"it with --mixer {place}:{allowed.name} to run it as it is"
        )
    if recorded not in (None, found):
        words = f"{place} has changed: its digest is {found}, and {recorded} was recorded"
        warnings.warn(words, ChangedCodeWarning, stacklevel=3)


def module_from_file(path: str, what: str) -> ModuleType:
    """Runs a user's file once a process and content. Raises UserError where it is missing or
    raises. The source itself is compiled: a stale or planted file of byte code is not read."""
    file = Path(path).resolve()
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{what} file {path!r} cannot be read: {error.strerror}") from error
    seed = str(file).encode() + content
    name = f"{_PACKAGE}_user_{file.stem}_{hashlib.sha256(seed).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_loader(name, loader=None, origin=str(file))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(file)
    sys.modules[name] = module
    try:
        exec(compile(content, str(file), "exec", dont_inherit=True), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UserError(f"{what} file {path!r}: {one_line(error)}") from error
    _LOADED[str(file)] = hashlib.sha256(content).hexdigest()[:16]
    return module


def _allowed(place: str, name: str, recorded: str | None) -> _Allowed | None:
    """What the user named for a place: the same file, or one that was moved: it has the recorded
    content, or else a class of that name."""
    if _key(place) in _ALLOWED:
        return _ALLOWED[_key(place)]
    named = [one for one in _ALLOWED.values() if one.name == name]
    same = [one for one in named if _is_file(one.place) and file_digest(one.place) == recorded]
    return next(iter([*same, *named]), None)


def _parts(specification: str, what: str) -> tuple[str, str]:
    """The file or module of a place, and the name of the class."""
    place, _, name = specification.rpartition(":")
    if not place or not name or not (_is_file(place) or _MODULE.fullmatch(place)):
        raise UserError(f"{what} {specification!r}: write it as file.py:Class")
    return place, name


def _module(name: str, what: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UserError(f"{what} module {name!r} cannot be imported: {error}") from error
    except (Exception, SystemExit) as error:
        raise UserError(f"{what} module {name!r}: {one_line(error)}") from error


def _key(place: str) -> str:
    return str(Path(place).resolve()) if _is_file(place) else place


def _is_file(place: str) -> bool:
    return place.endswith(".py")
