"""Factored and grouped LSTM: the contract, and the paper's equations in plain NumPy."""

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.recurrent.factored_lstm import FactoredLSTM, FactoredLSTMConfig
from seqarena.mixers.recurrent.lstm import LSTM, LSTMConfig

CONFIGS = {
    "factored": FactoredLSTMConfig(),
    "grouped": FactoredLSTMConfig(kind="grouped", groups=2),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_contract(check, config):
    check(subject(FactoredLSTM, config)._replace(width=20))  # Newton's blocks are 2 D x 2 D


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def cell(gates_F: np.ndarray, c_D: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    i, f, g, o = np.split(gates_F, 4)
    c_D = sigmoid(f) * c_D + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c_D), c_D


@pytest.mark.parametrize("algorithm", FactoredLSTM.operation.available("cpu", torch.float64))
def test_factored_is_two_thin_products_a_step(algorithm):
    torch.manual_seed(0)
    config = FactoredLSTMConfig(rank_ratio=0.5, algorithm=algorithm)
    mixer = FactoredLSTM(6, config).double()
    first, second = (factor.detach().numpy() for factor in mixer.factors)
    x_TD = np.random.default_rng(0).normal(size=(9, 6))
    h, c, expected = np.zeros(6), np.zeros(6), []
    for x in x_TD:
        h, c = cell(second @ (first @ np.concatenate((x, h))) + mixer.bias_F.detach().numpy(), c)
        expected.append(h)
    found, _ = mixer(torch.from_numpy(x_TD)[None])
    np.testing.assert_allclose(found[0].detach(), np.stack(expected), rtol=0, atol=1e-13)


def test_groups_are_small_lstms_side_by_side():
    torch.manual_seed(0)
    mixer = FactoredLSTM(6, FactoredLSTMConfig(kind="grouped", groups=3)).double()
    (blocks,) = mixer.factors
    x_BTD = torch.randn(2, 9, 6, dtype=torch.float64)
    found_BTD, _ = mixer(x_BTD)
    for group, block in enumerate(blocks):
        alone = LSTM(2, LSTMConfig()).double()
        features = slice(2 * group, 2 * group + 2)
        with torch.no_grad():
            alone.input_FD.copy_(block[:, :2])
            alone.recurrent_FE.copy_(block[:, 2:])
            alone.bias_F.copy_(torch.cat([b[features] for b in mixer.bias_F.chunk(4)]))
        torch.testing.assert_close(found_BTD[..., features], alone(x_BTD[..., features])[0])


def test_both_are_smaller_than_the_lstm_as_published():
    def size(mixer):
        return sum(p.numel() for p in mixer.parameters())

    whole = size(LSTM(64, LSTMConfig())) - 4 * 64  # without biases
    # factored: (2 D r + 4 D r) of 8 D^2, with r = D / 2 three eighths; grouped: one in k
    assert size(FactoredLSTM(64, FactoredLSTMConfig())) - 4 * 64 == whole * 3 // 8
    grouped = FactoredLSTM(64, FactoredLSTMConfig(kind="grouped", groups=4))
    assert size(grouped) - 4 * 64 == whole // 4


def test_groups_must_divide_the_width():
    with pytest.raises(UserError, match="width of 7 does not divide into 2 groups"):
        FactoredLSTM(7, FactoredLSTMConfig(kind="grouped", groups=2))
