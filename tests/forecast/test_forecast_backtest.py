"""What hiding rungs finds, and how honest it is."""

import math

import numpy as np
import pytest
from planted_ladders import LAWS, Law, evidence, planted
from scipy import stats

from seqarena.core.results.forecasts import MethodScore
from seqarena.forecast.backtest import (
    Calibration,
    GapError,
    backtest,
    calibrate,
    calibrated_elsewhere,
    choose,
    common_error,
    errors_of,
    fewest_below,
    is_told,
    score,
)
from seqarena.forecast.methods import METHODS


def test_every_hidden_gap_is_predicted_from_below() -> None:
    found = evidence(planted())
    errors = errors_of(METHODS["top-rung"], found)
    # 15 pairs; rungs 4 and 5 from the three below, rung 5 from the four below
    assert len(errors) == 15 * 3
    first = errors[0]
    assert first.predicted == pytest.approx(found.z_KR[0, 2] - found.z_KR[1, 2])
    assert first.found == pytest.approx(found.z_KR[0, 3] - found.z_KR[1, 3])
    assert first.distance == pytest.approx(found.x_R[3] - found.x_R[2])
    assert [fewest_below(n) for n in (3, 4, 5, 8)] == [2, 2, 3, 3]


def invented(own: tuple[float, ...], *, rungs: int = 200, seed: int = 0) -> list[GapError]:
    """Errors of every pair of architectures whose model errors are `own`, on many hidden rungs."""
    draw = np.random.default_rng(seed)
    errors = []
    for hidden in range(rungs):
        distance = float(draw.choice([1.4, 2.8]))
        off_K = draw.normal(0, np.array(own) * distance)
        for one in range(len(own)):
            for other in range(one):
                noise = draw.normal(0, math.hypot(0.01, 0.02))
                gap = off_K[one] - off_K[other] + noise
                errors.append(GapError(one, other, hidden, distance, 0.0, 1e-4, gap, 4e-4))
    return errors


def test_the_model_error_makes_squared_errors_as_large_as_expected() -> None:
    errors = invented((0.03,) * 5)
    assert calibrate(errors, 5).model_error == pytest.approx(0.03 * math.sqrt(2), rel=0.1)
    quiet = [e._replace(found=e.found / 100) for e in errors]
    assert calibrate(quiet, 5).model_error == 0


def test_an_architecture_that_leaps_is_doubted_more() -> None:
    own = (0.01, 0.02, 0.03, 0.08)
    found = calibrate(invented(own), 4)
    assert np.allclose(found.model_errors, own, rtol=0.25)
    # on one hidden rung the common error counts more than the own
    few = calibrate(invented(own, rungs=1, seed=3), 4).model_errors
    assert max(few) / min(few) < max(own) / min(own)
    a, b = found.model_errors[0], found.model_errors[3]
    assert found.deviation(0.03**2, 2.0, 0, 3) == pytest.approx(math.hypot(0.03, 2 * a, 2 * b))


def test_an_error_is_scored_by_what_was_found_elsewhere() -> None:
    errors = invented((0.03,) * 4, rungs=3)
    loud = [e._replace(found=50.0) if e.hidden == 1 else e for e in errors]
    for error, calibration in calibrated_elsewhere(loud, 4):
        assert (calibration.model_error > 1) == (error.hidden != 1)
    one_rung = [e for e in loud if e.hidden == 1]
    one_rung = [e._replace(found=0.01) if 0 in (e.one, e.other) else e for e in one_rung]
    for error, calibration in calibrated_elsewhere(one_rung, 4):
        if {error.one, error.other} == {1, 0}:
            assert calibration.model_error > 1  # by the pair of 2 and 3 alone
        if {error.one, error.other} == {2, 3}:
            assert calibration.model_error < 1


def test_the_bisection_is_the_root_that_a_scan_finds() -> None:
    errors = errors_of(METHODS["gap-line"], evidence(planted(noise=0.02)))
    grid = np.linspace(0, 0.1, 20001)
    squared = [
        np.mean(
            [
                (e.predicted - e.found) ** 2 / (e.variance + e.noise + (s * e.distance) ** 2)
                for e in errors
            ]
        )
        for s in grid[:: 20 if grid[1] else 1]
    ]
    scanned = grid[::20][int(np.argmax(np.array(squared) <= 1))]
    assert common_error(errors) == pytest.approx(scanned, abs=1.1e-4)


