"""What a claim is: words, an experiment made of parts, and a judge that sees its records alone."""

import functools
import hashlib
import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import seqarena
from seqarena.core.config import digest
from seqarena.core.ledger import Judgement
from seqarena.core.measurement import Measurement

Scale = Literal["quick", "full"]


class Part(NamedTuple):
    """One call of a measuring function in a process of its own: the smallest thing to resume by.

    The function is named, `package.module:function`, takes JSON values and returns measurements;
    claims that ask for an equal part share it. `seconds` is about how long it takes on one core of
    a laptop. A part that is a timing runs `alone`, with nothing beside it.
    """

    function: str
    arguments: dict[str, Any]
    seconds: float
    alone: bool = False

    @property
    def hash(self) -> str:
        """Names its records: the same call by the same code, that of measuring included."""
        from seqarena.core.runtime import code_digest

        return digest([self.function, self.arguments, code_digest(), _measuring_code()])

    def run(self) -> list[Measurement]:
        """Calls it in this process."""
        module, _, name = self.function.partition(":")
        return list(getattr(importlib.import_module(module), name)(**self.arguments))


class Claim(NamedTuple):
    """One claim. The criterion is written before the run and `judge` does what it says."""

    name: str  # short and literal, for the command line
    title: str
    words: str
    source: str
    experiment: str
    criterion: str
    parts: Callable[[Scale], Sequence[Part]]
    judge: Callable[[Sequence[Measurement]], Judgement]


@functools.cache
def _measuring_code() -> str:
    """Of the sources that measure; what they measure is in core.runtime.code_digest."""
    hasher = hashlib.sha256()
    for path in sorted((Path(seqarena.__file__).parent / "measure").rglob("*.py")):
        hasher.update(path.name.encode() + path.read_bytes())
    return hasher.hexdigest()[:8]
