"""Forecasts of a few windows as a record, for the page of a run to draw."""

from collections.abc import Sequence

import numpy as np

from seqarena.core.results.forecast_windows import ForecastRecord, ForecastWindow
from seqarena.data.series.grid import Grid
from seqarena.data.series.times import stamp_text
from seqarena.tasks.series.outputs import ForecastBatch

_PAST = 3  # horizons of the past that are shown, or a season where that is longer


def forecast_record(
    batch: ForecastBatch, names: Sequence[str], quantiles_BHQ: np.ndarray, grid: Grid
) -> ForecastRecord:
    """The record of a batch of windows whose series have these `names` in `grid`."""
    settings = batch.sources_B[0].settings
    by_name = {series.name: series for series in grid.series}
    windows = []
    for name, source, origin, quantiles_HQ in zip(
        names, batch.sources_B, batch.origins_B, quantiles_BHQ
    ):
        past = min(origin, max(_PAST * settings.horizon, settings.season))
        stamps = grid.stamps(by_name[name], np.arange(origin - past, origin + settings.horizon))
        times = tuple(stamp_text(stamp, grid.is_time) for stamp in stamps)
        windows.append(
            ForecastWindow(
                series=name,
                past_times=times[:past],
                past=_or_none(source.history(origin)[origin - past :]),
                times=times[past:],
                truth=_or_none(source.truth(origin)),
                quantiles=tuple(map(tuple, quantiles_HQ.tolist())),
            )
        )
    return ForecastRecord(levels=settings.quantiles, is_time=grid.is_time, windows=tuple(windows))


def _or_none(values_T: np.ndarray) -> tuple[float | None, ...]:
    return tuple(None if value != value else value for value in values_T.tolist())
