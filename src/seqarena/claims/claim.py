"""What a claim is: words, an experiment made of parts, and a judge that sees records only."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from seqarena.claims.enough import STEADY, disturbed, is_timing, missing_repeats
from seqarena.core import words
from seqarena.core.config import load_object
from seqarena.core.errors import UserError
from seqarena.core.results.measurement import Measurement
from seqarena.core.results.verdicts import Judgement
from seqarena.jobs.job import Job, Needs

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

    def job(self) -> Job:
        """The part as a job. Its key is that of the same call by the same sources."""
        from seqarena.measure.calls import measuring_key  # here: listing claims loads no torch

        threads = self.arguments.get("threads", 1) if self.alone else None
        return Job(
            key=measuring_key(self.function, self.arguments, threads=threads),
            function=f"{__name__}:run_part",
            arguments={"function": self.function, "arguments": self.arguments},
            label=self.label,
            needs=Needs(alone=self.alone, seconds=self.seconds),
        )

    @property
    def label(self) -> str:
        """What is measured of what, in a few words."""
        words = [self.function.rpartition(":")[2].replace("_", " ")]
        words += [
            str(self.arguments[key])
            for key in ("task", "architecture", "variant")
            if key in self.arguments
        ]
        return " ".join(words)


def run_part(function: str, arguments: dict[str, Any]) -> list[str]:
    """The measurements of one call as lines of JSON. Raises UserError where there are none."""
    lines = [found.model_dump_json() for found in load_object(function)(**arguments)]
    if not lines:
        raise UserError("nothing was measured")
    return lines


class Claim(NamedTuple):
    """One claim. The criterion is written before the run and `judge` does what it says of records
    that are enough; `amended` says what was changed after a run had been seen. `judged` is the
    verdict."""

    name: str  # short and literal, for the command line
    title: str
    words: str
    source: str
    experiment: str
    criterion: str
    parts: Callable[[Scale], Sequence[Part]]
    judge: Callable[[Sequence[Measurement]], Judgement]
    amended: str = ""  # what of the criterion was changed once an earlier run had been seen
    repeats: Mapping[str, int] = {}  # quantity -> seeds or timings that a verdict needs at a point
    chart: str = ""  # the quantity that the page draws beside the answer; else the first of these

    def judged(self, records: Sequence[Measurement]) -> Judgement:
        """The verdict, "not measured yet" with what is missing included."""
        missing = missing_repeats(records, self.repeats) or disturbed(records, self.repeats)
        if missing:
            return not_yet(missing)
        try:
            return self.judge(records)
        except UserError as error:
            return not_yet(str(error))

    @property
    def rule(self) -> str:
        """The criterion with the repeats that it needs."""
        if not self.repeats:
            return self.criterion
        needed = words.listed(
            [f"{number} of {words.of_name(name)}" for name, number in self.repeats.items()]
        )
        quiet = (
            f" Timings of one point that differ by more than {STEADY:g} times decide nothing."
            if any(map(is_timing, self.repeats))
            else ""
        )
        return (
            f"{self.criterion} Needs equally many repeats at every point, at least {needed}.{quiet}"
        )


def not_yet(why: str) -> Judgement:
    """The verdict of records that are not enough."""
    return Judgement(verdict="not measured yet", figure=why, answer=why)
