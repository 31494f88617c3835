"""The LSTM: the contract, torch.nn.LSTM, and its two initialisations."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.recurrent.lstm import LSTM, LSTMConfig
from seqarena.ops.recurrent.lstm import lstm_peephole

CONFIGS = {
    "default": LSTMConfig(),
    "chrono": LSTMConfig(initialisation="chrono", max_time_steps=40, algorithm="stepwise"),
    "loop": LSTMConfig(algorithm="loop", forget_bias=0.0),
    "peepholes": LSTMConfig(peepholes=True),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_contract(check, config):
    check(subject(LSTM, config)._replace(width=20))  # Newton's blocks are 2 D x 2 D


@pytest.mark.parametrize("algorithm", LSTM.operation.available("cpu", torch.float64))
def test_parity_with_torch(algorithm):
    torch.manual_seed(0)
    ours = LSTM(6, LSTMConfig(algorithm=algorithm)).double()
    theirs = torch.nn.LSTM(6, 6, batch_first=True).double()
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(ours.input_FD)
        theirs.weight_hh_l0.copy_(ours.recurrent_FE)
        theirs.bias_ih_l0.copy_(ours.bias_F)
        theirs.bias_hh_l0.zero_()
    x_BTD = torch.randn(3, 20, 6, dtype=torch.float64, requires_grad=True)
    weight_BTD = torch.randn(3, 20, 6, dtype=torch.float64)
    y_BTD, (h_BE, c_BE) = ours(x_BTD)
    their_y, (their_h, their_c) = theirs(x_BTD)
    for a, b in ((y_BTD, their_y), (h_BE, their_h[0]), (c_BE, their_c[0])):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    found = torch.autograd.grad(
        (y_BTD * weight_BTD).sum() + (h_BE * c_BE).sum(), [x_BTD, *ours.parameters()]
    )
    expected = torch.autograd.grad(
        (their_y * weight_BTD).sum() + (their_h * their_c).sum(),
        [x_BTD, *list(theirs.parameters())[:3]],
    )
    for a, b in zip(found, expected):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


def test_float32_kernel_agrees_with_float64():
    """In float32 the library takes another kernel, forward and backward, than in float64.

    6e-8 a rounding; a weight's gradient sums 4 x 257 products.
    """
    results = []
    for dtype in (torch.float64, torch.float32):
        torch.manual_seed(0)
        mixer = LSTM(60, LSTMConfig(algorithm="fused")).to(dtype)
        x_BTD = torch.randn(4, 257, 60, dtype=torch.float64).to(dtype).requires_grad_()
        y_BTD, state = mixer(x_BTD)
        total = y_BTD.square().sum() + state.c_BE.sum()
        gradients = torch.autograd.grad(total, [x_BTD, *mixer.parameters()])
        results.append([y_BTD, *state, *gradients])
    for expected, found in zip(*results):
        error = (found.double() - expected).abs().max() / expected.abs().max()
        assert error < 2e-5


def test_forget_bias():
    torch.manual_seed(0)
    for value in (1.0, -2.0):
        _, forget, _, _ = LSTM(16, LSTMConfig(forget_bias=value)).bias_F.chunk(4)
        assert torch.equal(forget, torch.full((16,), value))


def test_chrono_initialisation():
    """Tallec & Ollivier 2018, equation 16: the memory times 1 / (1 - f) cover [2, T_max]."""
    torch.manual_seed(0)
    mixer = LSTM(500, LSTMConfig(initialisation="chrono", max_time_steps=101))
    input_bias, forget, _, _ = mixer.bias_F.detach().chunk(4)
    assert torch.equal(input_bias, -forget)
    time = 1 / (1 - forget.double().sigmoid())
    assert float(time.min()) >= 2 * (1 - 1e-4)
    assert float(time.max()) <= 101 * (1 + 1e-4)  # 1 - f loses digits where f is near one
    assert abs(float(time.mean()) - 51.5) < 4  # uniform in [2, 101]: deviation 28.6 / sqrt(500)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"initialisation": "chrono"}, "max_time_steps >= 3"),
        ({"initialisation": "chrono", "max_time_steps": 2}, "max_time_steps >= 3"),
        (
            {"initialisation": "chrono", "max_time_steps": 9, "forget_bias": 2.0},
            "leave forget_bias",
        ),
        ({"max_time_steps": 9}, "leave it out"),
    ],
)
def test_contradictions_are_refused(wrong, message):
    with pytest.raises(UserError, match=message):
        LSTMConfig(**wrong)


def test_a_saved_configuration_is_accepted_again():
    for config in CONFIGS.values():
        assert LSTMConfig(**config.model_dump()) == config


@pytest.mark.parametrize("algorithm", lstm_peephole.available("cpu", torch.float64))
def test_peepholes_are_the_published_equations(algorithm):
    """Graves 2013, equations 7 to 11, feature by feature."""
    torch.manual_seed(0)
    mixer = LSTM(3, LSTMConfig(peepholes=True, algorithm=algorithm)).double()
    x_TD = torch.randn(7, 3, dtype=torch.float64)
    W, U, b, p = (
        a.detach().numpy()
        for a in (mixer.input_FD, mixer.recurrent_FE, mixer.bias_F, mixer.peepholes_3E)
    )

    def sigma(a):
        return 1 / (1 + np.exp(-a))

    h, c, expected = np.zeros(3), np.zeros(3), []
    for x in x_TD.numpy():
        i, f, g, o = (W @ x + U @ h + b).reshape(4, 3)
        new = sigma(f + p[1] * c) * c + sigma(i + p[0] * c) * np.tanh(g)
        h, c = sigma(o + p[2] * new) * np.tanh(new), new
        expected.append(h)
    found, state = mixer(x_TD[None])
    np.testing.assert_allclose(found[0].detach(), expected, rtol=0, atol=1e-13)
    np.testing.assert_allclose(state.c_BE[0].detach(), c, rtol=0, atol=1e-13)


def test_peepholes_of_zero_change_nothing():
    torch.manual_seed(0)
    plain, looking = LSTM(6, LSTMConfig()), LSTM(6, LSTMConfig(peepholes=True))
    looking.load_state_dict({**plain.state_dict(), "peepholes_3E": torch.zeros(3, 6)})
    x_BTD = torch.randn(2, 9, 6)
    torch.testing.assert_close(looking(x_BTD)[0], plain(x_BTD)[0])
    assert looking.flops(7) - plain.flops(7) == 7 * 6 * 6
    assert looking.serial_steps(7) > plain.serial_steps(7)


def test_flops_are_the_counted_products_and_the_recurrence():
    mixer = LSTM(16, LSTMConfig(algorithm="loop"))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        mixer(torch.randn(1, 7, 16))
    assert mixer.flops(7) == counter.get_total_flops() + 7 * 4 * 16
