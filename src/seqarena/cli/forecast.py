"""`seqarena forecast`: a ladder of comparisons, and what it says of a larger size."""

from typing import Any

from seqarena.cli.compare import DryRun, show_preview
from seqarena.cli.derive import verb_of
from seqarena.cli.output import AsJson, print_json, progress_console, say
from seqarena.forecast.requests import ForecastRequest


def _forecast(given: dict[str, Any], dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Forecast which architecture is better at a size that is too large to try.

    It trains a ladder of small comparisons, carries the gaps on to --target by the method that
    predicts the hidden top rungs best, and says how sure that is, or that it cannot be told. With
    --verify N it trains the N first at the target and scores itself.

    Stop it at any time; the same command goes on where it stopped.
    """
    from rich.console import Console

    from seqarena import api

    console = progress_console(as_json)
    if dry_run:
        show_preview(api.forecast(dry_run=True, console=console, **given), as_json)
        return
    found = api.forecast(console=console, **given)
    if as_json:
        print_json(found.summary())
        return
    Console().print(found, soft_wrap=True)
    say(f"report: {found.page_path}")


forecast = verb_of(
    ForecastRequest, _forecast, name="forecast", argument="data", hidden=ForecastRequest.hidden
)
