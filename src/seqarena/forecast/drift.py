"""Gaps that drift: each d is a line plus a random walk plus a deviation of each rung.

    d(x) = level + slope x + walk(x) + rung + noise
    level ~ anything   slope ~ N(0, s^2)   walk' ~ N(0, w^2 per unit of x)   rung ~ N(0, r^2)

s, w and r are shared by all architectures (partial pooling): where gaps have hardly moved from rung
to rung, they are small for all and the forecast stays near the last gaps; where each went its own
way, the doubt grows with the distance. They are not fixed but averaged over a grid, each weighed by
how well it explains all architectures, so that few rungs give wide intervals. `rung` is what a rung
adds beyond its seeds: a coarse grid of learning rates, a width that divides well.

It is a Gaussian process; the obvious slow form is in the tests.

Axes: G points of the grid, K architectures, R rungs.
"""

import itertools

import numpy as np

_PARTS = (0.0, 0.12, 0.25, 0.5, 1.0, 2.0)  # of the typical step, for each of the three deviations


def drifted(
    x_R: np.ndarray, d_KR: np.ndarray, noise_KR: np.ndarray, x: float
) -> dict[str, np.ndarray]:
    """`z_K` at x, and `covariance_KK`."""
    mean_GK, variance_GK, weight_G = on_grid(x_R, d_KR, noise_KR, x)
    mean_K = weight_G @ mean_GK
    between_GK = mean_GK - mean_K
    covariance_KK = (between_GK * weight_G[:, None]).T @ between_GK
    return {"z_K": mean_K, "covariance_KK": covariance_KK + np.diag(weight_G @ variance_GK)}


def on_grid(
    x_R: np.ndarray, d_KR: np.ndarray, noise_KR: np.ndarray, x: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and variance at x of each architecture at each point of the grid, and its weight.

    Deviations from a mean of K are narrower by (K - 1) / K than what each would be by itself: they
    are widened, and count as K - 1."""
    num_K = len(d_KR)
    d_KR = d_KR * np.sqrt(num_K / (num_K - 1))
    grid_G3 = variances(x_R, d_KR)
    slope_RR, walk_RR, rung_RR = kernels(x_R, x_R)
    rung_RR = np.eye(len(x_R))
    common_GRR = np.einsum("gi,irs->grs", grid_G3, np.array([slope_RR, walk_RR, rung_RR]))
    level = 1e4 * (float((d_KR**2).mean()) + float(noise_KR.mean()) + 1e-12)
    total_GKRR = common_GRR[:, None] + level + np.einsum("kr,rs->krs", noise_KR, np.eye(len(x_R)))
    total_GKRR = total_GKRR + 1e-12 * level * np.eye(len(x_R))
    solved_GKR = np.linalg.solve(total_GKRR, d_KR[None, :, :, None])[..., 0]
    _, logdet_GK = np.linalg.slogdet(total_GKRR)
    fit_G = -0.5 * ((solved_GKR * d_KR).sum(-1) + logdet_GK).sum(-1) * (num_K - 1) / num_K
    weight_G = np.exp(fit_G - fit_G.max())
    weight_G /= weight_G.sum()
    slope_R, walk_R, _ = kernels(np.array([x]), x_R)
    cross_GR = grid_G3[:, :1] * slope_R[0] + grid_G3[:, 1:2] * walk_R[0] + level
    mean_GK = (solved_GKR * cross_GR[:, None]).sum(-1)
    (own_slope,), (own_walk,), _ = (one[0] for one in kernels(np.array([x]), np.array([x])))
    prior_G = grid_G3[:, 0] * own_slope + grid_G3[:, 1] * own_walk + level
    gain_GKR = np.linalg.solve(total_GKRR, cross_GR[:, None, :, None])[..., 0]
    variance_GK = prior_G[:, None] - (gain_GKR * cross_GR[:, None]).sum(-1)
    return mean_GK * np.sqrt((num_K - 1) / num_K), np.maximum(variance_GK, 0.0), weight_G


def kernels(x_A: np.ndarray, x_B: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The covariances of slope, walk and rung for one unit of their variances. The walk starts at
    the lowest x; slopes turn about the top rung, x = 0."""
    x_A1, x_1B = x_A[:, None], x_B[None, :]
    low = -50.0  # a start that is far below: the level takes what was before
    return x_A1 * x_1B, np.minimum(x_A1, x_1B) - low, (x_A1 == x_1B).astype(float)


def variances(x_R: np.ndarray, d_KR: np.ndarray) -> np.ndarray:
    """The grid of s^2, w^2 and r^2, in parts of the typical step from rung to rung."""
    steps_KR = np.diff(d_KR, axis=1)
    per_x = float(np.mean(np.diff(x_R)))
    size = float((steps_KR**2).mean()) + 1e-16
    unit = np.array([size / per_x**2, size / per_x, size / 2])
    return np.array(list(itertools.product(_PARTS, repeat=3))) ** 2 * unit
