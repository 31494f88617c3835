"""How a kernel comes to be: compiled by numba at its first use, which is said, and kept.

    @compiled
    def advance(first, stop, h, a, ...): ...

The machine code lies in the user's cache folder, below a name made of the sources of all kernels:
numba itself looks only at the file of the function that is called, and would take an old one after
a change in a file that it calls. NUMBA_CACHE_DIR moves the folder. Where nothing can be written, a
process compiles for itself and says so.
"""

import functools
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import config as numba_config

from seqarena.core.runtime import COMPILATION
from seqarena.core.version import __version__

_CONFIG: Any = numba_config
SILENT_SECONDS = 0.5  # a compilation that takes no longer needs no word


class Kernel:
    """A function that is compiled when it meets arguments of new types."""

    def __init__(self, function: Callable[..., Any], fastmath: set[str]) -> None:
        self.name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
        self.folder = cache_folder()
        before = _CONFIG.CACHE_DIR  # read where a function is decorated; others keep theirs
        _CONFIG.CACHE_DIR = str(self.folder or "")
        try:
            make = numba.njit(
                cache=self.folder is not None,
                nogil=True,
                fastmath=fastmath,
                error_model="numpy",  # a check of every division would keep loops from vectorising
            )
            self.dispatcher: Any = make(function)
        finally:
            _CONFIG.CACHE_DIR = before

    def __call__(self, *arguments: Any) -> Any:
        known, start = len(self.dispatcher.overloads), time.perf_counter()
        result = self.dispatcher(*arguments)
        if len(self.dispatcher.overloads) != known:
            seconds = time.perf_counter() - start
            COMPILATION.seconds += seconds
            self._say(seconds)
        return result

    @property
    def is_new(self) -> bool:
        """Whether its first call will compile it."""
        return not self.dispatcher.overloads

    def _say(self, seconds: float) -> None:
        """Numba counts as misses what it had to compile."""
        if seconds < SILENT_SECONDS or not (
            self.folder is None or self.dispatcher.stats.cache_misses
        ):
            return
        kept = f"kept in {self.folder}" if self.folder else "for this process: no folder to keep it"
        print(f"compiled {self.name} in {seconds:.1f} s, {kept}", file=sys.stderr)


def compiled(function: Callable[..., Any]) -> Kernel:
    """A kernel of the function. A product and a sum may be rounded once (fma)."""
    return Kernel(function, {"contract"})


def compiled_with_sums(function: Callable[..., Any]) -> Kernel:
    """As `compiled`; and a sum over a loop may be taken in another order, one part in each lane of
    a vector register."""
    return Kernel(function, {"contract", "reassoc"})


@functools.cache
def cache_folder() -> Path | None:
    """Where the machine code of these sources lies; None where nothing can be written."""
    own = Path(__file__).parent
    sources = b"".join(path.read_bytes() for path in sorted(own.glob("*.py")))
    asked = os.environ.get("NUMBA_CACHE_DIR")
    above = Path(asked) if asked else _user_cache() / "seqarena"
    folder = above / f"kernels-{__version__}-{hashlib.sha256(sources).hexdigest()[:12]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return None


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
