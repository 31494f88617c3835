"""QRNN: the contract, the equations of Bradbury et al. 2017, and the authors' code."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.minimal.qrnn import QRNN, QRNNConfig
from tests.mixers.references.arrays import differences

CONFIGS = {"default": QRNNConfig(), "no window": QRNNConfig(window=1), "3": QRNNConfig(window=3)}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_contract(check, config):
    check(subject(QRNN, config))


@pytest.mark.parametrize("algorithm", QRNN.operation.available("cpu", torch.float64))
def test_parity_with_the_authors_code(algorithm):
    assert max(differences(QRNN(6, QRNNConfig(algorithm=algorithm)).double(), "qrnn")) < 1e-9


def build(width=4, **fields):
    torch.manual_seed(0)
    return QRNN(width, QRNNConfig(**fields)).double()


def test_parity_with_the_equations():
    mixer, x_BTD = build(window=3), torch.randn(1, 17, 4, dtype=torch.float64)
    weight, bias = (p.detach().numpy() for p in (mixer.in_proj.weight, mixer.in_proj.bias))
    padded_PD, c_E, expected = np.concatenate([np.zeros((2, 4)), x_BTD[0].numpy()]), 0.0, []
    for t in range(17):
        z_E, f_E, o_E = np.split(weight @ padded_PD[t : t + 3].reshape(-1) + bias, 3)
        f_E, o_E = 1 / (1 + np.exp(-f_E)), 1 / (1 + np.exp(-o_E))
        c_E = f_E * c_E + (1 - f_E) * np.tanh(z_E)
        expected.append(o_E * c_E)
    expected_TD = torch.from_numpy(np.stack(expected))
    torch.testing.assert_close(mixer(x_BTD)[0][0], expected_TD, rtol=1e-12, atol=1e-12)


def test_costs():
    mixer = build(6)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        mixer(torch.randn(1, 16, 6, dtype=torch.float64))
    assert mixer.flops(16) == counter.get_total_flops() + 3 * 16 * 6
    assert mixer.float().state_bytes(9) == 4 * 6 * 2


@pytest.mark.parametrize("algorithm", QRNN.operation.available("cpu", torch.float64))
def test_the_cell_stays_float32_under_autocast(algorithm):
    mixer = QRNN(8, QRNNConfig(algorithm=algorithm))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y_BTD, state = mixer(torch.randn(2, 9, 8))
        y_BTD.float().sum().backward()
    assert state.c_BE.dtype == torch.float32


def test_impossible_width():
    with pytest.raises(UserError, match="at least 1"):
        QRNN(0, QRNNConfig())
