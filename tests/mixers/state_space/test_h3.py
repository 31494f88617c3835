"""H3: the contract, the equations of Fu et al. 2023, and the authors' code."""

import math

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.state_space.h3 import H3, H3Config
from tests.mixers.references.arrays import differences

CONFIGS = {
    "default": H3Config(state_size=8),
    "heads of two channels": H3Config(state_size=4, head_size=2),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_contract(check, config):
    check(subject(H3, config))


@pytest.mark.parametrize("algorithm", H3.operation.available("cpu", torch.float64))
def test_parity_with_the_authors_code(algorithm):
    config = H3Config(state_size=8, head_size=2, algorithm=algorithm)
    assert max(differences(H3(6, config).double(), "h3")) < 1e-9


def test_parity_with_the_equations():
    """Algorithm 1 with heads of one channel, position after position."""
    torch.manual_seed(0)
    mixer = H3(5, H3Config(state_size=4)).double()
    x_BTD = torch.randn(1, 19, 5, dtype=torch.float64)
    p = {name: value.detach().numpy() for name, value in mixer.named_parameters()}
    z_DN = np.exp(p["log_step"])[:, None] / 2 * (-np.exp(p["log_a_real"]) + 1j * p["a_imaginary"])
    decay_DN, into_DN = (1 + z_DN) / (1 - z_DN), np.exp(p["log_step"])[:, None] / (1 - z_DN)
    c_DN = p["c"][..., 0] + 1j * p["c"][..., 1]
    shift_DK, h_DN, expected = np.zeros((5, 4)), np.zeros((5, 2)), []
    for x_D in x_BTD[0].numpy():
        q_D, k_D, v_D = np.split(p["in_proj.weight"] @ x_D + p["in_proj.bias"], 3)
        shift_DK = np.concatenate([k_D[:, None], shift_DK[:, :-1]], axis=1)
        kv_D = ((p["shift_KD"].T * shift_DK).sum(1) + p["shift_skip_D"] * k_D) * v_D
        h_DN = decay_DN * h_DN + into_DN * kv_D[:, None]
        y_D = q_D * (2 * (c_DN * h_DN).sum(1).real + p["skip_H"] * kv_D)
        expected.append(p["out_proj.weight"] @ y_D + p["out_proj.bias"])
    expected_TD = torch.from_numpy(np.stack(expected))
    torch.testing.assert_close(mixer(x_BTD)[0][0], expected_TD, rtol=1e-10, atol=1e-10)


def test_initial_systems():
    mixer = H3(6, H3Config(head_size=2))
    torch.testing.assert_close(-mixer.log_a_real.exp(), torch.full((3, 32), -0.5))
    assert float(mixer.a_imaginary.detach()[2, 31]) == pytest.approx(31 * math.pi)
    assert float(mixer.shift_KD.detach().abs().max()) <= 1 / 8
    assert -7 < float(mixer.log_step.detach().min()) < float(mixer.log_step.detach().max()) < -2.3


def test_costs():
    mixer = H3(6, H3Config(state_size=8, head_size=2))
    # projections, the shift of 8 and its skip; 12 products of channels
    per_position = 2 * 6 * 24 + 2 * 6 * 9 + 12 * (1 + 14 * 4 + 2 + 1) + 6
    assert mixer.flops(10) == 10 * per_position
    assert mixer.state_bytes(1) == mixer.state_bytes(1000) == 4 * (7 * 6 + 12 * 8)


def test_autocast_keeps_the_states_in_float32():
    mixer, x_BTD = H3(8, H3Config(state_size=8)), torch.randn(2, 40, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y_BTD, state = mixer(x_BTD)
        y_BTD.float().sum().backward()
    assert state.h_BMN2.dtype == torch.float32


def test_impossible_sizes():
    with pytest.raises(UserError, match="multiple of head_size, 4"):
        H3(6, H3Config(head_size=4))
    with pytest.raises(UserError, match="swap them"):
        H3(8, H3Config(time_step_min=0.2))
