"""The diagonal state space: every fast form against the loop."""

import math

import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.ops.state_space import Diagonal, bilinear, diagonal_ssm, zero_order_hold

ALGORITHMS = diagonal_ssm.available("cpu", torch.float64)
FAST = ALGORITHMS[1:]
NAMES = ("y", "state", "du", "de", "db", "dc", "dstart")
# Relative to the largest number of each tensor. The kernel takes exp(e t): an angle of up to
# |e| T = 0.1 * 8 * 257 = 200 is rounded at 2e-16 or 6e-8 of itself before the exponential, and its
# gradient multiplies by t again.
TOLERANCES = {torch.float64: 1e-11, torch.float32: 2e-4}


def problem(length, dtype, channels=3, states=4):
    generator = torch.Generator().manual_seed(length)

    def normal(*shape, dtype=dtype):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    complex_dtype = torch.complex128 if dtype == torch.float64 else torch.complex64
    a = torch.complex(-torch.exp(normal(channels, states)), 2 * normal(channels, states))
    step = torch.exp(torch.linspace(math.log(0.01), math.log(0.1), channels, dtype=dtype))
    system = zero_order_hold(step, a, normal(channels, states, dtype=complex_dtype))
    start = normal(2, channels, states, dtype=complex_dtype)
    inputs = tuple(x.detach().requires_grad_() for x in (normal(2, length, channels), *system))
    weights = normal(2, length, channels), normal(2, channels, states, dtype=complex_dtype)
    return (*inputs, start.requires_grad_()), weights


def call(algorithm, u, e, b, c, start, lengths=None):
    return diagonal_ssm(u, Diagonal(e, b, c), start, lengths, algorithm=algorithm)


def run(algorithm, inputs, weights):
    y, state = call(algorithm, *inputs)
    total = (y * weights[0]).sum() + (state * weights[1]).sum().real
    return y.detach(), state.detach(), *torch.autograd.grad(total, inputs)


def assert_close(name, found, expected, tolerance):
    difference = float((found - expected).abs().max() / expected.abs().max().clamp(min=1))
    assert difference < tolerance, name


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("length", [1, 2, 63, 257])
@pytest.mark.parametrize("algorithm", FAST)
def test_equals_the_loop(algorithm, length, dtype):
    inputs, weights = problem(length, dtype)
    found, expected = run(algorithm, inputs, weights), run("loop", inputs, weights)
    for name, x, y in zip(NAMES, found, expected):
        assert_close(name, x, y, TOLERANCES[dtype])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_gradcheck(algorithm):
    inputs, _ = problem(34, torch.float64, channels=1, states=2)
    assert torch.autograd.gradcheck(lambda *x: call(algorithm, *x), inputs, fast_mode=True)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_state_of_padded_rows(algorithm):
    inputs, _ = problem(70, torch.float64)
    u, *system, start = (x.detach() for x in inputs)
    for lengths in ((70, 33), (0, 1), (64, 32)):
        padded = u.clone()
        for row, length in enumerate(lengths):
            padded[row, length:] = 0.0
        _, state = call(algorithm, padded, *system, start, torch.tensor(lengths))
        for row, length in enumerate(lengths):
            alone = start[row : row + 1]
            if length:
                _, alone = call("loop", u[row : row + 1, :length], *system, alone)
            assert_close(f"row {row} of {lengths}", state[row], alone[0], 1e-12)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_real_state_by_hand(algorithm):
    """exp(e) = 1/2, b = 1, c = 3 and start 4: h = 2 + 1, then 1.5 + 5; y = 2 * 3 h."""
    half = torch.tensor([[0.5 + 0j]], dtype=torch.complex64).log()
    ones = torch.ones(1, 1, dtype=torch.complex64)
    u, start = torch.tensor([[[1.0], [5.0]]]), 4 * ones[None]
    y, state = call(algorithm, u, half, ones, 3 * ones, start)
    torch.testing.assert_close(y.flatten(), torch.tensor([18.0, 39.0]))
    torch.testing.assert_close(state.flatten(), torch.tensor([6.5 + 0j]))


def test_zero_order_hold_solves_the_differential_equation():
    """Euler's rule in tiny steps with the input held agrees to its first order."""
    a, step, fine = complex(-0.7, 3.0), 0.3, 200_000
    system = zero_order_hold(
        torch.tensor([step], dtype=torch.float64),
        torch.tensor([[a]], dtype=torch.complex128),
        torch.ones(1, 1, dtype=torch.complex128),
    )
    x = 1.0 + 0j
    for _ in range(fine):
        x += step / fine * (a * x + 2.0)
    held = complex(system.exponent_DN.exp() * 1.0 + system.input_DN * 2.0)
    assert abs(held - x) < 1e-5


def test_zero_order_hold_keeps_its_digits_at_small_steps():
    """b = step (1 + e/2 + ...): a difference of two numbers near one would leave four digits."""
    a = torch.tensor([[-0.5 + 0.25j]], dtype=torch.complex64)
    system = zero_order_hold(torch.tensor([1e-4]), a, torch.ones_like(a))
    expected = 1e-4 * (1 + 0.5e-4 * complex(a))
    assert abs(complex(system.input_DN) / expected - 1) < 3e-7


def test_bilinear_is_the_trapezoidal_rule():
    """h' - h = step (A h' + A h) / 2 + step u, and the decay is exp(e)."""
    a, step, h, u = complex(-0.7, 3.0), 0.3, 0.4 - 0.2j, 2.0
    system = bilinear(
        torch.tensor([step], dtype=torch.float64),
        torch.tensor([[a]], dtype=torch.complex128),
        torch.ones(1, 1, dtype=torch.complex128),
    )
    after = complex(system.exponent_DN.exp()) * h + complex(system.input_DN) * u
    assert abs(after - h - step * (a * (after + h) / 2 + u)) < 1e-15


def test_bilinear_keeps_its_digits_at_small_steps():
    """e = step A (1 + (step A)^2 / 12 + ...): its real part is small beside one."""
    a = torch.tensor([[-0.5 + 20.0j]], dtype=torch.complex64)
    found = complex(bilinear(torch.tensor([1e-4]), a, torch.ones_like(a)).exponent_DN)
    z = 1e-4 * complex(a)
    assert abs(found.real / (z * (1 + z * z / 12)).real - 1) < 1e-6


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_autocast_does_not_reach_the_products(algorithm):
    inputs, _ = problem(70, torch.float32)
    expected = call(algorithm, *inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = call(algorithm, *inputs)
    assert all(torch.equal(x, y) for x, y in zip(found, expected))


def test_unknown_algorithm():
    inputs, _ = problem(2, torch.float32)
    with pytest.raises(UserError, match="did you mean parallel"):
        call("paralel", *inputs)


def test_serial_steps():
    assert ALGORITHMS == ("loop", "chunked", "parallel")
    assert [diagonal_ssm.serial_steps(name, 128) for name in ALGORITHMS] == [128, 6, 18]
