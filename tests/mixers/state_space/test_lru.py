"""LRU: the contract, the equations in NumPy, parity with a published implementation."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.utils.flop_counter import FlopCounterMode

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.state_space.lru import LRU, LRUConfig

CONFIGS = {
    "default": LRUConfig(),
    "long memories": LRUConfig(
        state_size=3, smallest_radius=0.9, largest_radius=0.999, largest_angle=0.314
    ),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_contract(check, config):
    check(subject(LRU, config))


def build(width=6, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return LRU(width, LRUConfig(**fields)).to(dtype)


def test_equals_the_equations():
    mixer, x_TD = build(state_size=4), torch.randn(11, 6, dtype=torch.float64)
    w = {name: p.detach().numpy() for name, p in mixer.named_parameters()}
    decay = np.exp(-np.exp(w["nu"]) + 1j * np.exp(w["theta"]))
    b = w["inward.weight"][:4] + 1j * w["inward.weight"][4:]
    c = w["outward.weight"][:, :4] - 1j * w["outward.weight"][:, 4:]
    h, expected = np.zeros(4), []
    for x in x_TD.numpy():
        h = decay * h + np.exp(w["gamma"]) * (b @ x)
        expected.append((c @ h).real + w["skip"] * x)
    found = mixer(x_TD[None])[0][0].detach().numpy()
    np.testing.assert_allclose(found, np.stack(expected), rtol=0, atol=1e-12)


STORED = load_file(Path(__file__).parents[1] / "references/lru.safetensors")


def renamed(prefix=""):
    """Our names and layout of the reference's parameters, or of their gradients."""
    theirs = {name: STORED[prefix + name] for name in ("B_re", "B_im", "C_re", "C_im")}
    theirs |= {name: STORED[prefix + name] for name in ("nu_log", "theta_log", "gamma_log", "D")}
    return {
        "inward.weight": torch.cat((theirs["B_re"], theirs["B_im"])),
        "outward.weight": torch.cat((theirs["C_re"], -theirs["C_im"]), dim=1),
        "nu": theirs["nu_log"],
        "theta": theirs["theta_log"],
        "gamma": theirs["gamma_log"],
        "skip": theirs["D"],
    }


def differences(algorithm):
    """The largest of the outputs, and of the gradients of input and parameters."""
    mixer = build(width=5, state_size=7, algorithm=algorithm)
    mixer.load_state_dict(renamed())
    x_BTD = STORED["x"].clone().requires_grad_()
    y_BTD = mixer(x_BTD)[0]
    (y_BTD * STORED["weights"]).sum().backward()
    expected = renamed("d_")
    gradients = [(x_BTD.grad, STORED["d_x"])]
    gradients += [(p.grad, expected[name]) for name, p in mixer.named_parameters()]
    return (
        float((y_BTD.detach() - STORED["y"]).abs().max()),
        max(float((ours - their).abs().max()) for ours, their in gradients),
    )


@pytest.mark.parametrize("algorithm", LRU.operation.available("cpu", torch.float64))
def test_parity_with_a_published_implementation(algorithm):
    assert max(differences(algorithm)) <= 1e-9


def test_starts_as_published():
    mixer = build(width=8, state_size=4096, smallest_radius=0.5, largest_radius=0.9)
    radii = torch.exp(-mixer.nu.detach().exp())
    assert 0.5 < float(radii.min()) < 0.51 < 0.89 < float(radii.max()) < 0.9
    assert float(radii.square().mean()) == pytest.approx((0.5**2 + 0.9**2) / 2, abs=0.02)
    assert float(mixer.theta.detach().exp().mean()) == pytest.approx(math.pi, abs=0.1)
    torch.testing.assert_close(mixer.gamma.detach().exp(), torch.sqrt(1 - radii**2))
    assert float(mixer.inward.weight.detach().std()) == pytest.approx(16**-0.5, rel=0.03)
    assert float(mixer.outward.weight.detach().std()) == pytest.approx(4096**-0.5, rel=0.03)


def test_flops_are_those_of_the_matrix_products_and_the_recurrence():
    mixer = build(state_size=4, algorithm="loop")
    with FlopCounterMode(display=False) as counter:
        mixer(torch.randn(1, 16, 6, dtype=torch.float64))
    assert mixer.flops(16) == counter.get_total_flops() + 16 * (14 * 4 + 2 * 6)


def test_costs():
    mixer = build(dtype=torch.float32, state_size=4, algorithm="loop")
    assert mixer.state_bytes(3) == mixer.state_bytes(3000) == 4 * 2 * 4
    assert mixer.serial_steps(64) == 4 + 64
    assert build(width=9).states == 9


@pytest.mark.parametrize("algorithm", LRU.operation.available("cpu", torch.float64))
def test_autocast_keeps_the_state_in_float32(algorithm):
    mixer, x_BTD = build(dtype=torch.float32, algorithm=algorithm), torch.randn(2, 20, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y_BTD, state = mixer(x_BTD)
        again_BTD, _ = mixer(x_BTD, state)
    (y_BTD.float().sum() + again_BTD.float().sum()).backward()
    assert state.h_BN2.dtype == torch.float32
    y_BTD, expected = y_BTD.detach(), mixer(x_BTD)[0].detach()
    # bfloat16 rounds to 0.4 %, in two products one after the other
    assert float((y_BTD - expected).abs().max()) < 0.03 * float(expected.abs().max())


def test_radii_out_of_order():
    with pytest.raises(UserError, match="swap them"):
        build(smallest_radius=0.9, largest_radius=0.5)
