"""The simple recurrent network: the contract, torch.nn.RNN, and the IRNN's initialisation."""

import pytest
import torch
from pydantic import ValidationError
from torch.utils.flop_counter import FlopCounterMode

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.recurrent.elman import Elman, ElmanConfig

CONFIGS = {
    "tanh": ElmanConfig(),
    "relu": ElmanConfig(nonlinearity="relu", algorithm="loop"),
    "irnn": ElmanConfig(nonlinearity="relu", initialisation="identity"),
    "fused": ElmanConfig(algorithm="fused"),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_contract(check, config):
    check(subject(Elman, config))


@pytest.mark.parametrize("algorithm", Elman.operation.available("cpu", torch.float64))
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_parity_with_torch(nonlinearity, algorithm):
    torch.manual_seed(0)
    config = ElmanConfig(nonlinearity=nonlinearity, algorithm=algorithm)
    ours = Elman(6, config).double()
    theirs = torch.nn.RNN(6, 6, nonlinearity=nonlinearity, batch_first=True).double()
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(ours.input_ED)
        theirs.weight_hh_l0.copy_(ours.recurrent_EE)
        theirs.bias_ih_l0.copy_(ours.bias_E)
        theirs.bias_hh_l0.zero_()
    x_BTD = torch.randn(3, 20, 6, dtype=torch.float64, requires_grad=True)
    weight_BTD = torch.randn(3, 20, 6, dtype=torch.float64)
    y_BTD, state = ours(x_BTD)
    their_y, their_h = theirs(x_BTD)
    torch.testing.assert_close(y_BTD, their_y, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state.h_BE, their_h[0], rtol=1e-12, atol=1e-12)
    found = torch.autograd.grad(
        (y_BTD * weight_BTD).sum() + state.h_BE.square().sum(), [x_BTD, *ours.parameters()]
    )
    expected = torch.autograd.grad(
        (their_y * weight_BTD).sum() + their_h.square().sum(),
        [x_BTD, *list(theirs.parameters())[:3]],
    )
    for a, b in zip(found, expected):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


def test_identity_initialisation_carries_the_state_unchanged():
    """Le et al. 2015: with no input, the state stays what it was."""
    torch.manual_seed(0)
    mixer = Elman(8, ElmanConfig(nonlinearity="relu", initialisation="identity"))
    start = mixer.initial_state(2)._replace(h_BE=torch.rand(2, 8))
    kept = start.h_BE.clone()
    with torch.no_grad():
        _, state = mixer(torch.zeros(2, 500, 8), start)
    assert torch.equal(state.h_BE, kept)
    assert 0.0008 < float(Elman(64, mixer.settings).input_ED.detach().std()) < 0.0012


def test_uniform_initialisation_is_that_of_torch():
    torch.manual_seed(0)
    mixer = Elman(64, ElmanConfig())
    for parameter in mixer.state_dict().values():
        assert float(parameter.abs().max()) <= 1 / 8
        # the deviation of a uniform number in +-1/8 is 0.0722
        assert 0.05 < float(parameter.std()) < 0.09


def test_flops_equal_the_counted_products():
    mixer = Elman(16, ElmanConfig(algorithm="loop"))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        mixer(torch.randn(1, 7, 16))
    assert mixer.flops(7) == counter.get_total_flops()


def test_unknown_choices_are_refused():
    for wrong in ({"nonlinearity": "gelu"}, {"heads": 2}):
        with pytest.raises(ValidationError):
            ElmanConfig(**wrong)
    with pytest.raises(UserError, match="unknown algorithm of elman 'scan'"):
        Elman(8, ElmanConfig(algorithm="scan"))
