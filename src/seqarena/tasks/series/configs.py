"""The configuration of tasks over numbers in time. No torch in here."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, model_validator

from seqarena.core.errors import UserError, unknown_name
from seqarena.core.options import Numbers, knob, names
from seqarena.data.series.tables import REPAIRS
from seqarena.tasks.configs import TaskConfig, check_encoding

_DECILES = tuple(round(0.1 * k, 1) for k in range(1, 10))


def _columns(value: Any) -> Any:
    """`oslo,bergen` as names; a column may be named 0."""
    return names(f"{value}" if isinstance(value, int | float) else value)


Columns = Annotated[tuple[str, ...], BeforeValidator(_columns)]


class SeriesConfig(TaskConfig):
    """How tables of numbers over time are read (data/series/tables.py)."""

    data: str | None = knob(None, "A table or a folder of them; none: the embedded series.")
    time: str | None = knob(None, "Column of times; none: by a usual name (date, ds, time ...).")
    time_format: str | None = knob(None, "How times are written, %d.%m.%Y say; none: ISO 8601.")
    series: Columns = knob((), "Columns that name the series of a row; none: by a usual name.")
    target: Columns = knob((), "Columns to learn, each a series; none: all with numbers.")
    covariates: Columns = knob((), "Columns of numbers that are known ahead of time.")
    repair: Columns = knob((), f"What is mended and said, of {','.join(REPAIRS)}.")
    encoding: str = knob("utf-8", "Of the files: utf-8 or iso-8859-1, say.")

    @model_validator(mode="after")
    def _check_reading(self) -> Self:
        check_encoding(self.kind, self.encoding)
        for name in self.repair:
            if name not in REPAIRS:
                raise unknown_name("repair", name, REPAIRS)
        return self


class ForecastingConfig(SeriesConfig):
    """The next `horizon` values of series. `data` None: weekly CO2 at Mauna Loa."""

    kind: Literal["forecasting"] = "forecasting"
    horizon: int | None = knob(None, "Steps to forecast; none: 18 months, 48 hours ...", ge=1)
    season: int | None = knob(
        None, "Steps of a season; none: by the calendar; 1: there is none.", ge=1
    )
    context: int | None = knob(
        None, "Values that a forecast sees; none: two seasons, or two horizons if longer.", ge=2
    )
    strategy: Literal["direct", "recursive"] = knob(
        "direct", "All steps at once, or step by step on drawn paths."
    )
    quantiles: Numbers = knob(_DECILES, "Levels that are forecast, .5 among them; .5: a point.")
    scaling: Literal["standard", "mean_abs", "none"] = knob(
        "standard", "Of each window, by its context: mean and spread, or mean size."
    )
    base: Literal["season", "last", "none"] = knob(
        "season", "What a forecast is the distance from: the season before, or the last value."
    )
    origins: int | None = knob(
        None, "Times in a training window to forecast from; none: half the context.", ge=1
    )
    windows: int | None = knob(
        None, "Forecasts of each series that test, and that validate; none: a tenth of it.", ge=1
    )
    stride: int | None = knob(None, "Steps from one of them to the next; none: the horizon.", ge=1)
    paths: int = knob(64, "Paths that a recursive forecast draws.", ge=1, le=10_000)

    @model_validator(mode="after")
    def _check(self) -> Self:
        levels = self.quantiles
        if not all(0 < level < 1 and math.isfinite(level) for level in levels):
            raise UserError(f"forecasting: quantiles {levels}: levels are between 0 and 1")
        if 0.5 not in levels:
            raise UserError(f"forecasting: quantiles {levels}: .5 must be among them")
        if list(levels) != sorted(set(levels)):
            raise UserError(f"forecasting: quantiles {levels}: name them once each, rising")
        if set(self.target) & set(self.covariates):
            raise UserError("forecasting: a column is a target or a covariate, not both")
        return self
