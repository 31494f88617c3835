"""Classes by their place: `package.module:Class`, or a user's own `path/to/file.py:Class`."""

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from seqarena.core.errors import UserError

Base = TypeVar("Base")


def load_class(specification: str, base: type[Base], what: str) -> type[Base]:
    """The subclass of `base` that is named; `what` says in errors what it is for.

    Raises UserError when the file, the module or the class is missing, or is no such subclass.
    """
    place, _, name = specification.rpartition(":")
    if not place:
        raise UserError(f"{what} {specification!r}: write it as file.py:Class")
    module = module_from_file(place, what) if place.endswith(".py") else _module(place, what)
    found = getattr(module, name, None)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise UserError(
            f"{what} {specification!r}: {place} has no subclass of {base.__name__} named {name!r}"
        )
    return found


def _module(name: str, what: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UserError(f"{what} module {name!r} cannot be imported: {error}") from error


def module_from_file(path: str, what: str) -> ModuleType:
    """Imports a user's file once a process. Raises UserError where it is missing or raises."""
    file = Path(path).resolve()
    if not file.is_file():
        raise UserError(f"{what} file {path!r} does not exist")
    name = f"seqarena_user_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise UserError(f"{what} file {path!r}: {type(error).__name__}: {error}") from error
    return module
