"""A folder of a forecast, read: who is better at the target, how sure, what it costs, the page."""

from functools import cached_property
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from seqarena.core import words
from seqarena.core.results.forecasts import Forecast, ForecastView, PairForecast, Verification
from seqarena.engine.pages import write_page
from seqarena.forecast.store import read_forecast
from seqarena.report.forecast.wording import decision, pair_words, time_range, verification_words


class ForecastRun:
    """What a ladder says of a larger size."""

    def __init__(self, path: str | Path) -> None:
        """`path` is the folder of a forecast. Raises UserError where it holds none."""
        self.path = Path(path)
        _ = self.view

    def __repr__(self) -> str:
        return f"ForecastRun({str(self.path)!r})"

    @cached_property
    def view(self) -> ForecastView:
        """Everything that the page draws."""
        return read_forecast(self.path)

    @property
    def forecast(self) -> Forecast:
        """The ladder and all that is carried on from it."""
        return self.view.forecast

    @property
    def pairs(self) -> tuple[PairForecast, ...]:
        """Every pair, the surest first."""
        return self.forecast.pairs

    @property
    def verification(self) -> Verification | None:
        """How the predictions did, where some were trained at the target."""
        return self.view.verification

    @property
    def decision(self) -> str:
        """What to use at the target, in one sentence."""
        large, small = decision(self.forecast)
        return f"{large}, {small}"

    def page(self) -> Path:
        """Draws the page again from the records; where it is."""
        return write_page(self.path)

    @property
    def page_path(self) -> Path:
        """Where the page is."""
        return self.path / "report.html"

    def summary(self) -> dict[str, Any]:
        """The answer as JSON values."""
        leave = {"path"}
        forecast = self.forecast
        verification = self.verification
        return {
            "run": str(self.path),
            "report": str(self.page_path),
            "decision": self.decision,
            "metric": forecast.ladder.metric,
            "target": forecast.target.model_dump(),
            "method": forecast.method,
            "methods": [one.model_dump() for one in forecast.methods],
            "architectures": [one.model_dump(exclude=leave) for one in forecast.architectures],
            "pairs": [one.model_dump(exclude=leave) for one in forecast.pairs],
            "left_out": dict(forecast.ladder.left_out),
            "warnings": list(forecast.warnings),
            "choices": list(self.view.choices),
            "predictions_sha256": self.view.sha256 or None,
            "verification": None
            if verification is None
            else {
                "scores": verification.scores,
                "brier": verification.brier,
                "right": sum(one.right for one in verification.told),
                "told": len(verification.told),
                "inside_80": sum(one.inside_80 for one in verification.pairs),
                "pairs": len(verification.pairs),
            },
        }

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        forecast = self.forecast
        yield Text(self.decision)
        table = Table(box=None, pad_edge=False)
        table.add_column("architecture")
        metric = words.of_name(forecast.ladder.metric)
        for head in (metric, "80 %", "is the best", "training, 80 %", "peak memory"):
            table.add_column(head, justify="right")
        for one in forecast.architectures:
            low, high = one.score_80
            table.add_row(
                one.architecture,
                words.significant(one.score),
                f"{words.significant(low)} to {words.significant(high)}",
                words.percent(round(one.best_probability, 2)),
                words.ABSENT if one.seconds is None else time_range(one.seconds),
                words.ABSENT
                if one.peak_training_bytes is None
                else words.with_unit(one.peak_training_bytes.value, "bytes"),
            )
        yield table
        for pair in forecast.pairs:
            yield Text(pair_words(forecast, pair))
        for line in verification_words(self.view):
            yield Text(line)
        for warning in forecast.warnings:
            yield Text(warning, style="bold yellow")

    def __str__(self) -> str:
        console = Console(width=100, color_system=None)
        with console.capture() as captured:
            console.print(self)
        return captured.get()
