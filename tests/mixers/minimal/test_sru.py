"""SRU: the contract, the equations of Lei et al. 2018, and the authors' code."""

import math

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.minimal.sru import SRU, SRUConfig
from tests.mixers.references.arrays import differences

CONFIGS = {"default": SRUConfig(), "highway": SRUConfig(highway_bias=-1.5)}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_contract(check, config):
    check(subject(SRU, config))


@pytest.mark.parametrize("algorithm", SRU.operation.available("cpu", torch.float64))
def test_parity_with_the_authors_code(algorithm):
    assert max(differences(SRU(6, SRUConfig(algorithm=algorithm)).double(), "sru")) < 1e-9


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_parity_with_the_equations():
    torch.manual_seed(0)
    mixer = SRU(4, SRUConfig(highway_bias=-1.0)).double()
    x_BTD = torch.randn(1, 17, 4, dtype=torch.float64)
    p = {name: value.detach().numpy() for name, value in mixer.named_parameters()}
    w_ED, forget_ED, reset_ED = np.split(p["in_proj.weight"], 3)
    alpha, c_E, expected = math.sqrt(1 + 2 * math.exp(-1)), np.zeros(4), []
    for x_D in x_BTD[0].numpy():
        f_E = sigmoid(forget_ED @ x_D + p["cell_2E"][0] * c_E + p["bias_2E"][0])
        r_E = sigmoid(reset_ED @ x_D + p["cell_2E"][1] * c_E + p["bias_2E"][1])
        c_E = f_E * c_E + (1 - f_E) * (w_ED @ x_D)
        expected.append(r_E * c_E + (1 - r_E) * alpha * x_D)
    expected_TD = torch.from_numpy(np.stack(expected))
    torch.testing.assert_close(mixer(x_BTD)[0][0], expected_TD, rtol=1e-12, atol=1e-12)


def test_initialisation():
    torch.manual_seed(0)
    mixer = SRU(300, SRUConfig(highway_bias=-2.0))
    w_ED, *gates = mixer.in_proj.weight.detach().chunk(3)
    assert float(w_ED.var()) == pytest.approx(1 / 300, rel=0.05)
    assert all(float(gate.var()) == pytest.approx(0.5 / 300, rel=0.05) for gate in gates)
    assert float(mixer.cell_2E.detach().var()) == pytest.approx(0.5, rel=0.2)
    assert mixer.bias_2E.detach().unique(dim=1).flatten().tolist() == [0.0, -2.0]


def test_costs():
    mixer = SRU(6, SRUConfig())
    assert mixer.flops(10) == 10 * (3 * 2 * 36 + 11 * 6)
    assert mixer.state_bytes(9) == 24


@pytest.mark.parametrize("algorithm", SRU.operation.available("cpu", torch.float64))
def test_the_cell_stays_float32_under_autocast(algorithm):
    mixer = SRU(8, SRUConfig(algorithm=algorithm))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y_BTD, state = mixer(torch.randn(2, 9, 8))
        y_BTD.float().sum().backward()
    assert state.c_BE.dtype == torch.float32


def test_impossible_width():
    with pytest.raises(UserError, match="at least 1"):
        SRU(0, SRUConfig())
