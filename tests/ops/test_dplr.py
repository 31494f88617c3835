"""The state space of a diagonal less one rank: every fast form against the loop, and the loop
against dense matrices."""

import math

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.ops.dplr import DPLR, dplr_ssm

ALGORITHMS = dplr_ssm.available("cpu", torch.float64)
FAST = ALGORITHMS[1:]
NAMES = ("y", "state", "du", "dstep", "da", "dp", "db", "dc", "dstart")
# Relative to the largest number of each tensor. The filter by its generating function keeps four
# fifths of the digits: 3e-13 of 2e-16, 2e-6 of 1e-7; a gradient sums it over 257 positions.
TOLERANCES = {torch.float64: 1e-9, torch.float32: 5e-4}


def problem(length, dtype, channels=3, states=4):
    generator = torch.Generator().manual_seed(length)

    def normal(*shape, dtype=dtype):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    complex_dtype = torch.complex128 if dtype == torch.float64 else torch.complex64
    a = torch.complex(-torch.exp(normal(channels, states)), 4 * normal(channels, states))
    step = torch.exp(torch.linspace(math.log(0.003), math.log(0.1), channels, dtype=dtype))
    p, b, c = (normal(channels, states, dtype=complex_dtype) for _ in range(3))
    start = normal(2, channels, states, dtype=complex_dtype)
    u = normal(2, length, channels)
    inputs = tuple(x.detach().requires_grad_() for x in (u, step, a, p, b, c, start))
    return inputs, (normal(2, length, channels), normal(2, channels, states, dtype=complex_dtype))


def call(algorithm, u, step, a, p, b, c, start, lengths=None):
    return dplr_ssm(u, DPLR(step, a, p, b, c), start, lengths, algorithm=algorithm)


def run(algorithm, inputs, weights):
    y, state = call(algorithm, *inputs)
    total = (y * weights[0]).sum() + (state * weights[1]).sum().real
    return y.detach(), state.detach(), *torch.autograd.grad(total, inputs)


def assert_close(name, found, expected, tolerance):
    difference = float((found - expected).abs().max() / expected.abs().max().clamp(min=1))
    assert difference < tolerance, name


def test_the_loop_is_the_dense_bilinear_rule():
    """With every state and its conjugate, and matrices that are inverted as they stand."""
    inputs, _ = problem(12, torch.float64)
    u, step, a, p, b, c, start = (x.detach() for x in inputs)
    y, state = call("loop", u, step, a, p, b, c, start)
    for d in range(3):
        halves = [x[d].numpy() for x in (a, p, b, c)]
        both = [np.concatenate([x, x.conj()]) for x in halves]
        half = float(step[d]) / 2
        a_MM = half * (np.diag(both[0]) - np.outer(both[1], both[1].conj()))
        decay_MM = np.linalg.solve(np.eye(8) - a_MM, np.eye(8) + a_MM)
        into_M = np.linalg.solve(np.eye(8) - a_MM, 2 * half * both[2])
        start_N = start[0, d].numpy()
        h_M = np.concatenate([start_N, start_N.conj()])
        for t in range(12):
            h_M = decay_MM @ h_M + into_M * float(u[0, t, d])
            assert abs(both[3] @ h_M - complex(y[0, t, d])) < 1e-12
        assert np.abs(h_M[:4] - state[0, d].numpy()).max() < 1e-12


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
def test_no_start_is_a_start_of_zeros(algorithm):
    inputs, _ = problem(40, torch.float64)
    u, *system, start = (x.detach() for x in inputs)
    found = call(algorithm, u, *system, None)
    for x, y in zip(found, call(algorithm, u, *system, torch.zeros_like(start))):
        assert_close("no start", x, y, 1e-14)


def test_later_inputs_move_no_bit_of_an_earlier_output():
    inputs, _ = problem(100, torch.float64)
    u, *rest = (x.detach() for x in inputs)
    changed = u.clone()
    changed[:, 50:] = 1e6
    before, after = (call("chunked", x, *rest)[0][:, :50] for x in (u, changed))
    assert torch.equal(before, after)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_autocast_does_not_reach_the_products(algorithm):
    inputs, _ = problem(70, torch.float32)
    expected = call(algorithm, *inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = call(algorithm, *inputs)
    assert all(torch.equal(x, y) for x, y in zip(found, expected))


def test_unknown_algorithm():
    inputs, _ = problem(2, torch.float32)
    with pytest.raises(UserError, match="did you mean cauchy"):
        call("cauchi", *inputs)


def test_serial_steps():
    assert ALGORITHMS == ("loop", "cauchy", "chunked")
    assert [dplr_ssm.serial_steps(name, 128) for name in ALGORITHMS] == [128, 38, 6]
