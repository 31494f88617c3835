"""What a trained model forecasts of a few test windows: a record of a trial, for the page."""

from typing import Literal

from seqarena.core.config import Config

NUMBERS_DEPEND_ON_THIS = False  # records say what was found (jobs/sources.py)


class ForecastWindow(Config):
    """One series around one origin. A missing value is None."""

    series: str
    past_times: tuple[str, ...]  # ISO 8601, or the numbers that count steps
    past: tuple[float | None, ...]
    times: tuple[str, ...]  # of the steps ahead
    truth: tuple[float | None, ...]
    quantiles: tuple[tuple[float, ...], ...]  # of each step, rising


class ForecastRecord(Config):
    """Some windows of the test split, the same for every model of a task."""

    kind: Literal["forecast"] = "forecast"
    levels: tuple[float, ...]
    is_time: bool  # False: the times are numbers
    windows: tuple[ForecastWindow, ...]
