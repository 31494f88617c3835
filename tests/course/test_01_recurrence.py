"""Answers to the exercises of the course's first lesson."""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


def central_differences(loss: Callable[[Array], float], at: Array, step: float = 1e-6) -> Array:
    """The gradient of `loss` from its values alone."""
    found = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        moved = np.zeros_like(at)
        moved[index] = step
        found[index] = (loss(at + moved) - loss(at - moved)) / (2 * step)
    return found


def test_1_a_leaky_unit() -> None:
    """h_t = k h_{t-1} + (1 - k) tanh a_t: the future comes back by two ways, past the unit (k) and
    through it ((1 - k)(1 - tanh^2) W)."""
    draw = np.random.default_rng(0)
    keep, steps, hidden = 0.8, 12, 5
    x, recurrent = draw.normal(size=(steps, hidden)), draw.normal(size=(hidden, hidden)) / 2

    def states(weights: Array) -> tuple[Array, Array]:
        h, inner = [np.zeros(hidden)], []
        for t in range(steps):
            inner.append(np.tanh(x[t] + weights @ h[-1]))
            h.append(keep * h[-1] + (1 - keep) * inner[-1])
        return np.array(h), np.array(inner)

    def loss(weights: Array) -> float:
        return float((states(weights)[0][1:] ** 2).sum() / 2)  # so dL/dh_t = h_t, beside the future

    h, inner = states(recurrent)
    gradient, future = np.zeros_like(recurrent), np.zeros(hidden)
    for t in reversed(range(steps)):
        g = h[t + 1] + future
        da = (1 - keep) * (1 - inner[t] ** 2) * g
        gradient += np.outer(da, h[t])
        future = keep * g + recurrent.T @ da
    np.testing.assert_allclose(gradient, central_differences(loss, recurrent), rtol=1e-6, atol=1e-8)

    weights = torch.tensor(recurrent, requires_grad=True)
    state, total = torch.zeros(hidden, dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for now in torch.tensor(x):
        state = keep * state + (1 - keep) * torch.tanh(now + weights @ state)
        total = total + (state**2).sum() / 2
    total.backward()
    assert weights.grad is not None
    np.testing.assert_allclose(gradient, weights.grad.numpy(), rtol=1e-12)


def test_2_clipping_by_norm() -> None:
    """The direction stays, the length does not, and a gradient inside the ball is left alone."""

    def clipped(parts: list[Tensor], most: float) -> list[Tensor]:
        norm = math.sqrt(sum(float((part**2).sum()) for part in parts))
        return [part * min(1.0, most / norm) for part in parts]

    generator = torch.Generator().manual_seed(0)
    large = [torch.randn(4, 3, generator=generator), torch.randn(7, generator=generator)]
    after = clipped(large, 1.0)
    one, other = torch.cat([p.flatten() for p in large]), torch.cat([p.flatten() for p in after])
    assert abs(float(torch.cosine_similarity(one, other, 0)) - 1) < 1e-6
    assert abs(float(other.norm()) - 1) < 1e-6 < float(one.norm())
    small = [part / 100 for part in large]
    assert all(torch.equal(a, b) for a, b in zip(clipped(small, 1.0), small, strict=True))


def test_3_clipping_number_by_number_turns_the_gradient() -> None:
    """One large number and many small ones: after np.clip the small ones weigh as much as it."""
    gradient = np.array([50.0, *([1.0] * 24)])
    after = np.clip(gradient, -1, 1)
    cosine = gradient @ after / np.linalg.norm(gradient) / np.linalg.norm(after)
    assert cosine < 0.3  # it points elsewhere
    scaled = gradient / np.linalg.norm(gradient)
    assert (
        abs(scaled @ gradient / np.linalg.norm(gradient) - 1) < 1e-12
    )  # by its norm: nowhere else
