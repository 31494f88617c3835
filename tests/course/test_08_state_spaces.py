"""Answers to the exercises of the course's lesson on scans, state spaces and the delta rule."""

import numpy as np
import torch


def test_1_a_scan_of_maxima() -> None:
    """The step h -> max(h + a, b), then another one: max(max(h + a1, b1) + a2, b2) is the step
    h -> max(h + (a1 + a2), max(b1 + a2, b2)). Plus stands where times was, max where plus was."""
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=1000), draw.normal(size=1000)
    h, walked = -np.inf, []
    for a_t, b_t in zip(a, b, strict=True):
        h = max(h + a_t, b_t)
        walked.append(h)

    reach, rounds = 1, 0
    while reach < len(b):
        b[reach:] = np.maximum(b[:-reach] + a[reach:], b[reach:])
        a[reach:] = a[reach:] + a[:-reach]
        reach, rounds = 2 * reach, rounds + 1
    assert rounds == 10
    np.testing.assert_allclose(b, walked, rtol=0, atol=1e-12)


def test_2_parity_needs_a_negative_decay() -> None:
    """h_0 = 1 and a_t = 1 - 2 bit_t: each one turns the sign over. With a in [0, 1] and the same
    step at each one, h_t - h_(t-1) is a^(t-1) (h_1 - h_0), which never changes its sign: h moves
    one way, and passes a threshold at most once, where parity has to pass it at every one."""
    draw = np.random.default_rng(0)
    bits = draw.integers(2, size=10_000)
    products, reach = 1 - 2 * bits, 1
    while reach < len(products):
        products[reach:] = products[reach:] * products[:-reach]
        reach *= 2
    np.testing.assert_array_equal(products == -1, np.cumsum(bits) % 2 == 1)

    def crossings(a: float, b: float, h: float, threshold: float, steps: int = 100) -> int:
        sides = []
        for _ in range(steps):
            h = a * h + b
            sides.append(h > threshold)
        return int(np.diff(sides).sum())

    for _ in range(300):
        b, h, threshold = draw.normal(size=3)
        assert crossings(draw.uniform(0, 1), b, h, threshold) <= 1
    assert crossings(-1.0, 0.0, 1.0, 0.0) == 99


def test_3_the_gradient_of_a_scan_is_a_scan() -> None:
    """With g_t for all of dL/dh_t: g_t = dL/dh_t (of its own output) + a_(t+1) g_(t+1), which is
    the recurrence from the end, its decays one place on; dL/db_t = g_t, dL/da_t = g_t h_(t-1)."""

    def scan(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        a, b, reach = a.clone(), b.clone(), 1
        while reach < len(b):
            b = torch.cat((b[:reach], a[reach:] * b[:-reach] + b[reach:]))
            a = torch.cat((a[:reach], a[reach:] * a[:-reach]))
            reach *= 2
        return b

    torch.manual_seed(0)
    a, b, own = (torch.randn(500, dtype=torch.float64) for _ in range(3))
    for x in (a.tanh_(), b):
        x.requires_grad_()
    h, states = torch.zeros((), dtype=torch.float64), []
    for a_t, b_t in zip(a, b, strict=True):
        h = a_t * h + b_t
        states.append(h)
    (torch.stack(states) * own).sum().backward()  # so dL/dh_t = own_t, beside the future
    assert a.grad is not None
    assert b.grad is not None

    with torch.no_grad():
        g = scan(a.roll(-1).flip(0), own.flip(0)).flip(0)  # the first decay meets a zero
        before = torch.cat((torch.zeros(1), scan(a, b)[:-1]))
    torch.testing.assert_close(g, b.grad, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(g * before, a.grad, rtol=1e-12, atol=1e-12)
