"""The law of the time to the next event: every probability against an independent one."""

import itertools
import math

import pytest
import torch
from scipy import integrate, stats

from seqarena.tasks.events.gaps import (
    GapScale,
    components,
    gap_log_probability,
    log_normal_between,
    median_gap,
)

SCALE = GapScale(mean=1.3, std=0.7, resolution=0.25)
LAW = torch.tensor([0.3, -0.4, 1.1, -0.5, 0.2, 1.0, 0.1, -1.0, 0.7], dtype=torch.float64)


def density(gap: float) -> float:
    """Of the gap itself: a sum of log-normal densities by scipy."""
    logits, mean, spread = components(LAW)
    weights = logits.softmax(-1)
    return sum(
        float(w) * float(stats.lognorm.pdf(
            gap, s=float(s) * SCALE.std,
            scale=math.exp(float(m) * SCALE.std + SCALE.mean) * SCALE.resolution,
        ))
        for w, m, s in zip(weights, mean, spread)
    )  # fmt: skip


@pytest.mark.parametrize("steps", [0, 1, 2, 7, 40, 300])
def test_a_recorded_gap_is_the_integral_of_the_density_over_its_step(steps: int) -> None:
    ends = [max(0.0, (steps + side) * SCALE.resolution) for side in (-0.5, 0.5)]
    expected, _ = integrate.quad(density, *ends, epsabs=1e-14, epsrel=1e-12)
    found = gap_log_probability(LAW, torch.tensor(float(steps), dtype=torch.float64), SCALE)
    assert float(found) == pytest.approx(math.log(expected), rel=1e-7)


def test_recorded_gaps_share_out_all_probability() -> None:
    steps = torch.arange(20_000, dtype=torch.float64)
    total = gap_log_probability(LAW.expand(len(steps), -1), steps, SCALE).exp().sum()
    assert float(total) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_tails_of_the_normal_law_are_exact(dtype: torch.dtype) -> None:
    cases = [(-1e4, -1.0), (-3.0, 2.0), (5.0, 5.3), (-40.0, -39.5), (0.1, 0.1199), (8.0, 8.019),
             (-25.0, -24.97), (-1e4, -22.0), (1e3, 1.1e3),
             (-1.0, -0.9801), (-1.0, -0.9799), (30.0, 30.01), (3.0, 3.001)]  # fmt: skip
    for a, b in cases:
        low, high = (-b, -a) if a > 0 else (a, b)
        x, y = stats.norm.logcdf(high), stats.norm.logcdf(low)
        expected = x + math.log(-math.expm1(y - x))
        given = (torch.tensor(value, dtype=dtype) for value in (a, b))
        found = float(log_normal_between(*given))
        assert found == pytest.approx(expected, rel=1e-7 if dtype == torch.float64 else 2e-3)


def test_gradients_are_right_and_finite() -> None:
    steps = torch.tensor([0.0, 1.0, 3.0, 500.0], dtype=torch.float64)
    law = LAW.repeat(4, 1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: gap_log_probability(x, steps, SCALE), (law,))
    for mean, spread in itertools.product((-50.0, -0.5, 0.0, 50.0, 1e4), (-40.0, -3.0, 0.0, 9.0)):
        wild = torch.tensor([[0.0, mean, spread]] * 4, requires_grad=True)
        gap_log_probability(wild, steps.float(), SCALE).sum().backward()
        assert wild.grad is not None
        assert wild.grad.isfinite().all()


def test_half_of_the_law_lies_below_its_median() -> None:
    middle = float(median_gap(LAW, SCALE))
    below, _ = integrate.quad(density, 0, middle)
    assert below == pytest.approx(0.5, abs=1e-6)
