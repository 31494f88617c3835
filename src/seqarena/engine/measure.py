"""`measure`: curves and maps of any architecture, as it begins or trained, kept in a folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult

from seqarena.arena.folder import RunFolder
from seqarena.arena.requests import LineupRequest, own_name, own_row
from seqarena.core.cores import BUSY_SHARE, chosen_cores
from seqarena.core.errors import UserError
from seqarena.core.products import multiplying, resolve_products
from seqarena.core.results.measurement import Measurement
from seqarena.core.runtime import limited_threads, resolve_device, resolve_dtype
from seqarena.core.words import listed
from seqarena.engine.pages import write_page
from seqarena.engine.trained import OwnCode, find_checkpoint, trained_models
from seqarena.measure.calls import Call, Findings, Target, perform
from seqarena.measure.costs.scaling import algorithms
from seqarena.measure.requests import MeasureRequest, SubjectRequest
from seqarena.models.stacks.stack import load_mixer
from seqarena.report.measure_tables import measurement_tables
from seqarena.train.checkpoint import load


class Measured(NamedTuple):
    """What a measurement found, and the page that draws the folder it was written to."""

    measurements: list[Measurement]
    refused: dict[str, str]  # label -> why it cannot be measured
    page: Path

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield measurement_tables(self.measurements)


def measure(request: MeasureRequest, console: Console) -> Measured:
    """Makes the calls that are not in the folder yet; writes records and page.

    Raises UserError for a bad request, and where nothing could be measured.
    """
    subjects = request.subjects
    folder = RunFolder(subjects.folder)
    cores = chosen_cores(subjects.threads)
    products = resolve_products(subjects.products, _device(request))
    with folder.lock(), limited_threads(cores.count), multiplying(products.name):
        calls, refused = plan_calls(request)
        _say(console, f"threads: {cores.count} ({cores.reason})")
        _say(console, f"float32 products: {products.name} ({products.reason})")
        for label, why in refused.items():
            _say(console, f"not measured: {label}: {why}")
        findings = perform(calls, folder.path / "measurements.jsonl", console)
        findings.refused.update(refused)
        _report(findings, console)
        page = write_page(folder.path)
    return Measured(findings.measurements, findings.refused, page)


def plan_calls(request: MeasureRequest) -> tuple[list[Call], dict[str, str]]:
    """One call for each function, target and algorithm; and why some targets have none."""
    subjects = request.subjects
    arguments = {**subjects.sizes, **_resolved(request.arguments(), subjects.threads)}
    given: list[tuple[Target, dict[str, Any]]] = []
    refused: dict[str, str] = {}
    for target in targets(subjects, request.default_models):
        weights = {} if target.checkpoint is None else {"checkpoint": str(target.checkpoint)}
        try:
            variants = _variants(subjects, target)
        except UserError as error:
            refused[target.name] = str(error)
            continue
        given += [(target, {**arguments, **variant, **weights}) for variant in variants]
    return [Call(function, *one) for function in request.called for one in given], refused


def targets(subjects: SubjectRequest, default: tuple[str, ...]) -> list[Target]:
    """What is named: of the catalog and a user's own, or trained in a run; else `default`.

    Raises UserError for an unknown name, or for names beside a run.
    """
    mixers = subjects.mixer
    if subjects.run is not None:
        if subjects.models:
            raise UserError("--run measures what it trained: choose one of it with --model NAME")
        return _trained(subjects.run, subjects.model, OwnCode(mixers, subjects.trust_code))
    if subjects.trust_code:
        raise UserError("--trust-code is for the code that a --run names")
    if subjects.model:
        raise UserError("--model chooses from a --run: name architectures with --models")
    names = subjects.models or (() if mixers else default)
    found = [Target(row.name, row.name) for row in LineupRequest(models=names).rows()]
    found += [Target(own_name(mixer), mixer) for mixer in mixers]
    for twice in {t.name for t in found if [o.name for o in found].count(t.name) > 1}:
        raise UserError(f"{twice!r} is named twice: give a mixer another name, LABEL=FILE.py:Class")
    for mixer in mixers:
        own_row(mixer)  # a missing file or class is an error before all else
        load_mixer(mixer.rpartition("=")[2])
    return found


def _trained(run: Path, model: str | None, code: OwnCode) -> list[Target]:
    everything = model is None and (run / "plan.json").exists()
    places = list(trained_models(run).values()) if everything else []
    places = places or [find_checkpoint(run, model)]
    for place in places:
        code.allow(place)
    architectures = [load(place).about["architecture"] for place in places]
    return [Target(name, name, p) for name, p in zip(architectures, places, strict=True)]


def _device(request: MeasureRequest) -> str:
    """Where it is measured: on the CPU what takes no device."""
    return _resolved(request.arguments(), None).get("device", "cpu")


def _resolved(arguments: dict[str, Any], threads: int | None) -> dict[str, Any]:
    """Device and dtype by their names, and the threads where a function times."""
    found = dict(arguments)
    if "device" in found:
        found["device"] = resolve_device(found["device"]).name
    if "dtype" in found:
        found["dtype"] = resolve_dtype(found["dtype"], found["device"]).name
        if threads is not None:
            found["threads"] = threads
    return found


def _variants(subjects: SubjectRequest, target: Target) -> list[dict[str, Any]]:
    """The options of each algorithm that was asked for; where all are and the target offers no
    choice, those of its own way. Raises UserError where it has none of those named."""
    asked = subjects.algorithms
    if asked is None:
        return [subjects.variant()]
    own = algorithms(target.asked)
    if asked == ("all",):
        return [subjects.variant(name) for name in own] or [subjects.variant()]
    chosen = [subjects.variant(name) for name in asked if name in own]
    if not chosen:
        offers = ", ".join(own) or "no choice of algorithms"
        raise UserError(f"it cannot be computed by {' or '.join(asked)}: it offers {offers}")
    return chosen


def _report(findings: Findings, console: Console) -> None:
    """What was reused, and what is missing from what was found."""
    for gap in gaps(findings.measurements):
        _say(console, f"not measured: {gap}")
    if busy := busy_sentence(findings.measurements):
        _say(console, busy)
    if findings.reused:
        _say(console, f"reused: {'; '.join(dict.fromkeys(findings.reused))}")
    if not findings.measurements:
        (label, why), *others = findings.refused.items()
        more = f" (and {len(others)} more)" if others else ""
        raise UserError(f"nothing was measured: {label}: {why}{more}")


def gaps(measurements: Sequence[Measurement]) -> list[str]:
    """What the records say of points and quantities that they lack, each reason once."""
    found = []
    for one in measurements:
        for quantity, why in one.settings.get("not_measured", {}).items():
            found.append(f"{one.label}, {quantity}: {why}")
        by_reason: dict[str, list[str]] = {}
        for place, why in one.settings.get("skipped", {}).items():
            by_reason.setdefault(why, []).append(str(place))
        for why, places in by_reason.items():
            axis = getattr(one, "axis", "")
            found.append(f"{one.label}, {axis} {', '.join(places)}: {why}")
    return list(dict.fromkeys(found))


def busy_sentence(measurements: Sequence[Measurement]) -> str:
    """Which timings others on the machine disturbed; nothing where none was."""
    shares = {one.label: one.settings.get("others_share") or 0.0 for one in measurements}
    busy = {label: share for label, share in shares.items() if share > BUSY_SHARE}
    if not busy:
        return ""
    return (
        f"the machine was busy (up to {100 * max(busy.values()):.0f} % of its cores by others) "
        f"while {listed(list(busy))} {'was' if len(busy) == 1 else 'were'} timed: compare no "
        "seconds, and time again with another --out"
    )


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
