"""The diagonal state space: its rules of discretisation, and a state by hand. Against the loop:
test_complex_states.py."""

import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.ops.state_space import Diagonal, bilinear, diagonal_ssm, zero_order_hold

ALGORITHMS = diagonal_ssm.available("cpu", torch.float64)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_real_state_by_hand(algorithm):
    """exp(e) = 1/2, b = 1, c = 3 and start 4: h = 2 + 1, then 1.5 + 5; y = 2 * 3 h."""
    half = torch.tensor([[0.5 + 0j]], dtype=torch.complex64).log()
    ones = torch.ones(1, 1, dtype=torch.complex64)
    u, start = torch.tensor([[[1.0], [5.0]]]), 4 * ones[None]
    system = Diagonal(half, ones, 3 * ones)
    y, state = diagonal_ssm(u, system, start, algorithm=algorithm)
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


def test_unknown_algorithm():
    system = Diagonal(*torch.zeros(3, 1, 1, dtype=torch.complex64))
    with pytest.raises(UserError, match="did you mean parallel"):
        diagonal_ssm(torch.ones(1, 2, 1), system, algorithm="paralel")


def test_serial_steps():
    assert ALGORITHMS == ("loop", "chunked", "parallel")
    assert [diagonal_ssm.serial_steps(name, 128) for name in ALGORITHMS] == [128, 6, 18]
