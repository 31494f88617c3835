"""State spaces with complex states, diagonal and diagonal less one rank: every fast form against
the loop, with padding, from a state, and from none."""

import math
from typing import Any, NamedTuple

import pytest
import torch

from seqarena.ops.dplr import DPLR, dplr_ssm
from seqarena.ops.registry import Operation
from seqarena.ops.state_space import Diagonal, diagonal_ssm, zero_order_hold


class StateSpace(NamedTuple):
    """One operation, how its system is drawn, and how near its fast forms come to the loop."""

    operation: Operation[..., Any]
    system: type[Diagonal | DPLR]
    slowest_step: float
    turns: float  # of the imaginary parts of A
    tolerances: dict[torch.dtype, float]  # relative to the largest number of each tensor


SPACES = {
    # The kernel takes exp(e t): an angle of up to |e| T = 0.1 * 8 * 257 = 200 is rounded at 2e-16
    # or 6e-8 of itself before the exponential, and its gradient multiplies by t again.
    "diagonal": StateSpace(
        diagonal_ssm, Diagonal, 0.01, 2, {torch.float64: 1e-11, torch.float32: 2e-4}
    ),
    # The filter by its generating function keeps four fifths of the digits: 3e-13 of 2e-16, 2e-6 of
    # 1e-7; a gradient sums it over 257 positions.
    "dplr": StateSpace(dplr_ssm, DPLR, 0.003, 4, {torch.float64: 1e-9, torch.float32: 5e-4}),
}
FORMS = [
    (name, form)
    for name, space in SPACES.items()
    for form in space.operation.available("cpu", torch.float64)
]
FAST = [(name, form) for name, form in FORMS if form != "loop"]


def problem(space, length, dtype, channels=3, states=4):
    """u, the system and a start, which want gradients; and weights of the output and the state."""
    generator = torch.Generator().manual_seed(length)

    def normal(*shape, dtype=dtype):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    kind = torch.complex128 if dtype == torch.float64 else torch.complex64
    a = torch.complex(-torch.exp(normal(channels, states)), space.turns * normal(channels, states))
    step = torch.linspace(math.log(space.slowest_step), math.log(0.1), channels, dtype=dtype).exp()
    if space.system is Diagonal:
        system = zero_order_hold(step, a, normal(channels, states, dtype=kind))
    else:
        system = (step, a, *(normal(channels, states, dtype=kind) for _ in range(3)))
    start = normal(2, channels, states, dtype=kind)
    inputs = (normal(2, length, channels), *system, start)
    weights = normal(2, length, channels), normal(2, channels, states, dtype=kind)
    return tuple(x.detach().requires_grad_() for x in inputs), weights


def call(space, form, u, *rest, lengths=None):
    *system, start = rest
    return space.operation(u, space.system(*system), start, lengths, algorithm=form)


def run(space, form, inputs, weights):
    y, state = call(space, form, *inputs)
    total = (y * weights[0]).sum() + (state * weights[1]).sum().real
    return y.detach(), state.detach(), *torch.autograd.grad(total, inputs)


def assert_close(name, found, expected, tolerance):
    difference = float((found - expected).abs().max() / expected.abs().max().clamp(min=1))
    assert difference < tolerance, name


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("length", [1, 2, 63, 257])
@pytest.mark.parametrize(("name", "form"), FAST)
def test_equals_the_loop(name, form, length, dtype):
    space = SPACES[name]
    inputs, weights = problem(space, length, dtype)
    found, expected = (run(space, each, inputs, weights) for each in (form, "loop"))
    gradients = ("du", *(f"d{field}" for field in space.system._fields), "dstart")
    for what, x, y in zip(("y", "state", *gradients), found, expected, strict=True):
        assert_close(what, x, y, space.tolerances[dtype])


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_gradcheck(name, form):
    inputs, _ = problem(SPACES[name], 34, torch.float64, channels=1, states=2)
    assert torch.autograd.gradcheck(lambda *x: call(SPACES[name], form, *x), inputs, fast_mode=True)


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_state_of_padded_rows(name, form):
    space = SPACES[name]
    inputs, _ = problem(space, 70, torch.float64)
    u, *system, start = (x.detach() for x in inputs)
    for lengths in ((70, 33), (0, 1), (64, 32)):
        padded = u.clone()
        for row, length in enumerate(lengths):
            padded[row, length:] = 0.0
        _, state = call(space, form, padded, *system, start, lengths=torch.tensor(lengths))
        for row, length in enumerate(lengths):
            alone = start[row : row + 1]
            if length:
                _, alone = call(space, "loop", u[row : row + 1, :length], *system, alone)
            assert_close(f"row {row} of {lengths}", state[row], alone[0], 1e-12)


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_no_start_is_a_start_of_zeros(name, form):
    inputs, _ = problem(SPACES[name], 40, torch.float64)
    *rest, start = (x.detach() for x in inputs)
    found = call(SPACES[name], form, *rest, None)
    for x, y in zip(found, call(SPACES[name], form, *rest, torch.zeros_like(start))):
        assert_close("no start", x, y, 1e-14)


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_autocast_does_not_reach_the_products(name, form):
    inputs, _ = problem(SPACES[name], 70, torch.float32)
    expected = call(SPACES[name], form, *inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = call(SPACES[name], form, *inputs)
    assert all(torch.equal(x, y) for x, y in zip(found, expected))


@pytest.mark.parametrize("name", SPACES)
def test_later_inputs_move_no_bit_of_an_earlier_output(name):
    inputs, _ = problem(SPACES[name], 100, torch.float64)
    u, *rest = (x.detach() for x in inputs)
    changed = u.clone()
    changed[:, 50:] = 1e6
    before, after = (call(SPACES[name], "chunked", x, *rest)[0][:, :50] for x in (u, changed))
    assert torch.equal(before, after)
