"""Scores of forecasts, as ratios of sums.

pinball   rho_q(y, f) = max(q (y - f), (q - 1) (y - f))            Koenker & Bassett 1978
MASE      mean |y - f| / a, a = mean |y_t - y_{t-m}| in training   Hyndman & Koehler 2006
sMAPE     mean 200 |y - f| / (|y| + |f|), in percent               Makridakis 1993, as in M4
WQL       mean over q of 2 sum rho_q / sum |y|                     Park et al. 2022
coverage  share of y in the interval from the lowest to the highest quantile

N  forecasts    H  steps    Q  quantiles
"""

import numpy as np


def pinball(truth_NH: np.ndarray, quantiles_NHQ: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """rho_q of each number [N, H, Q]; NaN where the truth is missing."""
    error_NHQ = truth_NH[..., None] - quantiles_NHQ
    return np.maximum(levels * error_NHQ, (levels - 1) * error_NHQ)


def mase_scale(values_T: np.ndarray, season: int) -> float:
    """The mean size of a season's change, over the pairs that are observed. Without a season's
    pair it is that of one step; NaN where there is none, or no change."""
    for lag in dict.fromkeys((season, 1)):
        change_T = np.abs(values_T[lag:] - values_T[:-lag])
        change_T = change_T[~np.isnan(change_T)]
        if len(change_T) and change_T.mean() > 0:
            return float(change_T.mean())
    return float("nan")


def symmetric_error(truth_NH: np.ndarray, point_NH: np.ndarray) -> np.ndarray:
    """The terms of sMAPE in percent; 0 where both are 0."""
    size_NH = np.abs(truth_NH) + np.abs(point_NH)
    error_NH = 200 * np.abs(truth_NH - point_NH)
    return np.divide(
        error_NH, size_NH, out=np.where(np.isnan(size_NH), np.nan, 0.0), where=size_NH > 0
    )


def other_scores(
    truth_NH: np.ndarray, quantiles_NHQ: np.ndarray, levels_Q: np.ndarray
) -> dict[str, tuple[float, float]]:
    """All but MASE as (numerator, denominator), by name; none whose denominator is 0."""
    here_NH = ~np.isnan(truth_NH)
    count = float(here_NH.sum())
    point_NH = quantiles_NHQ[..., levels_Q.tolist().index(0.5)]
    loss_NHQ = 2 * pinball(truth_NH, quantiles_NHQ, levels_Q)
    inside_NH = (quantiles_NHQ[..., 0] <= truth_NH) & (truth_NH <= quantiles_NHQ[..., -1])
    found = {
        "sMAPE": (float(np.nansum(symmetric_error(truth_NH, point_NH))), count),
        "weighted_quantile_loss": (
            float(np.nansum(loss_NHQ.mean(-1))),
            float(np.nansum(np.abs(truth_NH))),
        ),
    }
    if len(levels_Q) > 1:
        share = 100 * (levels_Q[-1] - levels_Q[0])
        found[f"coverage_of_{share:g}%"] = (float((inside_NH & here_NH).sum()), count)
    return {name: sums for name, sums in found.items() if sums[1] > 0}
