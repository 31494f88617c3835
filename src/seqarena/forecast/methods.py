"""Candidate methods: from the rungs below to every architecture's z above.

    top rung          the order at the top rung goes on
    gap power law     d(x) = d0 exp(-b x), one b for all: gaps shrink or grow by a power of compute
    gap line          d(x) = d0 + d1 x, each its own
    loss power laws   exp(z) = E + A exp(-a x), one E for all, each its own a
    pooled laws       the same with the exponents drawn to their mean, as far as they are alike
    pooled drift      d(x) as a line, a random walk and a deviation of each rung (drift.py)

"with checkpoints" adds differences inside of trainings that went on. `average` takes all methods
alike. A method says means and a covariance: of what the noise of the rungs leaves open, and no
more; what the method itself is wrong by is measured by hiding rungs (backtest.py).

Axes: K architectures, R rungs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from seqarena.forecast.drift import drifted
from seqarena.forecast.evidence import Evidence

_EXPONENTS = np.linspace(-0.25, 0.6, 86)  # of gap power laws
_PARTS_OF_LEAST = np.concatenate([[0.0], 1 - np.geomspace(1, 0.02, 40)[1:]])  # E over the least z


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """z of each architecture at one x, and the covariance that noise leaves of it. Gaps alone are
    meant: a number that is added to all changes nothing."""

    z_K: np.ndarray
    covariance_KK: np.ndarray

    def gap(self, one: int, other: int) -> tuple[float, float]:
        """z of `one` minus z of `other`, and its variance."""
        c = self.covariance_KK
        variance = c[one, one] + c[other, other] - 2 * c[one, other]
        return float(self.z_K[one] - self.z_K[other]), max(0.0, float(variance))


Predictor = Callable[[Evidence, float], Prediction]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to predict, from two rungs or more."""

    name: str
    title: str
    predict: Predictor


def top_rung(evidence: Evidence, x: float) -> Prediction:
    """The gaps of the top rung, wherever x is."""
    return Prediction(z_K=evidence.z_KR[:, -1], covariance_KK=np.diag(evidence.noise_KR[:, -1]))


def gap_power_law(evidence: Evidence, x: float) -> Prediction:
    """d(x) = d0 exp(-b x): b by least squares over all architectures, d0 of each."""
    d_KR, weight_KR = evidence.d_KR, weights(evidence.noise_KR)
    errors = [_power_error(d_KR, weight_KR, np.exp(-b * evidence.x_R)) for b in _EXPONENTS]
    basis_R = np.exp(-_EXPONENTS[int(np.argmin(errors))] * evidence.x_R)
    at = float(np.exp(-_EXPONENTS[int(np.argmin(errors))] * x))
    information_K = (weight_KR * basis_R**2).sum(axis=1)
    d0_K = (weight_KR * basis_R * d_KR).sum(axis=1) / information_K
    return Prediction(z_K=d0_K * at, covariance_KK=np.diag(at**2 / information_K))


def _power_error(d_KR: np.ndarray, weight_KR: np.ndarray, basis_R: np.ndarray) -> float:
    d0_K = (weight_KR * basis_R * d_KR).sum(axis=1) / (weight_KR * basis_R**2).sum(axis=1)
    return float((weight_KR * (d_KR - d0_K[:, None] * basis_R) ** 2).sum())


def gap_line(evidence: Evidence, x: float) -> Prediction:
    """A line through each architecture's d, by weighted least squares."""
    fit = lines(evidence.x_R, evidence.d_KR, weights(evidence.noise_KR))
    return Prediction(z_K=fit.at(x), covariance_KK=np.diag(fit.variance_at(x)))


def gap_line_with_checkpoints(evidence: Evidence, x: float) -> Prediction:
    """The same with the differences half way through each training, which count half."""
    early_KE = evidence.early_z_KE - evidence.early_z_KE.mean(axis=0)
    weight_KR = weights(evidence.noise_KR)
    early_weight_KE = weights(evidence.early_noise_KE) / 2
    fit = lines(
        np.concatenate([evidence.x_R, evidence.early_x_E]),
        np.concatenate([evidence.d_KR, early_KE], axis=1),
        np.concatenate([weight_KR, early_weight_KE], axis=1),
    )
    return Prediction(z_K=fit.at(x), covariance_KK=np.diag(fit.variance_at(x)))


def loss_power_laws(evidence: Evidence, x: float) -> Prediction:
    """exp(z) = E + A exp(-a x) for each architecture, with the E that fits all of them best."""
    return _laws(evidence, x, pooled=False)


def pooled_laws(evidence: Evidence, x: float) -> Prediction:
    """The same; the exponents are drawn to their mean by the share of their spread that is
    noise."""
    return _laws(evidence, x, pooled=True)


@dataclass(frozen=True, kw_only=True)
class Lines:
    """y = height + slope (x - centre), of each of K; `error` is the mean square of the residuals
    beyond the noise, shared by all."""

    centre_K: np.ndarray
    height_K: np.ndarray
    slope_K: np.ndarray
    height_variance_K: np.ndarray
    slope_variance_K: np.ndarray
    loss: float  # weighted sum of squared residuals

    def at(self, x: float) -> np.ndarray:
        return self.height_K + self.slope_K * (x - self.centre_K)

    def variance_at(self, x: float) -> np.ndarray:
        return self.height_variance_K + self.slope_variance_K * (x - self.centre_K) ** 2


