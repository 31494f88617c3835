"""`seqarena measure ...`: one verb for each class of measure/requests.py."""

from collections.abc import Callable
from typing import Any

from seqarena.cli.derive import verb_of
from seqarena.cli.output import AsJson, print_json, progress_console, say
from seqarena.measure.requests import MEASUREMENTS, MeasureRequest

HELP = (
    "Measure one property of any architecture, as it begins or trained: curves with intervals.\n\n"
    "Each verb prints a table, says what it shows, and writes the records and a page to "
    "runs/measurements. Calling again reuses what was measured.\n\n"
    "Start with:  seqarena measure speed --models lstm,attention --algorithms all"
)


def _verb(what: str, request: type[MeasureRequest]) -> Callable[..., Any]:
    def run(given: dict[str, Any], as_json: AsJson = False) -> None:
        from rich.console import Console

        from seqarena import api

        found = api.measure(what, console=progress_console(True), **given)
        if as_json:
            print_json([one.model_dump(mode="json") for one in found.measurements])
            return
        Console().print(found)
        say(f"report: {found.page}")

    run.__doc__ = request.__doc__
    return verb_of(request, run, name=what)


VERBS = tuple(_verb(what, request) for what, request in MEASUREMENTS.items())
