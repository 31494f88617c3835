"""minGRU: the contract, and the equations of Feng et al. 2024."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.minimal.mingru import MinGRU, MinGRUConfig

CONFIGS = {
    "default": MinGRUConfig(),
    "expanded": MinGRUConfig(expansion=1.5, bias=False),
    "linear": MinGRUConfig(candidate="linear"),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_contract(check, config):
    check(subject(MinGRU, config))


def build(config, width=6):
    torch.manual_seed(0)
    return MinGRU(width, config).double()


def step_by_step(mixer, x_TD, h_E):
    """Algorithm 2 of the paper (sequential mode) in NumPy."""
    weight, bias = (p.detach().numpy() for p in (mixer.in_proj.weight, mixer.in_proj.bias))
    outputs = []
    for x_D in x_TD.numpy():
        gate_E, v_E = np.split(weight @ x_D + bias, 2)
        z_E = 1 / (1 + np.exp(-gate_E))
        candidate_E = np.where(v_E >= 0, v_E + 0.5, 1 / (1 + np.exp(-v_E)))
        h_E = (1 - z_E) * h_E + z_E * candidate_E
        outputs.append(h_E)
    return torch.from_numpy(np.stack(outputs))


def test_parity_with_the_sequential_equations():
    mixer, x_BTD = build(MinGRUConfig()), torch.randn(1, 30, 6, dtype=torch.float64)
    y_BTD, state = mixer(x_BTD)
    expected_TD = step_by_step(mixer, x_BTD[0], np.zeros(6))
    torch.testing.assert_close(y_BTD[0], expected_TD, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state.h_BE[0], expected_TD[-1], rtol=1e-12, atol=1e-12)


def test_parity_with_the_log_space_form():
    """Appendix B.3: log h = a* + logcumsumexp(log b - a*), a* the cumulative sum of log a."""
    mixer, x_BTD = build(MinGRUConfig()), torch.randn(2, 30, 6, dtype=torch.float64)
    gate, v = mixer.in_proj(x_BTD).chunk(2, dim=-1)
    log_a_star = torch.nn.functional.logsigmoid(-gate).cumsum(1)
    log_candidate = torch.where(
        v >= 0, (v.clamp(min=0) + 0.5).log(), torch.nn.functional.logsigmoid(v)
    )
    log_b = torch.nn.functional.logsigmoid(gate) + log_candidate
    expected_BTD = (log_a_star + (log_b - log_a_star).logcumsumexp(1)).exp()
    torch.testing.assert_close(mixer(x_BTD)[0], expected_BTD, rtol=1e-10, atol=1e-10)


def test_flops_are_those_of_the_matrix_products_and_the_recurrence():
    mixer = build(MinGRUConfig(expansion=2.0))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        mixer(torch.randn(1, 16, 6, dtype=torch.float64))
    assert mixer.flops(16) == counter.get_total_flops() + 2 * 16 * 12


@pytest.mark.parametrize("algorithm", MinGRU.operation.available("cpu", torch.float64))
def test_state_stays_float32_under_autocast(algorithm):
    mixer = MinGRU(8, MinGRUConfig(expansion=2.0, algorithm=algorithm))
    x_BTD = torch.randn(2, 9, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y_BTD, state = mixer(x_BTD)
        y_BTD.float().sum().backward()
    assert state.h_BE.dtype == torch.float32
    # bfloat16 keeps 8 bits: 0.4 % of numbers of about 1, in three products
    torch.testing.assert_close(y_BTD.float(), mixer(x_BTD)[0], rtol=0.05, atol=0.05)


def test_too_narrow():
    with pytest.raises(UserError, match="at least 1"):
        MinGRU(2, MinGRUConfig(expansion=0.1))