def lines(x_R: np.ndarray, y_KR: np.ndarray, weight_KR: np.ndarray) -> Lines:
    """Weighted least squares, all K at once. Weights are one over the variances."""
    total_K = weight_KR.sum(axis=1)
    centre_K = (weight_KR * x_R).sum(axis=1) / total_K
    height_K = (weight_KR * y_KR).sum(axis=1) / total_K
    from_KR = x_R - centre_K[:, None]
    spread_K = (weight_KR * from_KR**2).sum(axis=1)
    slope_K = (weight_KR * from_KR * y_KR).sum(axis=1) / spread_K
    residual_KR = y_KR - height_K[:, None] - slope_K[:, None] * from_KR
    return Lines(
        centre_K=centre_K,
        height_K=height_K,
        slope_K=slope_K,
        height_variance_K=1 / total_K,
        slope_variance_K=1 / spread_K,
        loss=float((weight_KR * residual_KR**2).sum()),
    )


def weights(noise_KR: np.ndarray) -> np.ndarray:
    """One over the noise. No point weighs more than ten times the median one: a noise of nothing is
    a noise that was not measured."""
    if not noise_KR.size:
        return noise_KR
    typical = float(np.median(noise_KR))
    if typical <= 0:
        typical = float(noise_KR.max()) or 1.0
    return 1 / np.maximum(noise_KR, typical / 10)


def _laws(evidence: Evidence, x: float, *, pooled: bool) -> Prediction:
    q_KR, weight_KR = np.exp(evidence.z_KR), weights(evidence.noise_KR)
    fits = []
    for part in _PARTS_OF_LEAST:
        floor = part * float(q_KR.min())
        # d log(q - E) = q / (q - E) dz
        factor_KR = q_KR / (q_KR - floor)
        fit = lines(evidence.x_R, np.log(q_KR - floor), weight_KR / factor_KR**2)
        fits.append((fit.loss, floor, fit))
    _, floor, fit = min(fits, key=lambda one: one[0])
    slope_K, slope_variance_K = fit.slope_K, fit.slope_variance_K
    if pooled and len(slope_K) > 2:
        slope_K, slope_variance_K = drawn_together(slope_K, slope_variance_K)
    away_K = x - fit.centre_K
    over_K = np.exp(fit.height_K + slope_K * away_K)
    variance_K = fit.height_variance_K + slope_variance_K * away_K**2
    share_K = over_K / (over_K + floor)
    return Prediction(z_K=np.log(over_K + floor), covariance_KK=np.diag(variance_K * share_K**2))


def drawn_together(values_K: np.ndarray, variances_K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values drawn to their mean as far as their spread is noise (DerSimonian and Laird 1986), and
    what variance is left of them."""
    weight_K = 1 / variances_K
    mean = float((weight_K * values_K).sum() / weight_K.sum())
    excess = float((weight_K * (values_K - mean) ** 2).sum()) - (len(values_K) - 1)
    scale = float(weight_K.sum() - (weight_K**2).sum() / weight_K.sum())
    between = max(0.0, excess / scale)
    kept_K = between / (between + variances_K)
    mean = float((values_K / (between + variances_K)).sum() / (1 / (between + variances_K)).sum())
    return mean + kept_K * (values_K - mean), kept_K * variances_K


def pooled_drift(evidence: Evidence, x: float) -> Prediction:
    """See drift.py."""
    return Prediction(**drifted(evidence.x_R, evidence.d_KR, evidence.noise_KR, x))


def average(methods: tuple[Method, ...]) -> Predictor:
    """All methods alike: the mean of their means; their covariances, and what they differ by."""

    def predict(evidence: Evidence, x: float) -> Prediction:
        found = [one.predict(evidence, x) for one in methods]
        z_MK = np.array([one.z_K - one.z_K.mean() for one in found])
        between_MK = z_MK - z_MK.mean(axis=0)
        within_KK = np.mean([one.covariance_KK for one in found], axis=0)
        return Prediction(
            z_K=z_MK.mean(axis=0),
            covariance_KK=within_KK + between_MK.T @ between_MK / len(found),
        )

    return predict


_SINGLE = (
    Method(name="top-rung", title="the order at the top rung", predict=top_rung),
    Method(name="gap-law", title="a power law of the gaps", predict=gap_power_law),
    Method(name="gap-line", title="a line through each gap", predict=gap_line),
    Method(
        name="gap-line-checkpoints",
        title="a line through each gap, with checkpoints",
        predict=gap_line_with_checkpoints,
    ),
    Method(name="loss-laws", title="a power law of each loss", predict=loss_power_laws),
    Method(
        name="pooled-laws",
        title="power laws of the losses with pooled exponents",
        predict=pooled_laws,
    ),
    Method(name="pooled-drift", title="a pooled drift of the gaps", predict=pooled_drift),
)
METHODS: Mapping[str, Method] = {
    one.name: one
    for one in (
        *_SINGLE,
        Method(name="average", title="the average of all methods", predict=average(_SINGLE)),
    )
}
