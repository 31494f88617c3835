"""Hyena: the contract, the equations of Poli et al. 2023, and the authors' code."""

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.core.shapes import measured_state_bytes
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.convolution.hyena import Hyena, HyenaConfig
from tests.mixers.references.arrays import differences

CONFIGS = {
    "default": HyenaConfig(filter_width=4),
    "longer than its scale": HyenaConfig(
        kernel=1, max_length=20, filter_features=3, filter_width=3, filter_layers=0
    ),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_contract(check, config):
    check(subject(Hyena, config))


@pytest.mark.parametrize("algorithm", Hyena.operation.available("cpu", torch.float64))
def test_parity_with_the_authors_code(algorithm):
    config = HyenaConfig(max_length=30, filter_features=9, filter_width=8, algorithm=algorithm)
    assert max(differences(Hyena(6, config).double(), "hyena")) < 1e-9


def build(width=4, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    fields = {"max_length": 10, "filter_features": 5, "filter_width": 3, **fields}
    return Hyena(width, HyenaConfig(**fields)).to(dtype)


def test_parity_with_the_equations():
    """Beyond the scale of its lags too: 14 positions of a filter that is 10 long."""
    mixer = build()
    x_BTD = torch.randn(1, 14, 4, dtype=torch.float64)
    p = {name: value.detach().numpy() for name, value in mixer.named_parameters()}
    lag_K1 = np.arange(14.0)[:, None]
    angle_KB = 2 * np.pi * lag_K1 / 10 * np.array([1e-4, 1.0])
    hidden_KE = np.concatenate([lag_K1 / 9, np.cos(angle_KB), -np.sin(angle_KB)], axis=1)
    for layer in ("first", "inner.0", "inner.1"):
        weight, bias = p[f"filter.{layer}.weight"], p[f"filter.{layer}.bias"]
        hidden_KE = np.sin(p["filter.frequency_E"] * (hidden_KE @ weight.T + bias))
    deltas_D = np.linspace(np.log(100) / 1.5, np.log(100) / 0.3, 4)
    k_KD = hidden_KE @ p["filter.last.weight"].T * np.exp(-lag_K1 / 9 * deltas_D)
    u_TC = x_BTD[0].numpy() @ p["in_proj.weight"].T + p["in_proj.bias"]
    u_TC = np.concatenate([np.zeros((2, 12)), u_TC])
    taps_CK = p["short.weight"][:, 0]
    u_TC = sum(u_TC[i : i + 14] * taps_CK[:, i] for i in range(3)) + p["short.bias"]
    g_TD, x_TD, v_TD = np.split(u_TC, 3, axis=1)
    w_TD = x_TD * v_TD
    y_TD = np.stack([sum(k_KD[s] * w_TD[t - s] for s in range(t + 1)) for t in range(14)])
    y_TD = g_TD * (y_TD + p["skip_D"] * w_TD)
    expected_TD = torch.from_numpy(y_TD @ p["out_proj.weight"].T + p["out_proj.bias"])
    torch.testing.assert_close(mixer(x_BTD)[0][0], expected_TD, rtol=1e-12, atol=1e-12)


def test_a_full_history_doubles_and_keeps_what_it_holds():
    mixer, x_BTD = build(), torch.randn(2, 12, 4, dtype=torch.float64)
    with torch.no_grad():
        whole_BTD, _ = mixer(x_BTD)
        state, steps = mixer.initial_state(2, max_length=3), []
        for x_B1D in x_BTD.split(1, dim=1):
            y_B1D, state = mixer(x_B1D, state)
            steps.append(y_B1D)
    torch.testing.assert_close(torch.cat(steps, dim=1), whole_BTD, rtol=0, atol=1e-12)
    assert state.history_BSD.shape[1] == 12


def test_costs():
    mixer = build(dtype=torch.float32)
    for length in (1, 40):
        with torch.no_grad():
            state = mixer(torch.zeros(1, length, 4))[1]
        assert mixer.state_bytes(length) == measured_state_bytes(state) == 4 * (2 * 12 + length * 4)
    # 16 positions: all lags are cheaper than spectra; 4,096: spectra are
    few = 2 * 16 * 4 * 16 + 2 * 16 * 12 * 3 + 4 * 16 * 4 + 4 * 16 * 17
    assert mixer.flops(16) == few + 16 * (2 * (5 * 3 + 2 * 9 + 3 * 4) + 4)
    assert mixer.flops(4096) < 4 * 4096 * 4096
    assert mixer.path_length(1000) == 1


def test_autocast_keeps_filter_and_history_in_float32():
    mixer, x_BTD = build(8, torch.float32), torch.randn(2, 40, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y_BTD, state = mixer(x_BTD)
        assert mixer.filter(40).dtype == torch.float32
        y_BTD.float().sum().backward()
    assert state.history_BSD.dtype == torch.float32


def test_impossible_features():
    with pytest.raises(UserError, match="use an odd number"):
        build(filter_features=4)
