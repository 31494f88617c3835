"""The measuring phase: what is counted of every architecture, then rounds of timings.

A round times every architecture once, so that what disturbs the machine hits all alike. A repeat
during which others took more than a tenth of the cores is disturbed: it is kept in the record and
taken again, up to a number of repeats and of seconds, and until a whole round finds the machine
busy. Costs with too few undisturbed repeats are marked, and decide nothing.
"""

import statistics
import time
from collections.abc import Generator
from typing import Any, NamedTuple

from seqarena.arena.folder import RunFolder
from seqarena.arena.plan import Entry, Plan, model_places
from seqarena.core.batch import Problem
from seqarena.core.cores import BUSY_SHARE
from seqarena.core.results.measurement import Series, append_measurements
from seqarena.core.user_code import own_places, reporting
from seqarena.jobs.executor import run_jobs
from seqarena.jobs.inline import Inline
from seqarena.jobs.job import Event, Job, Needs, TimingMachine, job_key
from seqarena.measure.costs.costs import CostSubject, exact_costs, timed_costs
from seqarena.models.any import parse_config
from seqarena.train.config import OptimizerConfig

REPEATS = 5  # the lowest and the highest of five hold the median in 15 of 16 cases
ENOUGH = 3  # undisturbed repeats, with which a cost still counts
TRAINING_SECONDS = 0.4  # that the timing of training fills in one repeat
MOST_REPEATS = 2 * REPEATS  # rounds of one call
AGAIN_SECONDS = 60.0  # for repeats that are taken again
_COUNTING_SECONDS, _REPEAT_SECONDS = 1.5, 1.0  # about what a job takes, before there is a pace


class _Repeat(NamedTuple):
    """The timings of one repeat, by quantity, and what others took of the cores meanwhile."""

    values: dict[str, float]
    others_share: float | None

    @property
    def disturbed(self) -> bool:
        return self.others_share is not None and self.others_share > BUSY_SHARE


class _EntryCosts:
    """What is known of the costs of one architecture."""

    def __init__(self, key: str, arguments: dict[str, Any], stored: list[Series]) -> None:
        self.key, self.arguments = key, arguments
        self.counted = any("repeats" not in one.settings for one in stored)
        self.repeats = _stored_repeats(stored)
        self.failed = False

    @property
    def quiet(self) -> int:
        return sum(not one.disturbed for one in self.repeats)

    @property
    def missing(self) -> int:
        """Undisturbed repeats that it lacks."""
        return 0 if self.failed else max(0, REPEATS - self.quiet)


class CostRounds:
    """The costs of a plan's entries: what is known of them, and what is to be measured next."""

    def __init__(
        self,
        plan: Plan,
        folder: RunFolder,
        problem: Problem,
        sequence_length: int,
        *,
        threads: int,
    ) -> None:
        """Starts from the records in the folder that are of this model, these sources and this
        machine with as many `threads`; costs are timings."""
        self.folder = folder
        self.entries: dict[str, _EntryCosts] = {}
        stored = folder.costs()
        for entry in plan.entries:
            arguments = _arguments(plan, entry, problem, sequence_length, threads)
            key = _key(entry, arguments)
            own = [
                one
                for one in stored
                if one.architecture == entry.architecture and one.settings.get("key") == key
            ]
            self.entries[entry.architecture] = _EntryCosts(key, arguments, own)
        # repeats of each that are taken before any is taken again
        self._lacked = {
            name: max(0, REPEATS - len(one.repeats)) for name, one in self.entries.items()
        }
        self.round = 0  # the one that is taken now, from 1 up
        self._due: list[str] = []  # what is left of it
        self._quiet = 0  # undisturbed repeats when it began
        self._again_since: float | None = None  # when the first repeat was taken again
        self.ended = 0  # jobs
        self.again = 0  # of them, repeats that were taken again
        self._begin_round()

    @property
    def total(self) -> int:
        """Jobs of this call as far as they are known, those that have ended among them."""
        later = sum(max(0, lacked - self.round) for lacked in self._lacked.values())
        return self.ended + len(self._uncounted()) + len(self._due) + later

    @property
    def seconds(self) -> float:
        """About what is left to do, before there is a pace."""
        counting = len(self._uncounted())
        left = self.total - self.ended - counting
        return counting * _COUNTING_SECONDS + left * _REPEAT_SECONDS

    @property
    def words(self) -> str:
        """What is measured now: "bytes", "repeat 2 of 5"."""
        if self._uncounted():
            return "bytes"
        return f"repeat {self.round} of {max([self.round, *self._lacked.values()])}"

    def ready(self) -> list[Job]:
        """What is to be measured next: bytes, then the rest of a round in the plan's order."""
        if uncounted := self._uncounted():
            return [self._job(name, 0) for name in uncounted]
        return [self._job(name, self.round) for name in self._due]

    def take(self, event: Event) -> None:
        """Takes in what became of a job, and records it."""
        if event.kind not in ("failed", "finished"):
            return
        name, repeat = event.job.arguments["architecture"], event.job.arguments["repeat"]
        one = self.entries[name]
        self.ended += 1
        if event.kind == "failed":
            one.failed, self._lacked[name] = True, 0
        elif not repeat:
            one.counted = True
            self._record([_with(series, {"key": one.key}) for series in event.payload])
        else:
            self.again += self._again_since is not None
            one.repeats.append(_repeat(event.payload))
            self._record([_gathered(series, one) for series in event.payload])
        self._due = [due for due in self._due if due != name or not (repeat or one.failed)]
        if not self._due:
            self._begin_round()

    def _begin_round(self) -> None:
        """Names the architectures of the next round; none when all have what they lack, and when
        the machine stays busy."""
        self.round += 1
        quiet = sum(one.quiet for one in self.entries.values())
        gained, self._quiet = quiet > self._quiet, quiet
        self._due = [name for name, lacked in self._lacked.items() if lacked >= self.round]
        lacking = [name for name, one in self.entries.items() if one.missing]
        if self._due or not lacking:
            return
        now = time.monotonic()
        if self._again_since is None:
            self._again_since, self._due = now, lacking
        elif gained and self.round <= MOST_REPEATS and now - self._again_since < AGAIN_SECONDS:
            self._due = lacking

    def _uncounted(self) -> list[str]:
        return [name for name, one in self.entries.items() if not (one.counted or one.failed)]

    def _record(self, found: list[Series]) -> None:
        append_measurements(self.folder.measurements_path, found)

    def _job(self, name: str, repeat: int) -> Job:
        one = self.entries[name]
        seconds = _REPEAT_SECONDS if repeat else _COUNTING_SECONDS
        return Job(
            key=f"{one.key}-{repeat}",
            function=f"{__name__}:measure_entry",
            arguments={"architecture": name, "repeat": repeat, **one.arguments},
            label=f"{name} costs",
            needs=Needs(alone=True, threads=one.arguments["threads"], seconds=seconds),
        )


