"""S4D: the contract, and the equations of Gu et al. 2022."""

import math

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.state_space.s4d import S4D, S4DConfig

CONFIGS = {
    "default": S4DConfig(state_size=8),
    "inverse": S4DConfig(state_size=4, initialisation="inverse", time_step_max=0.01),
    "one-pair": S4DConfig(state_size=2),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_contract(check, config):
    check(subject(S4D, config))


def convolution_in_numpy(mixer, x_TD):
    """Equations 3 and 8 of the paper, with the output map of the reference implementation."""
    p = {name: value.detach().numpy() for name, value in mixer.named_parameters()}
    step_D = np.exp(p["log_step"])
    a_DN = -np.exp(p["log_a_real"]) + 1j * p["a_imaginary"]
    c_DN = p["c"][..., 0] + 1j * p["c"][..., 1]
    b_DN = (np.exp(step_D[:, None] * a_DN) - 1) / a_DN
    length = len(x_TD)
    y_TD = p["skip"] * x_TD
    for t in range(length):
        kernel_D = 2 * (c_DN * b_DN * np.exp(step_D[:, None] * a_DN * t)).sum(1).real
        y_TD[t:] += kernel_D * x_TD[: length - t]
    erf_TD = np.vectorize(math.erf)(y_TD / math.sqrt(2))
    gelu_TD = y_TD * (1 + erf_TD) / 2
    value_TD, gate_TD = np.split(gelu_TD @ p["out_proj.weight"].T + p["out_proj.bias"], 2, axis=1)
    return torch.from_numpy(value_TD / (1 + np.exp(-gate_TD)))


@pytest.mark.parametrize("algorithm", S4D.operation.available("cpu", torch.float64))
def test_parity_with_the_convolution_of_the_paper(algorithm):
    torch.manual_seed(0)
    mixer = S4D(6, S4DConfig(algorithm=algorithm)).double()
    x_BTD = torch.randn(1, 100, 6, dtype=torch.float64)
    expected_TD = convolution_in_numpy(mixer, x_BTD[0].numpy())
    # angles up to 0.1 * pi * 31 * 100 = 1000, rounded at 2e-16 of themselves
    torch.testing.assert_close(mixer(x_BTD)[0][0], expected_TD, rtol=1e-10, atol=1e-10)


def test_initial_spectrum():
    linear, inverse = S4D(3, S4DConfig()), S4D(3, S4DConfig(initialisation="inverse"))
    torch.testing.assert_close(-linear.log_a_real.exp(), torch.full((3, 32), -0.5))
    assert float(linear.a_imaginary.detach()[2, 31]) == pytest.approx(31 * math.pi)
    assert float(inverse.a_imaginary.detach()[1, 0]) == pytest.approx(64 / math.pi * 63)
    assert float(inverse.a_imaginary.detach()[1, 31]) == pytest.approx(64 / math.pi / 63)


def test_flops():
    mixer = S4D(6, S4DConfig(state_size=8))
    assert mixer.flops(10) == 10 * (6 * (4 * 14 + 2) + 2 * 6 * 12)


@pytest.mark.parametrize("algorithm", S4D.operation.available("cpu", torch.float64))
def test_autocast_keeps_the_state_in_float32(algorithm):
    mixer, x_BTD = S4D(8, S4DConfig(algorithm=algorithm)), torch.randn(2, 40, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y_BTD, state = mixer(x_BTD)
        again_BTD, _ = mixer(x_BTD, state)
    (y_BTD.float().sum() + again_BTD.float().sum()).backward()
    assert state.h_BDN2.dtype == torch.float32
    # one product in bfloat16, which rounds to 0.4 %
    difference = (y_BTD.detach() - mixer(x_BTD)[0].detach()).abs().max()
    assert float(difference) < 0.02 * float(y_BTD.detach().abs().max())


def test_odd_state_size_and_steps_out_of_order():
    with pytest.raises(ValueError, match="multiple of 2"):
        S4DConfig(state_size=7)
    with pytest.raises(UserError, match="swap them"):
        S4D(8, S4DConfig(time_step_min=0.2))
