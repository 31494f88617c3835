"""S5: the contract, the equations in NumPy, parity with the authors' code."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.utils.flop_counter import FlopCounterMode

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.state_space.hippo import hippo_normal_spectrum
from seqarena.mixers.state_space.s5 import S5, S5Config

CONFIGS = {
    "default": S5Config(),
    "two blocks": S5Config(state_size=12, blocks=2, time_step_max=0.01),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_contract(check, config):
    check(subject(S5, config))


def build(width=6, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return S5(width, S5Config(**fields)).to(dtype)


def test_equals_the_continuous_system():
    """x' = A x + B u, solved over each step with u held: all states and their conjugates."""
    mixer, x_TD = build(state_size=8, blocks=1), torch.randn(11, 6, dtype=torch.float64)
    w = {name: p.detach().numpy() for name, p in mixer.named_parameters()}
    a = np.minimum(w["a_real"], -1e-4) + 1j * w["a_imaginary"]
    b = w["inward.weight"][:4] + 1j * w["inward.weight"][4:]
    c = w["outward.weight"][:, :4] - 1j * w["outward.weight"][:, 4:]
    a, b, c = np.concatenate((a, a.conj())), np.concatenate((b, b.conj())), np.hstack((c, c.conj()))
    step = np.exp(np.tile(w["log_step"], 2))
    h, expected = np.zeros(8), []
    for u in x_TD.numpy():
        held = b @ u
        h = np.exp(step * a) * (h + held / a) - held / a
        expected.append((c @ h).real + w["skip"] * u)
    found = mixer(x_TD[None])[0][0].detach().numpy()
    np.testing.assert_allclose(found, np.stack(expected), rtol=0, atol=1e-11)


STORED = load_file(Path(__file__).parents[1] / "references/s5.safetensors")


def renamed(prefix=""):
    """Our names and layout of the reference's parameters, or of their gradients."""
    b, c = STORED[prefix + "B"], STORED[prefix + "C"]
    return {
        "inward.weight": torch.cat((b[..., 0], b[..., 1])),
        "outward.weight": torch.cat((c[..., 0], -c[..., 1]), dim=1),
        "a_real": STORED[prefix + "Lambda_re"],
        "a_imaginary": STORED[prefix + "Lambda_im"],
        "log_step": STORED[prefix + "log_step"][:, 0],
        "skip": STORED[prefix + "D"],
    }


def differences(algorithm):
    """The largest of the outputs, and of the gradients of input and parameters."""
    mixer = build(width=5, state_size=8, blocks=1, algorithm=algorithm)
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


@pytest.mark.parametrize("algorithm", S5.operation.available("cpu", torch.float64))
def test_parity_with_the_authors_code(algorithm):
    assert max(differences(algorithm)) <= 1e-9


def test_initial_spectrum():
    mixer = build(state_size=16, blocks=2)
    torch.testing.assert_close(
        mixer.a_imaginary.detach(), STORED["frequencies"].repeat(2), rtol=1e-6, atol=1e-6
    )
    assert set(mixer.a_real.tolist()) == {-0.5}
    steps = build(width=800).log_step.detach().exp()
    assert 0.00099 < float(steps.min()) < 0.01 < float(steps.max()) < 0.101


def test_the_spectrum_is_that_of_hippo():
    """Eigenvectors of HiPPO-LegS with p p^T added, as the paper defines it."""
    size = 8
    n = np.arange(size)
    hippo = -np.tril(np.sqrt(np.outer(2 * n + 1, 2 * n + 1)), -1) - np.diag(n + 1)
    normal = hippo + np.outer(np.sqrt(n + 0.5), np.sqrt(n + 0.5))
    frequencies, basis = (x.numpy() for x in hippo_normal_spectrum(size))
    np.testing.assert_allclose(normal @ basis, basis * (-0.5 + 1j * frequencies), atol=1e-12)
    assert (frequencies < 0).all()


def test_maps_start_in_the_basis_of_hippo():
    mixer = build(width=300, state_size=128, blocks=4)
    # a complex number of a basis with orthonormal columns keeps the variance of what is rotated
    b, c = mixer.inward.weight.detach(), mixer.outward.weight.detach()
    assert float(b.square().sum(0).mean()) == pytest.approx(64 / 128, rel=0.05)
    assert float(c.square().sum(1).mean()) == pytest.approx(2 * 64 / 128, rel=0.05)


def test_flops_are_those_of_the_matrix_products_and_the_recurrence():
    mixer = build(state_size=8, blocks=1, algorithm="loop")
    with FlopCounterMode(display=False) as counter:
        mixer(torch.randn(1, 16, 6, dtype=torch.float64))
    assert mixer.flops(16) == counter.get_total_flops() + 16 * (14 * 4 + 2 * 6)


def test_costs():
    mixer = build(dtype=torch.float32, width=20, algorithm="loop")
    assert mixer.states == 16  # 32 real numbers: a multiple of twice eight blocks
    assert mixer.state_bytes(3) == mixer.state_bytes(3000) == 4 * 2 * 16
    assert mixer.serial_steps(64) == 4 + 64


@pytest.mark.parametrize("algorithm", S5.operation.available("cpu", torch.float64))
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


def test_impossible_sizes():
    with pytest.raises(UserError, match="multiple of twice the blocks"):
        build(state_size=12)
    with pytest.raises(UserError, match="swap them"):
        build(time_step_min=0.2)
