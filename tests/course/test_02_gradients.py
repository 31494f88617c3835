"""Answers to the exercises of the course's second lesson."""

import math

import numpy as np
import torch
from torch import Tensor


def test_1_eigenvalues_of_the_factors_say_nothing_of_a_product() -> None:
    """One moves the second number to the first place, the other moves it back; both double it."""
    one, other = np.array([[0.0, 2.0], [0.0, 0.0]]), np.array([[0.0, 0.0], [2.0, 0.0]])
    for matrix in (one, other):
        assert not np.linalg.eigvals(matrix).any()
        assert not (matrix @ matrix).any()  # each alone forgets in two steps
    product = np.eye(2)
    for step in range(40):
        product = product @ (other if step % 2 else one)
    assert np.linalg.norm(product, 2) == 2.0**40


def test_2_adam_rescales_and_cures_nothing() -> None:
    """All of the gradient is rescaled alike, so a far step keeps its share of it."""
    generator = torch.Generator().manual_seed(0)
    w = (0.5 * torch.linalg.qr(torch.randn(8, 8, generator=generator)).Q).double()
    inputs = torch.randn(30, 8, generator=generator).double()

    def loss(w: Tensor, x: Tensor) -> Tensor:
        h = torch.zeros(8, dtype=torch.float64)
        for now in x:
            h = torch.tanh(w @ h + now)
        return h.square().sum()

    def path(scale: float) -> Tensor:
        own = w.clone().requires_grad_()
        adam = torch.optim.Adam([own], lr=1e-2, eps=0.0)
        for _ in range(20):
            adam.zero_grad()
            (scale * loss(own, inputs)).backward()
            adam.step()
        return own.detach()

    def share(scale: float) -> float:
        """Of the gradient by the inputs: that by the first one."""
        x = inputs.clone().requires_grad_()
        (scale * loss(w, x)).backward()
        assert x.grad is not None
        return float(x.grad[0].norm() / x.grad.norm())

    assert float((path(1.0) - w).abs().max()) > 0.05  # it does move
    torch.testing.assert_close(path(1e-6), path(1.0), rtol=1e-9, atol=1e-12)
    assert math.isclose(share(1e-6), share(1.0), rel_tol=1e-9)
    assert share(1.0) < 1e-8  # half of it is left at each of 29 steps, at most


def test_3_loss_scaling_in_float16() -> None:
    """2^15 lambda^k = 1 after 15 log 2 / -log lambda steps: that many more, give or take one."""
    keep, scale = 0.7, 2.0**15

    def steps(gradient: float) -> int:
        g, count = torch.tensor(gradient, dtype=torch.float16), 0
        while g >= 2.0**-14:  # above it a float16 has all of its digits
            g, count = g * keep, count + 1
        return count

    more = steps(scale) - steps(1.0)
    assert abs(more - 15 * math.log(2) / -math.log(keep)) <= 1
    assert more == 29
