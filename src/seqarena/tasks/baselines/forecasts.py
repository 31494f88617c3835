"""Baselines of forecasting: the last value, the season before, a line; ETS and Theta by a library.

At each origin they read the whole history of the series before it, and nothing behind. Quantiles
are normal around the forecast; the spread of h steps ahead is (Hyndman & Athanasopoulos,
Forecasting: Principles and Practice, 3rd edition, section 5.5), with sigma of the residuals:

    naive           sigma sqrt(h)
    seasonal naive  sigma sqrt(k + 1), k = floor((h - 1) / m)
    drift           sigma sqrt(h (1 + h / (T - 1)))

    T  steps of history    H  steps ahead    Q  quantiles    m  steps of a season
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import norm

from seqarena.core.batch import Batch
from seqarena.core.errors import missing_extra
from seqarena.tasks.base import Ratios, Scores, Split
from seqarena.tasks.baselines.baseline import BaselineResult, result_of
from seqarena.tasks.series.forecasting import ForecastingTask
from seqarena.tasks.series.outputs import ForecastBatch
from seqarena.tasks.series.windows import carried_forward

_ROWS = 64
_LONG_SEASON = 24  # steps: a longer one is taken out by STL before ETS, as in R's stlf
# history_T, season m, horizon H, levels_Q -> quantiles [H, Q]
Forecaster = Callable[[np.ndarray, int, int, np.ndarray], np.ndarray]


def naive(task: ForecastingTask) -> BaselineResult:
    """The last value."""
    return _scored(task, naive_quantiles)


def seasonal_naive(task: ForecastingTask) -> BaselineResult:
    """The value one season before."""
    return _scored(task, seasonal_quantiles, _season_said(task))


def drift(task: ForecastingTask) -> BaselineResult:
    """The line from the first value through the last."""
    return _scored(task, drift_quantiles)


def ets(task: ForecastingTask) -> BaselineResult:
    """Exponential smoothing, its parameters fitted anew at every origin."""
    return _scored(task, ets_quantiles, _season_said(task), validated=False)


def theta(task: ForecastingTask) -> BaselineResult:
    """The Theta method, fitted anew at every origin."""
    return _scored(task, theta_quantiles, _season_said(task), validated=False)


def naive_quantiles(
    history_T: np.ndarray, season: int, horizon: int, levels_Q: np.ndarray
) -> np.ndarray:
    """Of the last value."""
    last = carried_forward(history_T)[-1]
    ahead_H = np.arange(1, horizon + 1)
    return _normal(np.full(horizon, last), _spread(history_T, 1) * np.sqrt(ahead_H), levels_Q)


def seasonal_quantiles(
    history_T: np.ndarray, season: int, horizon: int, levels_Q: np.ndarray
) -> np.ndarray:
    """Of the season before; of the last value where the history is shorter than a season."""
    if len(history_T) < season:
        season = 1
    filled_T, ahead_H = carried_forward(history_T), np.arange(horizon)
    seasons_H = ahead_H // season
    point_H = filled_T[len(filled_T) - season + ahead_H % season]
    point_H = np.where(np.isnan(point_H), filled_T[-1], point_H)
    return _normal(point_H, _spread(history_T, season) * np.sqrt(seasons_H + 1), levels_Q)


def drift_quantiles(
    history_T: np.ndarray, season: int, horizon: int, levels_Q: np.ndarray
) -> np.ndarray:
    """Of the line through the first and the last value that were observed."""
    seen = np.flatnonzero(~np.isnan(history_T))
    steps = max(1, int(seen[-1] - seen[0]))
    slope = float(history_T[seen[-1]] - history_T[seen[0]]) / steps
    ahead_H = np.arange(1, horizon + 1)
    since_H = ahead_H + len(history_T) - 1 - seen[-1]  # the last value may lie back
    spread_H = _spread(history_T, 1, slope) * np.sqrt(ahead_H * (1 + ahead_H / steps))
    return _normal(history_T[seen[-1]] + slope * since_H, spread_H, levels_Q)


def ets_quantiles(
    history_T: np.ndarray, season: int, horizon: int, levels_Q: np.ndarray
) -> np.ndarray:
    """ETS(A, Ad, A), or (A, Ad, N) without a season (Hyndman et al. 2008), by maximum likelihood.
    A season of more than 24 steps is taken out by STL and put back as it was last. Gaps are filled
    by lines.

    Raises UserError where statsmodels is missing.
    """
    try:
        from pandas import Series
        from statsmodels.tsa.exponential_smoothing.ets import ETSModel
        from statsmodels.tsa.seasonal import STL
    except ImportError as error:
        raise missing_extra("statsmodels", "forecasting", "the ETS baseline") from error
    values_T, again_H = _without_gaps(history_T), np.zeros(horizon)
    seasonal = season > 1 and 2 * season < len(values_T)
    if seasonal and season > _LONG_SEASON:
        found_T = STL(values_T, period=season, robust=True).fit().seasonal
        values_T = values_T - found_T
        again_H = found_T[len(found_T) - season + np.arange(horizon) % season]
        seasonal = False
    model = ETSModel(
        Series(values_T), error="add", trend="add", damped_trend=True,
        seasonal="add" if seasonal else None, seasonal_periods=season if seasonal else None,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fits that stop at an edge: their forecast is scored
        fitted: Any = model.fit(disp=False)
        predicted = fitted.get_prediction(start=len(values_T), end=len(values_T) + horizon - 1)
        spread_H = np.sqrt(np.maximum(predicted.forecast_variance, 0))
    return _normal(predicted.predicted_mean + again_H, spread_H, levels_Q)


def theta_quantiles(
    history_T: np.ndarray, season: int, horizon: int, levels_Q: np.ndarray
) -> np.ndarray:
    """The Theta method (Assimakopoulos & Nikolopoulos 2000) with the library's deseasonalising,
    additive where a value is not positive. Gaps are filled by lines.

    Raises UserError where statsmodels is missing.
    """
    try:
        from statsmodels.tsa.forecasting.theta import ThetaModel
    except ImportError as error:
        raise missing_extra("statsmodels", "forecasting", "the Theta baseline") from error
    values_T = _without_gaps(history_T)
    seasonal = season > 1 and 2 * season <= len(values_T)
    method = "auto" if (values_T > 0).all() else "additive"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model: Any = ThetaModel(
            values_T, period=season if seasonal else 1, deseasonalize=seasonal, method=method
        )
        fitted = model.fit()
        point_H = np.asarray(fitted.forecast(horizon))
        low_H = np.asarray(fitted.prediction_intervals(horizon, alpha=0.05))[:, 0]
    spread_H = np.maximum(point_H - low_H, 0) / norm.ppf(0.975)
    return _normal(point_H, spread_H, levels_Q)


def _scored(
    task: ForecastingTask, forecaster: Forecaster, detail: str = "", *, validated: bool = True
) -> BaselineResult:
    return result_of(lambda split: _scores(task, forecaster, split), detail, validated=validated)


def _scores(task: ForecastingTask, forecaster: Forecaster, split: Split) -> Scores:
    settings = task.settings

    def ratios(batch: Batch) -> Ratios:
        assert isinstance(batch, ForecastBatch)
        quantiles_BHQ = np.stack(
            [
                forecaster(
                    source.history(origin), settings.season, settings.horizon, task.quantiles
                )
                for source, origin in zip(batch.sources_B, batch.origins_B)
            ]
        )
        return task.scored(quantiles_BHQ, batch, split)

    return task.score(ratios, split, _ROWS)


def _season_said(task: ForecastingTask) -> str:
    season = task.settings.season
    return f"a season of {season}" if season > 1 else "no season"


def _spread(history_T: np.ndarray, lag: int, slope: float = 0.0) -> float:
    """The root mean square of the changes over `lag` steps, less `slope`."""
    change_T = history_T[lag:] - history_T[:-lag] - slope
    change_T = change_T[~np.isnan(change_T)]
    return float(np.sqrt(np.square(change_T).mean())) if len(change_T) else 0.0


def _normal(point_H: np.ndarray, spread_H: np.ndarray, levels_Q: np.ndarray) -> np.ndarray:
    """Quantiles [H, Q]."""
    return np.asarray(point_H)[:, None] + np.asarray(spread_H)[:, None] * norm.ppf(levels_Q)


def _without_gaps(history_T: np.ndarray) -> np.ndarray:
    """From the first value on, with lines over missing ones."""
    seen = np.flatnonzero(~np.isnan(history_T))
    return np.interp(np.arange(seen[0], len(history_T)), seen, history_T[seen])