def test_a_score_is_of_the_probability_and_the_interval() -> None:
    calibration = Calibration(model_errors=(0.06, 0.08), degrees=5)
    error = GapError(0, 1, 4, 2.0, 0.3, 0.0, -0.1, 0.0)
    found = score(error, calibration)
    assert found.probability == pytest.approx(stats.t.cdf(0.3 / 0.2, 5))
    assert not found.right
    assert found.squared == pytest.approx(found.probability**2)
    assert not found.inside  # 0.4 away, and t times 0.2 is 0.295
    assert found.log_score == pytest.approx(-stats.t.logpdf(-0.4, 5, scale=0.2))
    assert score(error._replace(found=0.05), calibration).inside
    assert score(error._replace(noise=0.25), calibration).inside  # a truth that is not known well


def test_identical_architectures_abstain() -> None:
    """A null: whatever the seeds say, pairs of one law are rarely told apart."""
    told = total = 0
    for seed in range(6):
        laws = {f"same-{k}": Law(1.6, 0.1) for k in range(4)}
        found = evidence(planted(laws, seed=seed, noise=0.02))
        scores = [backtest(method, found) for method in METHODS.values()]
        method = list(METHODS.values())[choose(scores)]
        calibration = calibrate(errors_of(method, found), 4)
        prediction = method.predict(found, math.log(100.0))
        for one in range(4):
            for other in range(one):
                gap, variance = prediction.gap(one, other)
                deviation = calibration.deviation(variance, math.log(100.0), one, other)
                told += is_told(calibration.probability(gap, deviation))
                total += 1
    # each side of a symmetric null is beyond the threshold in 20 %
    assert told / total <= 0.4


def test_the_chosen_method_covers_and_tells_the_right_order_on_planted_laws() -> None:
    inside, right, told, squared = [], [], [], []
    for seed in range(8):
        draw = np.random.default_rng(seed)
        laws = {
            name: Law(law.amount * math.exp(0.05 * draw.standard_normal()),
                      law.exponent + 0.01 * draw.standard_normal())
            for name, law in LAWS.items()
        }  # fmt: skip
        found = evidence(planted(laws, seed=seed, noise=0.01))
        scores = [backtest(method, found) for method in METHODS.values()]
        method = list(METHODS.values())[choose(scores)]
        calibration = calibrate(errors_of(method, found), len(laws))
        x = math.log(10.0)
        prediction = method.predict(found, x)
        truth = np.log([law.at(100_000 * math.sqrt(10)) for law in laws.values()])
        for one in range(len(laws)):
            for other in range(one):
                gap, variance = prediction.gap(one, other)
                error = GapError(one, other, 5, x, gap, variance, truth[one] - truth[other], 0.0)
                found_score = score(error, calibration)
                inside.append(found_score.inside)
                squared.append(found_score.squared)
                if is_told(found_score.probability):
                    told.append(1)
                    right.append(found_score.right)
    assert np.mean(right) >= 0.85
    assert 1 - len(told) / len(squared) <= 0.4
    assert np.mean(squared) <= 0.15
    assert np.mean(inside) >= 0.7


def test_a_method_that_is_wrong_everywhere_is_not_chosen() -> None:
    """Gaps that shrink by a power: a line through them changes signs that stay."""
    base = evidence(planted(noise=1e-9))
    d_K = np.array([-0.2, -0.1, -0.02, 0.05, 0.1, 0.17])
    z_KR = 1.0 + d_K[:, None] * np.exp(-0.25 * base.x_R)
    found = type(base)(**{**vars(base), "z_KR": z_KR, "noise_KR": np.full((6, 5), 1e-6)})
    scores = {name: backtest(method, found) for name, method in METHODS.items()}
    assert scores["gap-law"].brier < scores["gap-line"].brier
    assert list(METHODS)[choose(list(scores.values()))] == "gap-law"


def test_the_density_of_what_was_found_decides() -> None:
    wide = MethodScore(
        method="a", title="a", brier=0.0, accuracy=1, abstained=0, coverage=0.8, log_score=3.0,
        model_error=1.0, pairs=1,
    )  # fmt: skip
    sharp = wide.model_copy(update={"method": "b", "brier": 0.1, "log_score": -2.0})
    assert choose([wide, sharp]) == 1
    assert choose([sharp, sharp]) == 0
