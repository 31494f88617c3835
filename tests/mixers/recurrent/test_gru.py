"""The gated recurrent unit: the contract, torch.nn.GRU, and the 2014 equations."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.recurrent.gru import GRU, GRUConfig
from seqarena.ops.recurrent.gru import gru

CONFIGS = {
    "after": GRUConfig(),
    "before": GRUConfig(reset="before"),
    "loop": GRUConfig(algorithm="loop"),
    "fused": GRUConfig(algorithm="fused"),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_contract(check, config):
    check(subject(GRU, config))


@pytest.mark.parametrize("algorithm", gru.available("cpu", torch.float64))
def test_parity_with_torch(algorithm):
    torch.manual_seed(0)
    ours = GRU(6, GRUConfig(algorithm=algorithm)).double()
    theirs = torch.nn.GRU(6, 6, batch_first=True).double()
    assert ours.inner_bias_E is not None
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(ours.input_FD)
        theirs.weight_hh_l0.copy_(ours.recurrent_FE)
        theirs.bias_ih_l0.copy_(ours.bias_F)
        theirs.bias_hh_l0.zero_()
        theirs.bias_hh_l0[12:].copy_(ours.inner_bias_E)
    x_BTD = torch.randn(3, 20, 6, dtype=torch.float64, requires_grad=True)
    weight_BTD = torch.randn(3, 20, 6, dtype=torch.float64)
    y_BTD, state = ours(x_BTD)
    their_y, their_h = theirs(x_BTD)
    torch.testing.assert_close(y_BTD, their_y, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state.h_BE, their_h[0], rtol=1e-12, atol=1e-12)
    found = torch.autograd.grad(
        (y_BTD * weight_BTD).sum() + state.h_BE.square().sum(), [x_BTD, *ours.parameters()]
    )
    *expected, inner = torch.autograd.grad(
        (their_y * weight_BTD).sum() + their_h.square().sum(), [x_BTD, *theirs.parameters()]
    )
    for a, b in zip(found, [*expected, inner[12:]]):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("algorithm", ["loop", "stepwise"])
def test_parity_with_the_equations_of_2014(algorithm):
    """Equations 5 to 8 of Cho et al. 2014, whose z keeps the old state, in NumPy."""
    torch.manual_seed(0)
    mixer = GRU(6, GRUConfig(reset="before", algorithm=algorithm)).double()
    w_r, w_z, w_n = np.split(mixer.input_FD.detach().numpy(), 3)
    u_r, u_z, u_n = np.split(mixer.recurrent_FE.detach().numpy(), 3)
    b_r, b_z, b_n = np.split(mixer.bias_F.detach().numpy(), 3)
    x_BTD = torch.randn(1, 30, 6, dtype=torch.float64)
    h, expected = np.zeros(6), []
    for x in x_BTD[0].numpy():
        r = sigmoid(w_r @ x + u_r @ h + b_r)
        z = sigmoid(w_z @ x + u_z @ h + b_z)
        h = z * h + (1 - z) * np.tanh(w_n @ x + u_n @ (r * h) + b_n)
        expected.append(h)
    y_BTD, _ = mixer(x_BTD)
    torch.testing.assert_close(y_BTD[0], torch.from_numpy(np.stack(expected)))


def test_the_two_resets_differ():
    """Where U does not commute with the gate, as almost everywhere."""
    torch.manual_seed(0)
    after, before = GRU(6, GRUConfig()), GRU(6, GRUConfig(reset="before"))
    with torch.no_grad():
        assert after.inner_bias_E is not None
        after.inner_bias_E.zero_()
        before.load_state_dict({k: v for k, v in after.state_dict().items() if "inner" not in k})
        x_BTD = torch.randn(1, 10, 6)
        assert float((after(x_BTD)[0] - before(x_BTD)[0]).abs().max()) > 1e-3


@pytest.mark.parametrize(("reset", "elementwise"), [("after", 5), ("before", 4)])
def test_flops_are_the_counted_products_and_the_recurrence(reset, elementwise):
    mixer = GRU(16, GRUConfig(algorithm="loop", reset=reset))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        mixer(torch.randn(1, 7, 16))
    assert mixer.flops(7) == counter.get_total_flops() + 7 * elementwise * 16


def test_no_kernel_resets_before_the_product():
    with pytest.raises(UserError, match="known are auto, loop, stepwise"):
        GRU(8, GRUConfig(reset="before", algorithm="fused"))
    assert GRU(8, GRUConfig(reset="before")).algorithm == "stepwise"
