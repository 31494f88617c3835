"""What `seqarena measure` does: calls of measuring functions, each done once and kept.

A call is one architecture in one variant. What it finds is written as soon as it is there, so that
stopping loses the call in flight alone; an equal call by equal code is not made again.
"""

import hashlib
import inspect
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from seqarena.core.config import digest, load_object
from seqarena.core.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from seqarena.core.measurement import Measurement


_FLAGS = {"checkpoint": "run", "options": "option"}  # arguments that the command line calls else


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

    def run(self) -> "list[Measurement]":
        """Calls it in this process; the records carry the target's own name.

        Raises UserError for an argument that it does not have.
        """
        function = load_object(self.function)
        takes = inspect.signature(function).parameters.values()
        known = {parameter.name for parameter in takes}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes):
            for unknown in [argument for argument in self.arguments if argument not in known]:
                raise UserError(f"this measurement has no --{_FLAGS.get(unknown, unknown)}")
        found = function(self.target.asked, **self.arguments)
        if not found:
            raise UserError("nothing was found to measure")
        return [one.model_copy(update={"architecture": self.target.name}) for one in found]


class Findings(NamedTuple):
    """What a list of calls gave."""

    measurements: "list[Measurement]"
    reused: list[str]  # labels
    refused: dict[str, str]  # label -> why it cannot be measured


def perform(calls: Sequence[Call], path: Path, console: "Console") -> Findings:
    """Makes each call that is not in the file `path` already, and writes what it finds there.

    A call that raises UserError is reported and the others go on. Progress, with the time left,
    goes to `console`.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    from seqarena.arena.folder import drop_torn_line
    from seqarena.core.measurement import append_measurements, latest, read_measurements

    drop_torn_line(path)
    old = list(read_measurements(path))
    standing = latest(old)
    findings = Findings([], [], {})
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeLeft())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=len(calls))
        for call in calls:
            progress.update(bar, description=call.label)
            key = call_key(call)
            found = [one for one in old if one.settings.get("call") == key]
            if found:
                findings.reused.append(call.label)
                # what is asked for last is what the page shows of a curve measured twice
                append_measurements(path, [one for one in found if one not in standing])
            else:
                start = time.perf_counter()
                try:
                    found = [_signed(one, key) for one in call.run()]
                except UserError as error:
                    _refuse(findings, call, str(error), console)
                    found = []
                append_measurements(path, found)
                seconds = time.perf_counter() - start
                if found and seconds > 2 and not console.is_terminal:
                    console.print(f"{call.label}: {seconds:.1f} s", highlight=False, soft_wrap=True)
            findings.measurements.extend(found)
            progress.advance(bar)
    return findings


def _refuse(findings: Findings, call: Call, why: str, console: "Console") -> None:
    if findings.refused.setdefault(call.label, why) == why:
        prefix = "" if why.startswith(call.target.name) else f"{call.label}: "
        console.print(f"not measured: {prefix}{why}", highlight=False, soft_wrap=True)


def _signed(found: "Measurement", key: str) -> "Measurement":
    return found.model_copy(update={"settings": {**found.settings, "call": key}})


def call_key(call: Call) -> str:
    """What a call's numbers depend on, in sixteen digits: the call, the code, the machine, and the
    content of a user's file or of a checkpoint."""
    import torch

    from seqarena.core.runtime import MEASURING_PACKAGES, code_digest, processor_name

    arguments = json.loads(json.dumps(call.arguments, default=str))
    place = [code_digest(MEASURING_PACKAGES), torch.__version__, processor_name()]
    return digest([call.function, call.target.asked, arguments, place, torch.get_num_threads(),
                   _content(call.target)])  # fmt: skip


def _content(target: Target) -> str:
    if target.checkpoint is not None:
        return (target.checkpoint / "manifest.json").read_text(encoding="utf-8")
    file = Path(target.asked.rpartition("=")[2].rpartition(":")[0])
    if file.suffix != ".py":
        return ""
    return hashlib.sha256(file.read_bytes()).hexdigest()
