"""What a claim is: words, an experiment made of parts, and a judge that sees its records alone."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from seqarena.core.config import digest, load_object
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
        from seqarena.core.runtime import MEASURING_PACKAGES, code_digest

        return digest([self.function, self.arguments, code_digest(MEASURING_PACKAGES)])

    def run(self) -> list[Measurement]:
        """Calls it in this process."""
        return list(load_object(self.function)(**self.arguments))


class Claim(NamedTuple):
    """One claim. The criterion is written before the run and `judge` does what it says;
    what was changed after a run had been seen is told in `amended`."""

    name: str  # short and literal, for the command line
    title: str
    words: str
    source: str
    experiment: str
    criterion: str
    parts: Callable[[Scale], Sequence[Part]]
    judge: Callable[[Sequence[Measurement]], Judgement]
    amended: str = ""  # what of the criterion was changed once an earlier run had been seen
