"""Forecasting: the next H values of a series, as quantiles, by one model over all series.

A window (tasks/series/windows.py) is scaled by its own context; a causal model reads it and gives,
at each of its last positions, the quantiles of the steps ahead. Training minimises the pinball
loss, twice: that of the median is then the absolute error. Evaluations roll through the end of each
series (tasks/series/origins.py). A missing value asks nothing.

The metric is MASE, of the median: the mean absolute error in units of what a series' seasonal
naive forecast errs in training. It has no unit, so that series of any size count alike and may be
compared; a level far from zero does not flatter it, as it does sMAPE and the weighted quantile
loss (an error of 1 ppm of CO2 is .003 of its level); it is defined at zero; and it is the same
whether quantiles are asked for or a point. Slices: the other scores, coverage, and MASE by step and
by series.

    B  examples    T  positions    H  steps    Q  quantiles    V  outputs: H * Q
"""

import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from seqarena.core.batch import Batch, Problem, asked
from seqarena.core.config import digest
from seqarena.core.errors import UserError
from seqarena.core.results.forecast_windows import ForecastRecord
from seqarena.core.words import plural
from seqarena.data.batches import spread
from seqarena.data.series.load import SeriesData, load_series
from seqarena.tasks.base import Ratios, Scores, Split, Task
from seqarena.tasks.series.configs import ForecastingConfig
from seqarena.tasks.series.metrics import mase_scale, other_scores
from seqarena.tasks.series.origins import Origins, OriginSampler, rolling_origins
from seqarena.tasks.series.outputs import ForecastBatch, as_batch, forecast, forecast_batch
from seqarena.tasks.series.settings import least_history, window_settings
from seqarena.tasks.series.shown import forecast_record
from seqarena.tasks.series.store import load_grid, save_grid
from seqarena.tasks.series.windows import SeriesWindows, WindowSettings
from seqarena.tasks.survey import SplitSurvey, Survey

if TYPE_CHECKING:
    from seqarena.tasks.baselines.baseline import Baseline

_READING = ("data", "time", "time_format", "series", "target", "covariates", "repair", "encoding")
_MOST_SERIES = 12  # that have a slice each
_STEP_GROUPS = 3
_SHOWN = 4  # windows on the page
_BY_LIBRARY = ("ETS", "Theta")
_WITHOUT_LIBRARY = (
    "no ETS and Theta baselines: they need the package 'statsmodels': pip install "
    "'seqarena[forecasting]'"
)


