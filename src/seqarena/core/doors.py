"""Rooms that are verbs as well: `seqarena.measure` is a package, and calling it measures.

The import system binds a package's name in its parent, where the front door has a function of the
same name. Such a package is made callable: `seqarena.measure("speed")` is `seqarena.api.measure`.
"""

import importlib
import sys
from types import ModuleType
from typing import Any

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py


class CallableModule(ModuleType):
    """A module that passes calls on to the function of its name in `seqarena.api`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        package, _, verb = self.__name__.partition(".")
        return getattr(importlib.import_module(f"{package}.api"), verb)(*args, **kwargs)


def make_callable(name: str) -> None:
    """Makes the module of that name callable."""
    sys.modules[name].__class__ = CallableModule
