"""The settings of a window where the configuration leaves them to the data's frequency."""

import numpy as np

from seqarena.core.errors import UserError
from seqarena.data.series.grid import Grid
from seqarena.tasks.series.configs import ForecastingConfig
from seqarena.tasks.series.windows import WindowSettings

_MOST_CONTEXT = 192  # where nothing is said: what a recurrent network reads in a moment


def window_settings(config: ForecastingConfig, grid: Grid) -> WindowSettings:
    """The settings that `config` names, and for the rest those of the grid's step. Covariates are
    standardised by all their values, which are known ahead."""
    step = grid.step
    horizon = config.horizon or step.horizon
    season = config.season or step.season
    context = config.context or max(2, min(_MOST_CONTEXT, max(2 * season, 2 * horizon)))
    usual = max(1, context // 2)
    origins = config.origins or (max(usual, horizon) if config.strategy == "recursive" else usual)
    known_NK = np.concatenate([series.covariates_TC for series in grid.series])
    std_K = known_NK.std(axis=0)
    if config.covariates and grid.covariates != config.covariates:
        raise UserError("the embedded series have no covariates: leave covariates out")
    return WindowSettings(
        unit=step.unit,
        count=step.count,
        month_end=step.month_end,
        is_time=grid.is_time,
        horizon=horizon,
        season=season,
        context=context,
        origins=origins,
        strategy=config.strategy,
        quantiles=config.quantiles,
        scaling=config.scaling,
        base=config.base,
        covariates=grid.covariates,
        covariate_mean=tuple(known_NK.mean(axis=0).tolist()),
        covariate_std=tuple(np.where(std_K > 0, std_K, 1.0).tolist()),
    )


def least_history(settings: WindowSettings) -> int:
    """Steps before a training origin: a season and a step more, that its base is known."""
    return max(4, settings.season + 1)