class ForecastingTask(Task):
    """Quantiles of the steps ahead, at every origin."""

    Config = ForecastingConfig
    name = "forecasting"
    metric = "MASE"
    lower_is_better = True
    causal = True
    reading_settings = tuple(name for name in _READING if name != "data")

    def __init__(
        self,
        config: ForecastingConfig,
        data: SeriesData | None = None,
        settings: WindowSettings | None = None,
    ) -> None:
        """`data` and `settings` are those of `config` unless given. Raises UserError for data that
        cannot be read, and for series that are all too short."""
        self.config = config
        data = data or load_series(config.data, config)
        self.data, self.reading = data, data.reading
        self.settings = settings or window_settings(config, data.grid)
        self._choose_series()
        self.quantiles = np.array(self.settings.quantiles)
        self.vocab_size = self.settings.num_outputs
        self.sequence_length = self.settings.context + self.settings.origins - 1
        self.sampler = OriginSampler(
            [each.train_end for each in self.origins],
            self.settings.origins,
            min(self.settings.context, least_history(self.settings)),
        )
        self._examples: dict[Split, list[tuple[int, int]]] = {
            split: [(k, o) for k, each in enumerate(self.origins) for o in getattr(each, split)]
            for split in ("validation", "test")
        }

    def _choose_series(self) -> None:
        """The series that are long enough and change in training, with their origins."""
        settings, horizon = self.settings, self.settings.horizon
        self.series: list[SeriesWindows] = []
        self.names: list[str] = []
        self.origins: list[Origins] = []
        self.mase_scales: list[float] = []
        short, constant = [], []
        for series in self.data.grid.series:
            seen = np.flatnonzero(~np.isnan(series.values_T))
            found = None
            if len(seen):
                found = rolling_origins(
                    int(seen[-1]) + 1,
                    horizon=horizon,
                    stride=self.config.stride or horizon,
                    windows=self.config.windows,
                    least=least_history(settings) + horizon,
                )
            if found is None:
                short.append(series.name)
                continue
            scale = mase_scale(series.values_T[: found.train_end], settings.season)
            if np.isnan(scale):
                constant.append(series.name)
                continue
            self.series.append(SeriesWindows(series, self.data.grid, settings))
            self.names.append(series.name)
            self.origins.append(found)
            self.mase_scales.append(scale)
        self._left_out(short, "too short", constant)

    def _left_out(self, short: list[str], why: str, constant: list[str]) -> None:
        if not self.series:
            horizon, longest = (
                self.settings.horizon,
                max(len(series.values_T) for series in self.data.grid.series),
            )
            raise UserError(
                f"{self.data.name}: no series can be forecast: the longest has {longest:,} steps, "
                f"and a horizon of {horizon} with its tests needs more, or it never changes: "
                "choose a smaller --set horizon=N, season=N or windows=N"
            )
        for names, reason in ((short, why), (constant, "they do not change in training")):
            if names and self.reading is not None:
                shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
                self.reading.note(f"{len(names):,} series left out, {reason}: {shown}")

    @classmethod
    def evaluation_of(
        cls, config: ForecastingConfig, artifacts: Mapping[str, str], data: str
    ) -> "ForecastingTask":
        settings = WindowSettings.model_validate_json(artifacts["settings"])
        found = load_series(data, config, step=settings.step)
        if found.grid.covariates != settings.covariates:
            raise UserError(f"{data}: the model knows the covariates {settings.covariates}")
        task = cls(config, found, settings)
        assert task.reading is not None
        task.reading.note(f"{data}: the last windows of each series are scored")
        return task

    def save_prepared(self, folder: Path) -> bool:
        save_grid(folder, self.data)
        return True

    @classmethod
    def load_prepared(cls, config: ForecastingConfig, folder: Path) -> "ForecastingTask":
        return cls(config, load_grid(folder))

    @property
    def problem(self) -> Problem:
        return Problem(
            targets="numbers",
            num_outputs=self.settings.num_outputs,
            features=self.settings.num_features,
            causal=True,
            max_length=self.sequence_length + self._steps_read,
        )

    @property
    def _steps_read(self) -> int:
        """Positions that a recursive forecast adds to a context."""
        return self.settings.horizon if self.settings.strategy == "recursive" else 0

    def steps_per_epoch(self, batch_size: int) -> int:
        return -(-self.sampler.windows_per_epoch // batch_size)

    def training_batch(self, index: int, batch_size: int, *, seed: int) -> Batch:
        series_B, origin_B = self.sampler.batch(index, batch_size, seed=seed)
        count, windows, targets = self.settings.origins, [], []
        for number, origin in zip(series_B, origin_B):
            source = self.series[number]
            window = source.window(int(origin), count)
            asked_EH = source.targets(int(origin), count, window)
            behind = self.origins[number].train_end - int(origin)  # steps left from the last origin
            ahead_EH = np.arange(count)[::-1, None] + behind - np.arange(asked_EH.shape[1])
            windows.append(window)
            targets.append(np.where(ahead_EH > 0, asked_EH, np.nan).astype(np.float32))
        return as_batch(windows, targets, self.settings)

    def num_evaluation_examples(self, split: Split) -> int:
        return len(self._examples[split])

    def evaluation_batches(
        self, split: Split, batch_size: int, max_batches: int | None = None
    ) -> Iterator[ForecastBatch]:
        selected = self._num_selected(split, batch_size, max_batches)
        chosen = spread(self.num_evaluation_examples(split), selected)
        for first in range(0, selected, batch_size):
            yield self.scored_batch(split, chosen[first : first + batch_size])

    def scored_batch(self, split: Split, chosen_B: Sequence[int] | np.ndarray) -> ForecastBatch:
        """Those windows of a split, each with one origin."""
        found = [self._examples[split][int(number)] for number in chosen_B]
        return forecast_batch(
            [self.series[number] for number, _ in found],
            [origin for _, origin in found],
            [int(number) for number in chosen_B],
        )

    def loss(self, logits_BTV: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        """Twice the mean pinball loss of the scaled values that are asked."""
        if label_smoothing:
            raise UserError("forecasting asks for numbers: leave label smoothing at 0")
        outputs_BTV = logits_BTV.float()
        levels_V = torch.tensor(self.settings.quantiles).repeat(self.settings.steps_out)
        levels_V = levels_V.to(outputs_BTV)
        targets_BTV = batch.targets_BT.to(outputs_BTV.device).view_as(outputs_BTV)
        here_BTV = asked(targets_BTV)
        error = targets_BTV[here_BTV] - outputs_BTV[here_BTV]
        level = levels_V.expand_as(targets_BTV)[here_BTV]
        return 2 * torch.maximum(level * error, (level - 1) * error).mean()

    def evaluate(
        self,
        predict: Callable[[Batch], Tensor],
        split: Split,
        batch_size: int,
        max_batches: int | None = None,
    ) -> Scores:
        """As of every task; a recursive forecast calls `predict` for every step."""

        def ratios(batch: Batch) -> Ratios:
            assert isinstance(batch, ForecastBatch)
            return self.scored(forecast(predict, batch, self.config.paths), batch, split)

        return self.score(ratios, split, batch_size, max_batches)

    def num_scored(self, batch: Batch) -> int:
        """Values, and not each of their quantiles."""
        return super().num_scored(batch) // len(self.quantiles)

    def ratios(self, logits_BTV: Tensor, batch: Batch) -> Ratios:
        """Of a direct model's outputs for a batch of `evaluation_batches`, test or validation."""
        assert isinstance(batch, ForecastBatch)
        return self.scored(forecast(lambda _: logits_BTV, batch, 1), batch, "test")

    def scored(self, quantiles_BHQ: np.ndarray, batch: ForecastBatch, split: Split) -> Ratios:
        """The sums of all scores, of quantiles of values [B, horizon, Q]."""
        truth_BH = np.stack([s.truth(o) for s, o in zip(batch.sources_B, batch.origins_B)])
        numbers_B = np.array([self._examples[split][number][0] for number in batch.numbers_B])
        scale_B1 = np.array(self.mase_scales)[numbers_B, None]
        here_BH = ~np.isnan(truth_BH)
        point_BH = quantiles_BHQ[..., self.settings.quantiles.index(0.5)]
        error_BH = np.where(here_BH, np.abs(truth_BH - point_BH) / scale_B1, 0.0)
        slices = other_scores(truth_BH, quantiles_BHQ, self.quantiles)
        for steps in np.array_split(np.arange(truth_BH.shape[1]), _STEP_GROUPS):
            if truth_BH.shape[1] > _STEP_GROUPS:
                name = f"step {steps[0] + 1}-{steps[-1] + 1}"
                slices[name] = _sums(error_BH[:, steps], here_BH[:, steps])
        if 1 < len(self.names) <= _MOST_SERIES:
            for number in np.unique(numbers_B):
                rows = numbers_B == number
                slices[f"series {self.names[number]}"] = _sums(error_BH[rows], here_BH[rows])
        return Ratios(error_BH.sum(1), here_BH.sum(1).astype(np.float64), slices)

    def shown(self, predict: Callable[[Batch], Tensor]) -> tuple[ForecastRecord, ...]:
        """Some windows of the test, the last one among them."""
        count = self.num_evaluation_examples("test")
        chosen_B = np.unique(np.linspace(count - 1, 0, min(_SHOWN, count)).round().astype(int))
        batch = self.scored_batch("test", chosen_B)
        found_BHQ = forecast(predict, batch, self.config.paths)
        names = [self.names[self._examples["test"][number][0]] for number in chosen_B]
        return (forecast_record(batch, names, found_BHQ, self.data.grid),)

    def describe(self) -> dict[str, Any]:
        settings = self.settings
        return {
            "name": self.data.name,
            "origin": self.data.origin,
            "sha256": self.data.sha256,
            "series": len(self.series),
            "step": settings.step.words,
            "season": settings.season,
            "horizon": settings.horizon,
            "context": settings.context,
            "strategy": settings.strategy,
            "loss": "twice the pinball loss",
            "quantiles": settings.quantiles,
            "splits": {name: {"windows": size} for name, size in self._sizes().items()},
            "sequence_length": self.sequence_length,
        }

    def _sizes(self) -> dict[str, int]:
        held = {name: len(found) for name, found in self._examples.items()}
        return {"train": self.sampler.windows_per_epoch, **held}

    def baselines(self) -> "tuple[Baseline, ...]":
        """All where the library of ETS and Theta is there."""
        left_out = () if _has_library() else _BY_LIBRARY
        return tuple(row for row in super().baselines() if row.name not in left_out)

    def baselines_left_out(self) -> str:
        return "" if _has_library() else _WITHOUT_LIBRARY

    def survey(self) -> Survey:
        settings = self.settings
        trained_N = np.array([each.train_end for each in self.origins])
        parts = {
            name: SplitSurvey(
                examples=size,
                lengths_N={"training steps": trained_N} if name == "train" else {},
            )
            for name, size in self._sizes().items()
        }
        season = f"a season of {settings.season}" if settings.season > 1 else "no season"
        return Survey(
            parts,
            noun="window",
            in_files="row",
            how="by time: the end of each series tests, what is before it validates",
            notes=(
                f"{len(self.series):,} series, {settings.step.words} from step to step, {season}",
                f"{plural(settings.horizon, 'step')} are forecast from {settings.context} before",
                *filter(None, [self.baselines_left_out()]),
            ),
        )

    def digest(self) -> str:
        # how tables are read shows in the series
        settings = self.config.model_dump(mode="json", exclude=set(_READING))
        return digest({**settings, "sha256": self.data.sha256})

    def artifacts(self) -> dict[str, str]:
        return {
            "settings": self.settings.model_dump_json(),
            "scales": json.dumps(dict(zip(self.names, self.mase_scales))),
        }


def _has_library() -> bool:
    return importlib.util.find_spec("statsmodels") is not None


def _sums(error_BH: np.ndarray, here_BH: np.ndarray) -> tuple[float, float]:
    return float(error_BH.sum()), float(here_BH.sum())
