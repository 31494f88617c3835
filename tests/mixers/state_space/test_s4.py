"""S4: the contract, the HiPPO matrix it starts from, and the authors' code."""

import math

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.state_space.s4 import S4, S4Config, legs
from tests.mixers.references.arrays import differences

CONFIGS = {
    "default": S4Config(state_size=8),
    "slow": S4Config(state_size=4, time_step_max=0.01),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_contract(check, config):
    check(subject(S4, config))


@pytest.mark.parametrize("algorithm", S4.operation.available("cpu", torch.float64))
def test_parity_with_the_authors_code(algorithm):
    mixer = S4(5, S4Config(state_size=8, algorithm=algorithm)).double()
    assert max(differences(mixer, "s4")) < 1e-9


def hippo_in_numpy(size):
    """Equation 2 of the paper, and the B that belongs to it."""
    n = np.arange(size)
    root_M = np.sqrt(2 * n + 1)
    return -np.tril(np.outer(root_M, root_M), -1) - np.diag(n + 1), root_M


@pytest.mark.parametrize("size", [4, 64])
def test_the_first_matrix_is_hippo(size):
    """The same transfer function from B to B: it does not depend on the basis."""
    a_MM, b_M = hippo_in_numpy(size)
    frequency_N, p_N = (x.double().numpy() for x in legs(size))
    half_M, p_M = -0.5 + 1j * frequency_N, np.concatenate([p_N, p_N])
    ours_MM = np.diag(np.concatenate([half_M, half_M.conj()])) - np.outer(p_M, p_M)
    for s in (0.3, 0.5 + 2j, 30j):
        expected = b_M @ np.linalg.solve(s * np.eye(size) - a_MM, b_M)
        found = 2 * p_M @ np.linalg.solve(s * np.eye(size) - ours_MM, p_M)
        assert abs(found / expected - 1) < 1e-5  # frequencies and p are float32


@pytest.mark.parametrize("algorithm", S4.operation.available("cpu", torch.float64))
def test_equals_the_recurrence_of_the_dense_matrices(algorithm):
    """From the start, 300 positions: the HiPPO matrix discretised and stepped in NumPy."""
    torch.manual_seed(0)
    mixer = S4(2, S4Config(state_size=8, algorithm=algorithm)).double()
    x_BTD = torch.randn(1, 300, 2, dtype=torch.float64)
    p = {name: value.detach().numpy() for name, value in mixer.named_parameters()}
    y_TD = np.empty((300, 2))
    for d in range(2):
        a, low, into, out = (
            np.concatenate([x, x.conj()])
            for x in (
                -np.exp(p["log_a_real"][d]) + 1j * p["a_imaginary"][d],
                *(p[name][d] @ np.array([1, 1j]) for name in ("p", "b", "c")),
            )
        )
        half_MM = np.exp(p["log_step"][d]) / 2 * (np.diag(a) - np.outer(low, low.conj()))
        inverse_MM = np.linalg.inv(np.eye(8) - half_MM)
        h_M = np.zeros(8)
        for t, u in enumerate(x_BTD[0, :, d].tolist()):
            h_M = inverse_MM @ ((np.eye(8) + half_MM) @ h_M + np.exp(p["log_step"][d]) * into * u)
            y_TD[t, d] = (out @ h_M).real + p["skip"][d] * u
    gelu_TD = y_TD * (1 + np.vectorize(math.erf)(y_TD / math.sqrt(2))) / 2
    value_TD, gate_TD = np.split(gelu_TD @ p["out_proj.weight"].T + p["out_proj.bias"], 2, axis=1)
    expected_TD = torch.from_numpy(value_TD / (1 + np.exp(-gate_TD)))
    torch.testing.assert_close(mixer(x_BTD)[0][0], expected_TD, rtol=1e-9, atol=1e-9)


def test_costs():
    mixer = S4(6, S4Config(state_size=8))
    assert mixer.flops(10) == 10 * (6 * (4 * 42 + 2) + 2 * 6 * 12)
    assert mixer.state_bytes(7) == 6 * 8 * 4


@pytest.mark.parametrize("algorithm", S4.operation.available("cpu", torch.float64))
def test_autocast_keeps_the_state_in_float32(algorithm):
    mixer, x_BTD = S4(8, S4Config(state_size=8, algorithm=algorithm)), torch.randn(2, 40, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y_BTD, state = mixer(x_BTD)
        y_BTD.float().sum().backward()
    assert state.h_BDN2.dtype == torch.float32


def test_odd_state_size_and_steps_out_of_order():
    with pytest.raises(ValueError, match="multiple of 2"):
        S4Config(state_size=7)
    with pytest.raises(UserError, match="swap them"):
        S4(8, S4Config(time_step_min=0.2))
