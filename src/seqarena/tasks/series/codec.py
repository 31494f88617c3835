"""From a table of series to rows of forecasts, by a checkpoint alone."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.data.series.grid import Grid, TimeSeries
from seqarena.data.series.load import load_series
from seqarena.data.series.times import stamp_text
from seqarena.tasks.base import Answer, Codec
from seqarena.tasks.series.configs import ForecastingConfig
from seqarena.tasks.series.outputs import ForecastBatch, forecast, forecast_batch
from seqarena.tasks.series.windows import SeriesWindows, WindowSettings


class ForecastingCodec(Codec):
    """A series as JSON -> the rows of its forecast: series, time, forecast and its quantiles."""

    prompt = "the path of a table of series"

    def __init__(self, config: ForecastingConfig, settings: WindowSettings) -> None:
        self.config, self.settings = config, settings
        levels = settings.quantiles if len(settings.quantiles) > 1 else ()
        self.table = ("series", "time", "forecast", *(f"{level:g}" for level in levels))

    @classmethod
    def from_artifacts(
        cls, config: ForecastingConfig, artifacts: Mapping[str, str]
    ) -> "ForecastingCodec":
        return cls(config, WindowSettings.model_validate_json(artifacts["settings"]))

    def inputs(self, config: ForecastingConfig, file: Path) -> Iterator[str]:
        """The series of a table, each as JSON. Known covariates reach `horizon` rows further than
        the values. Raises UserError with file and line."""
        grid = load_series(file, config, step=self.settings.step).grid
        if grid.is_time != self.settings.is_time:
            raise UserError(f"{file}: its times are of another kind than those of training")
        for series in grid.series:
            seen = np.flatnonzero(~np.isnan(series.values_T))
            end = int(seen[-1]) + 1 if len(seen) else 0
            ahead = len(series.values_T) - end
            if self.settings.covariates and ahead < self.settings.horizon:
                raise UserError(
                    f"{file}: series {series.name!r}: the covariates of {self.settings.horizon} "
                    f"steps ahead are needed, and {ahead} are there: add rows without a value"
                )
            yield json.dumps(
                {
                    "series": series.name,
                    "first": series.first,
                    "values": [None if v != v else v for v in series.values_T[:end].tolist()],
                    "covariates": series.covariates_TC[: end + self.settings.horizon].tolist()
                    if self.settings.covariates
                    else [],
                }
            )

    def encode(self, items: Sequence[str]) -> ForecastBatch:
        """Raises UserError for a text that is no series."""
        series = [self._series(item) for item in items]
        grid = Grid(tuple(series), self.settings.step, self.settings.is_time)
        sources = [SeriesWindows(each, grid, self.settings) for each in series]
        origins = [len(json.loads(item)["values"]) for item in items]
        batch = forecast_batch(sources, origins, range(len(items)))
        batch.names_B = tuple(each.name for each in series)
        batch.stamps_B = tuple(
            grid.stamps(each, origin + np.arange(self.settings.horizon))
            for each, origin in zip(series, origins)
        )
        return batch

    def _series(self, item: str) -> TimeSeries:
        try:
            fields = json.loads(item)
            values_T = np.array(fields["values"], dtype=np.float64)
            known_TK = np.array(fields["covariates"], dtype=np.float64)
            name, first = str(fields["series"]), int(fields["first"])
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"{item[:40]!r}: no series: give a table, as seqarena predict RUN table.csv"
            ) from error
        if np.isnan(values_T).all():
            raise UserError(f"series {name!r} has no value to go on from")
        ahead = len(known_TK) - len(values_T) if self.settings.covariates else 0
        values_T = np.concatenate([values_T, np.full(ahead, np.nan)])
        known_TK = known_TK.reshape(len(values_T), len(self.settings.covariates))
        return TimeSeries(name, first, values_T, known_TK)

    def run(self, answer: Callable[[Batch], Tensor], batch: Batch) -> Tensor:
        """The quantiles of the values, [B, horizon, Q]."""
        assert isinstance(batch, ForecastBatch)
        return torch.from_numpy(forecast(answer, batch, self.config.paths))

    def decode(self, outputs: Tensor, batch: Batch) -> list[Answer]:
        """Rows of CSV, one a step."""
        assert isinstance(batch, ForecastBatch)
        point = self.settings.quantiles.index(0.5)
        answers = []
        for name, stamps_H, quantiles_HQ in zip(batch.names_B, batch.stamps_B, outputs.numpy()):
            written = io.StringIO()
            rows = csv.writer(written, lineterminator="\n")
            for stamp, quantiles_Q in zip(stamps_H, quantiles_HQ.tolist()):
                numbers = quantiles_Q if len(quantiles_Q) > 1 else []
                shown = [f"{number:.7g}" for number in (quantiles_Q[point], *numbers)]
                rows.writerow([name, stamp_text(int(stamp), self.settings.is_time), *shown])
            answers.append(Answer(written.getvalue()))
        return answers
