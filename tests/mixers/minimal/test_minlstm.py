"""minLSTM: the contract, and the equations of Feng et al. 2024."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.minimal.minlstm import MinLSTM, MinLSTMConfig

CONFIGS = {
    "default": MinLSTMConfig(),
    "expanded": MinLSTMConfig(expansion=1.5, bias=False),
    "linear": MinLSTMConfig(candidate="linear", forget_bias=1.0),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_contract(check, config):
    check(subject(MinLSTM, config))


def build(config, width=6):
    torch.manual_seed(0)
    return MinLSTM(width, config).double()


def test_parity_with_the_sequential_equations():
    mixer, x_BTD = build(MinLSTMConfig()), torch.randn(1, 30, 6, dtype=torch.float64)
    weight, bias = (p.detach().numpy() for p in (mixer.in_proj.weight, mixer.in_proj.bias))
    h_E, expected = np.zeros(6), []
    for x_D in x_BTD[0].numpy():
        f_E, i_E, v_E = np.split(weight @ x_D + bias, 3)
        f_E, i_E = 1 / (1 + np.exp(-f_E)), 1 / (1 + np.exp(-i_E))
        candidate_E = np.where(v_E >= 0, v_E + 0.5, 1 / (1 + np.exp(-v_E)))
        h_E = f_E / (f_E + i_E) * h_E + i_E / (f_E + i_E) * candidate_E
        expected.append(h_E)
    found_TD = mixer(x_BTD)[0][0]
    torch.testing.assert_close(
        found_TD, torch.from_numpy(np.stack(expected)), rtol=1e-12, atol=1e-12
    )


def test_exact_where_both_gates_are_closed():
    """sigmoid(-200) is zero in float32, yet the shares of two such gates are one half each."""
    mixer = MinLSTM(4, MinLSTMConfig())
    with torch.no_grad():
        mixer.in_proj.weight.zero_()
        mixer.in_proj.bias.copy_(torch.tensor([-200.0] * 8 + [1.5] * 4))
        y_BTD, _ = mixer(torch.zeros(1, 1, 4))
    torch.testing.assert_close(y_BTD, torch.full((1, 1, 4), 1.0))


def test_forget_bias_moves_the_forget_gate_only():
    plain, biased = build(MinLSTMConfig()), build(MinLSTMConfig(forget_bias=2.0))
    moved = (biased.in_proj.bias - plain.in_proj.bias).tolist()
    assert moved == pytest.approx([2.0] * 6 + [0.0] * 12, abs=1e-6)


def test_forget_bias_without_a_bias_is_refused():
    with pytest.raises(UserError, match="set bias to true"):
        MinLSTM(4, MinLSTMConfig(bias=False, forget_bias=1.0))


def test_flops_are_those_of_the_matrix_products_and_the_recurrence():
    mixer = build(MinLSTMConfig(expansion=2.0))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        mixer(torch.randn(1, 16, 6, dtype=torch.float64))
    assert mixer.flops(16) == counter.get_total_flops() + 2 * 16 * 12


@pytest.mark.parametrize("algorithm", MinLSTM.operation.available("cpu", torch.float64))
def test_state_stays_float32_under_autocast(algorithm):
    mixer = MinLSTM(8, MinLSTMConfig(algorithm=algorithm))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y_BTD, state = mixer(torch.randn(2, 9, 8))
        y_BTD.float().sum().backward()
    assert state.h_BE.dtype == torch.float32
