"""Calls of measuring functions as jobs: each is made once, and what it finds is kept.

A call is one architecture in one variant. What it finds is written as soon as it is there, so that
stopping loses the call in flight only. Its key covers the sources that it runs: those of the
function, of the architectures and tasks that are named in the arguments or in the measuring code,
and the catalog's rows of these architectures.
"""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from seqarena.core.config import load_object
from seqarena.core.cores import LoadWatch
from seqarena.core.errors import UserError
from seqarena.core.products import library
from seqarena.core.results.measurement import (
    Measurement,
    append_measurements,
    latest,
    read_measurements,
)
from seqarena.jobs.display import Display
from seqarena.jobs.executor import run_jobs
from seqarena.jobs.inline import Inline
from seqarena.jobs.job import Event, Failure, Job, Needs, TimingMachine, job_key
from seqarena.jobs.sources import closure, locate, places_in, read_source
from seqarena.models.catalog import CATALOG, architecture
from seqarena.models.combinations import is_combination
from seqarena.tasks.registry import TASKS, task_place

_FLAGS = {"checkpoint": "run", "options": "option"}  # arguments that the command line calls else
_TIMINGS = {"seqarena.measure.costs.scaling:speed", "seqarena.measure.costs.scaling:utilisation"}
_QUIET_SECONDS = 2.0


class Target(NamedTuple):
    """One architecture to measure."""

    name: str  # what its records call it
    asked: str  # what a measuring function is given: the name, or a user's file.py:Class
    checkpoint: Path | None = None


class Call(NamedTuple):
    """One measuring function for one target; `arguments` are JSON values."""

    function: str  # package.module:function
    target: Target
    arguments: dict[str, Any]

    @property
    def label(self) -> str:
        variant = self.arguments.get("variant")
        return f"{self.target.name}, {variant}" if variant else self.target.name

    def job(self) -> Job:
        """The call as a job. Its key covers the weights of a checkpoint."""
        checkpoint, timing = self.target.checkpoint, self.function in _TIMINGS
        weights = checkpoint and (checkpoint / "manifest.json").read_text(encoding="utf-8")
        given = {"architecture": self.target.asked, **self.arguments}
        threads = given.get("threads") or _threads() if timing else None
        return Job(
            key=measuring_key(self.function, given, threads=threads, facts=weights),
            function=f"{__name__}:measure",
            arguments={"function": self.function, "name": self.target.name, "arguments": given},
            label=self.label,
            needs=Needs(alone=timing),
        )


def measure(function: str, name: str, arguments: dict[str, Any]) -> list[Measurement]:
    """Calls the measuring function; the records carry the target's own `name`, and timings the
    share of the cores that other processes took meanwhile.

    Raises UserError for an argument that the function does not have.
    """
    called = load_object(function)
    takes = inspect.signature(called).parameters.values()
    known = {parameter.name for parameter in takes}
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes):
        for unknown in [argument for argument in arguments if argument not in known]:
            raise UserError(f"this measurement has no --{_FLAGS.get(unknown, unknown)}")
    with LoadWatch() as load:
        found = called(**arguments)
    if not found:
        raise UserError("nothing was found to measure")
    share = {"others_share": load.others_share} if function in _TIMINGS else {}
    return [
        one.model_copy(update={"architecture": name, "settings": one.settings | share})
        for one in found
    ]


def measuring_key(
    function: str, arguments: dict[str, Any], *, threads: int | None = None, facts: Any = None
) -> str:
    """The key of a call of a measuring function; `threads` are those of a timing, which depends on
    the table of what `auto` is as well."""
    spelled = {*_strings(arguments)}
    for module, source in closure([function]).items():
        if module.startswith("seqarena.measure."):
            spelled |= source.strings
    rows = {name: row for name, row in CATALOG.items() if name in spelled}
    for name in filter(is_combination, _strings(arguments)):
        with suppress(UserError):  # a text that only looks like one
            rows[name] = architecture(name)
    built = {name: [row.cycle, row.model, row.causal, row.system] for name, row in rows.items()}
    places = places_in(arguments) | places_in(built)
    places |= {task_place(kind) for kind in TASKS if kind in spelled}
    timing = None
    if threads is not None:
        timing = TimingMachine(threads, arguments.get("device") or "cpu", library())
    table = locate("seqarena.ops.measured") if timing is not None else None
    facts = [built, facts, table and read_source(table).digest]
    return job_key(function, arguments, places, facts=facts, timing=timing)


class Findings(NamedTuple):
    """What a list of calls gave."""

    measurements: list[Measurement]
    reused: list[str]  # labels
    refused: dict[str, str]  # label -> why it cannot be measured


def perform(calls: Sequence[Call], path: Path, console: Console) -> Findings:
    """Makes each call that is not in the file `path` already, and writes what it finds there.

    A call that raises UserError is reported and the others go on. Progress, with the time left,
    goes to `console`.
    """
    old = list(read_measurements(path))
    shown = latest(old)
    jobs = {job.key: job for job in (call.job() for call in calls)}
    found: dict[str, list[Measurement]] = {key: [] for key in jobs}
    for one in old:
        found.get(one.settings.get("call", ""), []).append(one)
    reused = {key: jobs[key].label for key, records in found.items() if records}
    for key in reused:  # what is asked for last is what the page shows of a curve measured twice
        append_measurements(path, [one for one in found[key] if one not in shown])
    waiting = [job for key, job in jobs.items() if key not in reused]
    refused: dict[str, str] = {}
    display = Display(
        console, total=len(waiting), line=_line, noun="calls", quiet_seconds=_QUIET_SECONDS
    )
    with display, closing(run_jobs(lambda: waiting, Inline())) as events:
        for event in events:
            display.show(event)
            if event.kind == "finished":
                found[event.job.key] = [_signed(one, event.job.key) for one in event.payload]
                append_measurements(path, found[event.job.key])
            elif event.kind == "failed":
                refused[event.job.label] = event.payload.message
    measurements = [one for records in found.values() for one in records]
    return Findings(measurements, list(reused.values()), refused)


def _line(event: Event) -> str:
    if not isinstance(event.payload, Failure):
        return f"{event.job.label}: {event.seconds:.1f} s"
    why, name = event.payload.message, event.job.arguments["name"]
    return f"not measured: {why if why.startswith(name) else f'{event.job.label}: {why}'}"


def _signed(found: Measurement, key: str) -> Measurement:
    return found.model_copy(update={"settings": {**found.settings, "call": key}})


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _strings(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)


def _threads() -> int:
    import torch

    return torch.get_num_threads()
