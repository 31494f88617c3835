"""Windows of series as a model sees them: scaled by their context, with all that is known ahead.

A window ends before its last origin o, the first step that is forecast. It has C + E - 1 positions:
C of context and E - 1 more origins. Location and scale come from the first C of them, so that no
origin's forecast sees what lies behind it; the last E positions forecast. In an evaluation E is 1.

    z_t       = (y_t - location) / scale                     0 where the value is missing
    location  = mean of the context, scale its deviation     scaling "standard"
    location  = 0, scale the mean of |y|                     scaling "mean_abs", Salinas et al. 2020
    target    = (y_{t+h} - base_{t,h}) / scale               h = 1 .. H
    base      = y_{t+h-m}, one season m or more before       base "season"; y_t: base "last"

A position holds z_t, whether y_t was observed, the calendar of the next step, the known covariates
of the next H steps, and where there is a season z_{t+h-m} of those H steps. Where a value of `base`
or of a season before is missing, the last one before it stands in.

    T  positions    H  steps ahead    C  context    E  origins    K  covariates    F  features
"""

from typing import Literal, NamedTuple

import numpy as np

from seqarena.core.config import Config
from seqarena.data.series.grid import Grid, TimeSeries
from seqarena.data.series.times import Step, Unit, calendar_features, num_calendar_features

_TINY = 1e-12


class WindowSettings(Config):
    """All that turns series into windows: what a checkpoint carries."""

    unit: Unit
    count: int
    month_end: bool
    is_time: bool
    horizon: int
    season: int
    context: int
    origins: int
    strategy: Literal["direct", "recursive"]
    quantiles: tuple[float, ...]
    scaling: Literal["standard", "mean_abs", "none"]
    base: Literal["season", "last", "none"]
    covariates: tuple[str, ...] = ()
    covariate_mean: tuple[float, ...] = ()
    covariate_std: tuple[float, ...] = ()

    @property
    def step(self) -> Step:
        """The grid of the series."""
        return Step(self.unit, self.count, self.month_end)

    @property
    def steps_out(self) -> int:
        """Steps that one position forecasts."""
        return self.horizon if self.strategy == "direct" else 1

    @property
    def num_outputs(self) -> int:
        """Numbers that one position gives: of each step each quantile."""
        return self.steps_out * len(self.quantiles)

    @property
    def num_features(self) -> int:
        """Numbers at a position."""
        ahead = len(self.covariates) + (self.season > 1)
        return 2 + num_calendar_features(self.step) + self.steps_out * ahead


class ScaledWindow(NamedTuple):
    """One window, and how its numbers become values again: base + scale * output."""

    inputs_TF: np.ndarray  # float32
    base_EH: np.ndarray  # float64
    scale: float
    location: float


