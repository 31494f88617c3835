"""The methods on planted laws, and each fast form against an obvious slow one."""

import itertools
import math

import numpy as np
import pytest
from planted_ladders import LAWS, Law, evidence, planted

from seqarena.forecast.drift import drifted, variances
from seqarena.forecast.evidence import Evidence
from seqarena.forecast.methods import METHODS, drawn_together, lines


def test_lines_are_those_of_least_squares() -> None:
    draw = np.random.default_rng(0)
    x_R, y_KR, weight_KR = draw.normal(size=5), draw.normal(size=(3, 5)), draw.uniform(1, 9, (3, 5))
    fit = lines(x_R, y_KR, weight_KR)
    for k in range(3):
        design = np.stack([np.ones(5), x_R], axis=1) * np.sqrt(weight_KR[k])[:, None]
        found, *_ = np.linalg.lstsq(design, y_KR[k] * np.sqrt(weight_KR[k]), rcond=None)
        covariance = np.linalg.inv(design.T @ design)
        at = np.array([1.0, 2.5])
        assert fit.at(2.5)[k] == pytest.approx(at @ found)
        assert fit.variance_at(2.5)[k] == pytest.approx(at @ covariance @ at)


def slow_drift(
    x_R: np.ndarray, d_KR: np.ndarray, noise_KR: np.ndarray, x: float
) -> tuple[np.ndarray, np.ndarray]:
    """Each architecture by itself, each point of the grid by itself, the covariance written out.
    Deviations from a mean of K are widened, and count as K - 1."""
    num_K, num_R = d_KR.shape
    widened = np.sqrt(num_K / (num_K - 1))
    level = 1e4 * ((num_K / (num_K - 1)) * (d_KR**2).mean() + noise_KR.mean())
    places = [*x_R.tolist(), x]
    logs, means, spreads = [], [], []
    for slope, walk, rung in variances(x_R, d_KR * widened):
        log, mean_K, spread_K = 0.0, [], []
        for k in range(num_K):
            c = np.zeros((num_R + 1, num_R + 1))
            for i, j in itertools.product(range(num_R + 1), repeat=2):
                c[i, j] = level + slope * places[i] * places[j]
                c[i, j] += walk * (min(places[i], places[j]) + 50.0)
                if i == j and i < num_R:
                    c[i, j] += rung + noise_KR[k, i] + 1e-12 * level
            seen, inverse = d_KR[k] * widened, np.linalg.inv(c[:num_R, :num_R])
            log += -0.5 * (seen @ inverse @ seen + np.linalg.slogdet(c[:num_R, :num_R])[1])
            mean_K.append(c[num_R, :num_R] @ inverse @ seen / widened)
            spread_K.append(c[num_R, num_R] - c[num_R, :num_R] @ inverse @ c[:num_R, num_R])
        logs.append(log * (num_K - 1) / num_K)
        means.append(mean_K)
        spreads.append(spread_K)
    weight = np.exp(np.array(logs) - max(logs))
    weight /= weight.sum()
    mean_K = weight @ np.array(means)
    apart = np.array(means) - mean_K
    between = sum(w * np.outer(a, a) for w, a in zip(weight, apart))
    return mean_K, between + np.diag(weight @ np.array(spreads))


def test_the_drift_is_that_of_its_slow_form() -> None:
    found = evidence(planted(dict(itertools.islice(LAWS.items(), 3))))
    fast = drifted(found.x_R, found.d_KR, found.noise_KR, 2.0)
    mean_K, covariance_KK = slow_drift(found.x_R, found.d_KR, found.noise_KR, 2.0)
    np.testing.assert_allclose(fast["z_K"], mean_K, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(fast["covariance_KK"], covariance_KK, rtol=1e-4, atol=1e-8)


def test_values_are_drawn_together_by_the_share_that_is_noise() -> None:
    kept, left = drawn_together(np.array([1.0, 2.0, 3.0]), np.full(3, 1e-9))
    np.testing.assert_allclose(kept, [1, 2, 3], atol=1e-6)
    same, none = drawn_together(np.array([1.0, 2.0, 3.0]), np.full(3, 100.0))
    np.testing.assert_allclose(same, 2.0)
    assert none.max() == 0
    assert left.max() > 0


def gaps(method: str, found: Evidence, x: float) -> np.ndarray:
    z_K = METHODS[method].predict(found, x).z_K
    return z_K - z_K.mean()


@pytest.mark.parametrize("method", ["loss-laws", "pooled-laws"])
def test_laws_without_noise_are_carried_on_exactly(method: str) -> None:
    found = evidence(planted(noise=1e-9))
    truth = np.log([law.at(1_000_000) for law in LAWS.values()])
    exact = gaps(method, found, math.log(100.0))
    np.testing.assert_allclose(exact, truth - truth.mean(), atol=4e-3)


def test_a_power_law_of_the_gaps_is_carried_on_exactly() -> None:
    """Gaps of z that shrink by one power of the scale."""
    found = evidence(planted(noise=1e-9))
    d_K = np.array([-0.2, -0.1, 0.0, 0.05, 0.1, 0.15])
    z_KR = 1.0 + d_K[:, None] * np.exp(-0.2 * found.x_R)
    made = Evidence(**{**vars(found), "z_KR": z_KR})
    np.testing.assert_allclose(gaps("gap-law", made, 3.0), d_K * math.exp(-0.6), atol=1e-6)


def test_a_line_of_the_gaps_is_carried_on_by_line_and_nearly_by_drift() -> None:
    found = evidence(planted(noise=1e-9))
    d_K, slope_K = np.linspace(-0.1, 0.1, 6), np.array([0.02, -0.01, 0.0, 0.01, -0.03, 0.01])
    made = Evidence(**{**vars(found), "z_KR": 1 + d_K[:, None] + slope_K[:, None] * found.x_R})
    truth = d_K + 2 * slope_K
    np.testing.assert_allclose(gaps("gap-line", made, 2.0), truth, atol=1e-6)
    np.testing.assert_allclose(gaps("pooled-drift", made, 2.0), truth, atol=5e-3)


def test_the_average_lies_between_its_methods_and_knows_their_spread() -> None:
    found = evidence(planted(noise=0.01))
    several = [gaps(name, found, 3.0) for name in METHODS if name != "average"]
    middle = gaps("average", found, 3.0)
    np.testing.assert_allclose(middle, np.mean(several, axis=0), atol=1e-9)
    prediction = METHODS["average"].predict(found, 3.0)
    apart = np.std([gap[0] - gap[1] for gap in several])
    assert prediction.gap(0, 1)[1] >= apart**2


def test_checkpoints_change_the_line_only_where_there_are_any() -> None:
    found = evidence(planted())
    assert found.early_x_E.size == 0
    np.testing.assert_allclose(
        gaps("gap-line", found, 1.0), gaps("gap-line-checkpoints", found, 1.0)
    )


def test_hidden_rungs_are_out_of_sight() -> None:
    found = evidence(planted())
    changed = found.z_KR.copy()
    changed[:, 3:] = 99.0
    below = Evidence(**{**vars(found), "z_KR": changed}).below(3)
    np.testing.assert_array_equal(below.z_KR, found.z_KR[:, :3])
    assert below.x_R[-1] == 0
    assert len(below.x_R) == 3


def test_identical_laws_have_no_gap() -> None:
    found = evidence(planted({"a": Law(1.6, 0.1), "b": Law(1.6, 0.1)}, noise=1e-9))
    for name in METHODS:
        assert np.abs(gaps(name, found, 3.0)).max() < 1e-4, name