def run_costs(rounds: CostRounds) -> Generator[Event, None, None]:
    """Measures and records one after the other in this process, on all its threads."""
    for event in run_jobs(rounds.ready, Inline()):
        rounds.take(event)
        yield event


def measure_entry(
    architecture: str,
    repeat: int,
    model: dict[str, Any],
    problem: dict[str, Any],
    optimizer: dict[str, Any],
    **more: Any,
) -> list[Series]:
    """What is counted (repeat 0) or one repeat of the timings, with JSON arguments.

    Raises UserError where a user's own code raises anything: the others are still measured.
    """
    with reporting(any(own_places(model))):
        subject = CostSubject(
            architecture=architecture,
            config=parse_config(model),
            problem=Problem.model_validate(problem),
            optimizer=OptimizerConfig.model_validate(optimizer),
            **more,
        )
        return timed_costs(subject, seconds=TRAINING_SECONDS) if repeat else exact_costs(subject)


def _arguments(
    plan: Plan, entry: Entry, problem: Problem, sequence_length: int, threads: int
) -> dict[str, Any]:
    return {
        "model": entry.model.model_dump(mode="json"),
        "problem": problem.model_dump(mode="json"),
        "optimizer": plan.training.optimizer.model_dump(mode="json"),
        "batch_size": plan.training.batch_size,
        "sequence_length": sequence_length,
        "device": plan.device,
        "dtype": plan.dtype,
        "threads": threads,
        "products": plan.products,
    }


def _key(entry: Entry, arguments: dict[str, Any]) -> str:
    return job_key(
        "seqarena.measure.costs.costs:timed_costs",
        arguments,
        model_places(entry.model),
        facts=entry.architecture,
        timing=TimingMachine(arguments["threads"], arguments["device"]),
    )


def _repeat(found: list[Series]) -> _Repeat:
    values = {one.quantity: one.points[0].repeats[0] for one in found}
    return _Repeat(values, found[0].settings["others_share"])


def _stored_repeats(stored: list[Series]) -> list[_Repeat]:
    """The repeats of earlier calls: each is in the settings of all its quantities."""
    timed = {one.quantity: one.settings["repeats"] for one in stored if "repeats" in one.settings}
    # a process that was killed while it wrote may have written one quantity more than another
    number = min((len(repeats) for repeats in timed.values()), default=0)
    return [
        _Repeat(
            {key: repeats[index][0] for key, repeats in timed.items()},
            next(iter(timed.values()))[index][1],
        )
        for index in range(number)
    ]


def _gathered(found: Series, one: _EntryCosts) -> Series:
    """A timing with all its repeats: the undisturbed ones speak for it where they are enough, else
    all do and the record is marked. Settings: `repeats`, each with what others took meanwhile;
    `others_share`, their median share; `disturbed`, by others; `unfinished`, stopped too early."""
    quiet = [repeat for repeat in one.repeats if not repeat.disturbed]
    disturbed = len(quiet) < min(ENOUGH, len(one.repeats))
    speak = one.repeats if disturbed else quiet
    shares = [repeat.others_share for repeat in speak if repeat.others_share is not None]
    (point,) = found.points
    point = point.model_copy(
        update={"repeats": tuple(repeat.values[found.quantity] for repeat in speak)}
    )
    settings = {
        "key": one.key,
        "repeats": [[repeat.values[found.quantity], repeat.others_share] for repeat in one.repeats],
        "others_share": statistics.median(shares) if shares else None,
        "disturbed": disturbed,
        "unfinished": not disturbed and len(speak) < ENOUGH,
    }
    return _with(found, settings).model_copy(update={"points": (point,)})


def _with(series: Series, settings: dict[str, Any]) -> Series:
    return series.model_copy(update={"settings": series.settings | settings})
