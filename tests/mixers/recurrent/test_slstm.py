"""sLSTM: the contract, the package of its authors, its equations in NumPy, its costs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.utils.flop_counter import FlopCounterMode

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.recurrent.slstm import SLSTM, SLSTMConfig

STORED = Path(__file__).parents[1] / "references" / "slstm.safetensors"
CONFIGS = {
    "default": SLSTMConfig(),
    "one head, no neighbours": SLSTMConfig(num_heads=1, kernel=1),
    "loop": SLSTMConfig(num_heads=2, kernel=3, algorithm="loop"),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_contract(check, config):
    check(subject(SLSTM, config))


def as_theirs(found):
    """Our parameters by the names of `tests/mixers/references/slstm.py`. Their layer calls the
    module `fgate` for the input gate and the other way round."""
    i, f, z, o = found["input_4HPQ"]
    return {
        "conv1d.conv.weight": found["convolution.weight"],
        "conv1d.conv.bias": found["convolution.bias"],
        "fgate.weight": i, "igate.weight": f, "zgate.weight": z, "ogate.weight": o,
        "slstm_cell._recurrent_kernel_": found["recurrent_HGP"],
        "slstm_cell._bias_": found["bias_F"],
        "group_norm.weight": found["norm_D"],
    }  # fmt: skip


@pytest.mark.parametrize("algorithm", SLSTM.operation.available("cpu", torch.float64))
def test_parity_with_the_authors_package(algorithm):
    """Outputs, the state after two calls, and every gradient, in float64."""
    stored = load_file(STORED)
    stored["group_norm.weight"] += 1  # they store it less one
    mixer = SLSTM(12, SLSTMConfig(num_heads=3, algorithm=algorithm)).double()
    named = dict(mixer.named_parameters())
    with torch.no_grad():
        for name, parameter in as_theirs(named).items():
            parameter.copy_(stored[name])
    x_BTD = stored["x"].requires_grad_()
    first, state = mixer(x_BTD[:, :7])
    second, state = mixer(x_BTD[:, 7:], state)
    y_BTD = torch.cat((first, second), dim=1)
    same = {"y": y_BTD, "history": state.inputs_BKD, "state": torch.stack(state.recurrent)}
    total = (y_BTD * stored["weight"]).sum()
    dx_BTD, *gradients = torch.autograd.grad(total, [x_BTD, *named.values()])
    same |= {f"gradient {n}": g for n, g in as_theirs(dict(zip(named, gradients))).items()}
    for name, value in (same | {"gradient x": dx_BTD}).items():
        difference = float((value.detach() - stored[name]).abs().max())
        assert difference <= 1e-9 * max(1.0, float(stored[name].abs().max())), name


def test_equals_the_equations_without_a_stabiliser():
    """Gates as exponentials themselves: c / n is the same."""
    torch.manual_seed(0)
    mixer = SLSTM(4, SLSTMConfig(num_heads=2, kernel=1)).double()
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    w = {name: p.detach().numpy() for name, p in mixer.named_parameters()}
    x_TD = torch.randn(9, 4, dtype=torch.float64)
    u = x_TD.numpy() * w["convolution.weight"][:, 0, 0] + w["convolution.bias"]
    u, sigma = u / (1 + np.exp(-u)), lambda a: 1 / (1 + np.exp(-a))
    h, c, n, found = np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((2, 2)), []
    for t in range(9):
        rows = []
        for k, source in enumerate((u, u, x_TD.numpy(), x_TD.numpy())):
            own = [w["input_4HPQ"][k, j] @ source[t].reshape(2, 2)[j] for j in range(2)]
            past = [w["recurrent_HGP"][j, 2 * k : 2 * k + 2] @ h[j] for j in range(2)]
            rows.append(np.array(own) + past + w["bias_F"].reshape(4, 2, 2)[k])
        i, f, z, o = rows
        c = sigma(f) * c + np.exp(i) * np.tanh(z)
        n = sigma(f) * n + np.exp(i)
        h = sigma(o) * c / n
        spread = np.sqrt(h.var(axis=1, keepdims=True) + 1e-5)
        found.append(((h - h.mean(axis=1, keepdims=True)) / spread).reshape(4) * w["norm_D"])
    y_TD, state = mixer(x_TD[None])[0][0], mixer(x_TD[None])[1].recurrent
    np.testing.assert_allclose(y_TD.detach(), found, rtol=0, atol=1e-10)
    unstabilised = (state.n_BE * state.m_BE.exp())[0]
    np.testing.assert_allclose(unstabilised.detach(), n.reshape(4), rtol=1e-10)


def test_gates_far_out_of_range_stay_finite():
    """exp(200) overflows float32; the stabiliser takes it away."""
    torch.manual_seed(0)
    mixer = SLSTM(8, SLSTMConfig(num_heads=2))
    with torch.no_grad():
        mixer.input_4HPQ.mul_(1000)
    for algorithm in SLSTM.operation.available("cpu", torch.float64):
        mixer._resolved = algorithm
        x_BTD = torch.randn(2, 30, 8, requires_grad=True)
        y_BTD, state = mixer(x_BTD)
        (gradient,) = torch.autograd.grad(y_BTD.square().sum(), x_BTD)
        assert all(bool(leaf.isfinite().all()) for leaf in (y_BTD, *state.recurrent, gradient))


def test_starts_as_published():
    mixer = SLSTM(64, SLSTMConfig())
    i, f, z, o = mixer.bias_F.detach().view(4, 4, 16)
    assert not bool(torch.cat((i, z, o)).any())
    assert not bool(mixer.recurrent_HGP.any())
    assert torch.equal(f, f[:1].expand(4, -1))
    assert float(f[0, 0]) == 5.0
    assert float(f[0, -1]) == -7.0
    assert float(f[0, 5]) == pytest.approx(5 - 12 * (5 / 15) ** 0.3)
    deviation = float(mixer.input_4HPQ.detach().std())
    assert deviation == pytest.approx((2 / (5 * 64)) ** 0.5, rel=0.05)  # of 4,096 numbers


def test_flops_are_the_counted_products_the_convolution_and_the_recurrence():
    mixer = SLSTM(16, SLSTMConfig(algorithm="loop"))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        mixer(torch.randn(1, 7, 16))
    elementwise = 7 * 7 * 16
    assert mixer.flops(7) == counter.get_total_flops() + elementwise + mixer.convolution.flops(7)


def test_impossible_sizes():
    with pytest.raises(UserError, match="a width of 30 does not divide into 4 heads"):
        SLSTM(30, SLSTMConfig())
