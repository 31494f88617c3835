"""What all measuring verbs share: their options, what they call, and what they print at the end."""

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from seqarena.cli import compare, options
from seqarena.core.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from seqarena.core.measurement import Measurement
    from seqarena.measure.calls import Call, Findings, Target


@dataclass(frozen=True, kw_only=True)
class Common:
    """What every verb takes: what is measured, in which sizes, and where the records go."""

    models: Annotated[
        str | None,
        typer.Option(help="lstm,gru,... or all. Default: a handful that tells most."),
    ] = None
    mixer: Annotated[
        list[str] | None,
        typer.Option(help="Your own mixer, [LABEL=]my_file.py:MyMixer. Repeatable."),
    ] = None
    run: Annotated[
        Path | None,
        typer.Option(help="A run or checkpoint folder: its trained models, each as it stands."),
    ] = None
    model: Annotated[
        str | None, typer.Option(help="Which architecture of --run. Default: every ranked one.")
    ] = None
    width: Annotated[
        int | None, typer.Option(min=1, help="Width of every model [64; of reach 32].")
    ] = None
    params: Annotated[
        str | None, typer.Option(help="The same number of parameters instead: 100k.")
    ] = None
    depth: Annotated[int | None, typer.Option(min=1, help="Layers of every model.")] = None
    option: Annotated[
        list[str] | None,
        typer.Option(help="An option of every mixer, key=value. Repeatable."),
    ] = None
    algorithms: Annotated[
        str | None,
        typer.Option(help="Algorithms side by side, loop,fused,... or all. Default: the fastest."),
    ] = None
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads inside operations. Default: torch's own.")
    ] = None
    out: Annotated[
        str | None,
        typer.Option(help="Folder of the records [measurements; with --run, the run's own]."),
    ] = None
    runs: compare.Runs = Path("runs")
    as_json: Annotated[bool, typer.Option("--json", help="The records, for programs.")] = False

    @property
    def sizes(self) -> dict[str, Any]:
        """The sizes that were given, as measuring functions take them."""
        given = {
            "width": self.width,
            "params": options.whole(self.params, "--params"),
            "depth": self.depth,
        }
        given = {name: value for name, value in given.items() if value is not None}
        if "width" in given and "params" in given:
            raise UserError("give --width or --params, not both")
        if self.run is not None and (given or self.option or self.algorithms):
            raise UserError(
                "--run measures a trained model as it stands: leave out --width, --params, "
                "--depth, --option and --algorithms"
            )
        return given

    @property
    def folder(self) -> Path:
        """Where the records go."""
        if self.out is None and self.run is not None and (self.run / "plan.json").exists():
            return self.run
        return self.runs / (self.out or "measurements")


def with_common(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb with the fields of `Common` as options after its own."""
    hints = get_type_hints(Common, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter(f.name, keyword, default=f.default, annotation=hints[f.name])
        for f in fields(Common)
        if f.default is not MISSING
    ]
    signature = inspect.signature(verb)
    own = [parameter for name, parameter in signature.parameters.items() if name != "common"]

    @functools.wraps(verb)
    def wrapped(**given: Any) -> None:
        common = {one.name: given.pop(one.name, one.default) for one in shared}
        verb(common=Common(**common), **given)

    wrapped.__dict__["__signature__"] = signature.replace(parameters=[*own, *shared])
    return wrapped


def run(common: Common, function: str, default: str, arguments: dict[str, Any]) -> None:
    """One call for each target and algorithm."""
    from seqarena.measure.calls import Call

    sizes = common.sizes
    calls, refused = [], {}
    for target in targets_of(common, default):
        try:
            variants = _variants(common, target)
        except UserError as error:
            refused[target.name] = str(error)
            continue
        for variant in variants:
            given = call_arguments(target, {**sizes, **arguments, **variant})
            calls.append(Call(function, target, given))
    finish(common, calls, refused)


def targets_of(common: Common, default: str) -> "list[Target]":
    """What is measured; the default names stand where nothing is named."""
    from seqarena.cli.measure_calls import targets

    return targets(common.models, common.mixer or [], common.run, common.model, default)


def call_arguments(target: "Target", arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments, with the checkpoint of a target that is trained."""
    if target.checkpoint is None:
        return arguments
    return {**arguments, "checkpoint": str(target.checkpoint)}


def options_of(common: Common, algorithm: str | None = None) -> dict[str, Any]:
    """`options` and `variant` of one call, nothing where nothing was asked."""
    chosen = options.settings(common.option or [])
    if algorithm is not None:
        chosen["algorithm"] = algorithm
    if not chosen:
        return {}
    words = [value if name == "algorithm" else f"{name}={value}" for name, value in chosen.items()]
    return {"options": chosen, "variant": " ".join(str(word) for word in words)}


def _variants(common: Common, target: "Target") -> list[dict[str, Any]]:
    """The options of each algorithm that was asked for; where all are and the target offers no
    choice, those of its own way alone. Raises UserError where it has none of those named."""
    if common.algorithms is None:
        return [options_of(common)]
    from seqarena.measure.scaling import algorithms

    own, asked = algorithms(target.asked), options.names(common.algorithms)
    if asked == ["all"]:
        return [options_of(common, name) for name in own] or [options_of(common)]
    chosen = [options_of(common, name) for name in asked if name in own]
    if not chosen:
        offers = ", ".join(own) or "no choice of algorithms"
        raise UserError(f"it cannot be computed by {' or '.join(asked)}: it offers {offers}")
    return chosen


def finish(common: Common, calls: "Sequence[Call]", refused: dict[str, str] | None = None) -> None:
    """Makes the calls; prints the tables, or the records; writes the page. `refused` says of
    targets why nothing is called for them."""
    from rich.console import Console

    from seqarena.arena.folder import RunFolder
    from seqarena.measure.calls import perform
    from seqarena.measure.speed import limited_threads
    from seqarena.report.measure_tables import measurement_tables

    folder = RunFolder(common.folder)
    said = Console(stderr=True)
    import torch

    with folder.lock(), limited_threads(common.threads or torch.get_num_threads()):
        for label, why in (refused or {}).items():
            said.print(f"not measured: {label}: {why}", highlight=False, soft_wrap=True)
        findings = perform(calls, folder.path / "measurements.jsonl", said)
        findings.refused.update(refused or {})
        _say(findings, said)
        page = write_page(folder.path)
    if common.as_json:
        import json

        print(json.dumps([one.model_dump(mode="json") for one in findings.measurements], indent=1))
        return
    Console().print(measurement_tables(findings.measurements))
    print(f"report: {page}")


def _say(findings: "Findings", console: "Console") -> None:
    """What was reused, and what is missing from what was found."""
    for gap in gaps(findings.measurements):
        console.print(f"not measured: {gap}", highlight=False, soft_wrap=True)
    if findings.reused:
        console.print(
            f"reused: {'; '.join(dict.fromkeys(findings.reused))}", highlight=False, soft_wrap=True
        )
    if not findings.measurements:
        (label, why), *others = findings.refused.items()
        more = f" (and {len(others)} more)" if others else ""
        raise UserError(f"nothing was measured: {label}: {why}{more}")


def gaps(measurements: "Sequence[Measurement]") -> list[str]:
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


def write_page(folder: Path) -> Path:
    """Draws the page of a folder with measurements: of a run, its own with them in it."""
    from seqarena.arena.folder import RunFolder
    from seqarena.cli.pages import page_of
    from seqarena.jobs.files import write_atomically

    place = RunFolder(folder).report_path
    write_atomically(place, page_of(folder))
    return place