class SeriesWindows:
    """One series, ready for windows at any of its steps."""

    def __init__(self, series: TimeSeries, grid: Grid, settings: WindowSettings) -> None:
        """`grid` is that of the series; behind its end are `horizon` steps without values."""
        self.settings = settings
        self.front = settings.context + settings.origins + settings.season  # steps before the first
        ahead = settings.horizon
        values_N = series.values_T
        self.values_P = np.concatenate(
            [np.full(self.front, np.nan), values_N, np.full(ahead, np.nan)]
        )
        self.filled_P = carried_forward(self.values_P)
        positions_P = np.arange(-self.front, len(values_N) + ahead)
        self.calendar_PF = calendar_features(settings.step, grid.stamps(series, positions_P))
        known_NK = (series.covariates_TC - np.array(settings.covariate_mean)) / np.array(
            settings.covariate_std
        )
        self.known_PK = np.concatenate(
            [
                np.zeros((self.front, known_NK.shape[1])),
                known_NK,
                np.zeros((ahead, known_NK.shape[1])),
            ]
        )

    def __len__(self) -> int:
        return len(self.values_P) - self.front - self.settings.horizon

    def window(self, origin: int, origins: int) -> ScaledWindow:
        """The window whose last origin is step `origin`, with `origins` of them."""
        settings = self.settings
        length = settings.context + origins - 1
        here_T = self.front + origin - length + np.arange(length)
        values_T = self.values_P[here_T]
        location, scale = location_and_scale(values_T[: settings.context], settings.scaling)
        return ScaledWindow(
            self._features(here_T, location, scale),
            self.base(here_T[-origins:], location),
            scale,
            location,
        )

    def targets(self, origin: int, origins: int, window: ScaledWindow) -> np.ndarray:
        """What each origin is asked, float32 [E, H], NaN where a value is missing."""
        here_E = self.front + origin - origins + np.arange(origins)
        ahead_EH = here_E[:, None] + np.arange(1, self.settings.steps_out + 1)
        return ((self.values_P[ahead_EH] - window.base_EH) / window.scale).astype(np.float32)

    def truth(self, origin: int) -> np.ndarray:
        """The values from step `origin` on, float64 [horizon]."""
        first = self.front + origin
        return self.values_P[first : first + self.settings.horizon]

    def history(self, origin: int) -> np.ndarray:
        """The values before step `origin`, float64 [origin], NaN where one is missing."""
        return self.values_P[self.front : self.front + origin]

    def base(self, here_E: np.ndarray, location: float, steps: int | None = None) -> np.ndarray:
        """What forecasts from these places are the distance from, float64 [E, H]."""
        steps = self.settings.steps_out if steps is None else steps
        ahead_EH = here_E[:, None] + np.arange(1, steps + 1)
        if self.settings.base == "none":
            return np.full(ahead_EH.shape, location)
        if self.settings.base == "season" and self.settings.season > 1:
            found_EH = self.filled_P[self._season_before(ahead_EH, here_E)]
        else:
            found_EH = np.broadcast_to(self.filled_P[here_E][:, None], ahead_EH.shape)
        return np.where(np.isnan(found_EH), location, found_EH)

    def base_on_path(self, origin: int, path_PH: np.ndarray, location: float) -> np.ndarray:
        """`base` of the step behind a path's end, [P], where `path_PH` are the values from `origin`
        on: what it needs of them is the path's."""
        return self._before_on_path(origin, path_PH, self.settings.base, location)

    def position_on_path(
        self, origin: int, path_PH: np.ndarray, window: ScaledWindow
    ) -> np.ndarray:
        """The features [P, F] of the position at a path's end, of a recursive model."""
        settings = self.settings
        here = self.front + origin + path_PH.shape[1] - 1
        scaled_P = (path_PH[:, -1] - window.location) / window.scale
        parts = [scaled_P[:, None], np.ones((len(path_PH), 1))]
        beside = [self.calendar_PF[here + 1], self.known_PK[here + 1]]
        parts += [np.broadcast_to(each, (len(path_PH), len(each))) for each in beside]
        if settings.season > 1:
            before_P = self._before_on_path(origin, path_PH, "season", window.location)
            parts.append(((before_P - window.location) / window.scale)[:, None])
        return np.concatenate(parts, axis=-1).astype(np.float32)

    def _before_on_path(
        self, origin: int, path_PH: np.ndarray, base: str, location: float
    ) -> np.ndarray:
        """The value that the next step of a path compares with, [P]."""
        back = self.settings.season if base == "season" else 1
        place = path_PH.shape[1] - back  # from the origin on
        if base == "none":
            value = np.full(len(path_PH), location)
        elif place >= 0:
            return path_PH[:, place]
        else:
            value = np.full(len(path_PH), self.filled_P[self.front + origin + place])
        return np.where(np.isnan(value), location, value)

    def _season_before(self, ahead_EH: np.ndarray, here_E: np.ndarray) -> np.ndarray:
        """The places of the same phase of the last season that is known at `here_E`."""
        season = self.settings.season
        seasons_EH = -(-(ahead_EH - here_E[:, None]) // season)
        return ahead_EH - season * seasons_EH

    def _features(self, here_T: np.ndarray, location: float, scale: float) -> np.ndarray:
        settings = self.settings
        values_T = self.values_P[here_T]
        observed_T = ~np.isnan(values_T)
        scaled_T = np.where(observed_T, (values_T - location) / scale, 0.0)
        parts = [scaled_T[:, None], observed_T[:, None], self.calendar_PF[here_T + 1]]
        ahead_TH = here_T[:, None] + np.arange(1, settings.steps_out + 1)
        if settings.covariates:
            parts.append(self.known_PK[ahead_TH].reshape(len(here_T), -1))
        if settings.season > 1:
            before_TH = self.filled_P[self._season_before(ahead_TH, here_T)]
            parts.append(np.where(np.isnan(before_TH), 0.0, (before_TH - location) / scale))
        return np.concatenate(parts, axis=-1).astype(np.float32)


def location_and_scale(context_C: np.ndarray, scaling: str) -> tuple[float, float]:
    """Of the observed values of a context; 0 and 1 where that says nothing."""
    seen = context_C[~np.isnan(context_C)]
    if scaling == "none" or not len(seen):
        return 0.0, 1.0
    if scaling == "mean_abs":
        scale = float(np.abs(seen).mean())
        return 0.0, scale if scale > _TINY else 1.0
    location, scale = float(seen.mean()), float(seen.std())
    return location, scale if scale > _TINY * max(1.0, abs(location)) else 1.0


def carried_forward(values_T: np.ndarray) -> np.ndarray:
    """The values with each missing one as the last before it; NaN before the first."""
    seen_T = ~np.isnan(values_T)
    last_T = np.maximum.accumulate(np.where(seen_T, np.arange(len(values_T)), -1))
    return np.where(last_T >= 0, values_T[np.maximum(last_T, 0)], np.nan)
