"""The feed-forward window: the contract, Bengio's equation a position at a time, costs."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.convolution.feed_forward import FeedForward, FeedForwardConfig

CONFIGS = {
    "window 3": FeedForwardConfig(window=3),
    "wide hidden layer": FeedForwardConfig(window=5, hidden=7),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_contract(config, check):
    check(subject(FeedForward, config))


def build(width=12, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return FeedForward(width, FeedForwardConfig(**fields)).to(dtype)


@pytest.mark.parametrize("algorithm", FeedForward.operation.available("cpu", torch.float64))
def test_equals_the_paper(algorithm):
    """y = b + U tanh(d + H x) with x the concatenated window (equation 1, without W)."""
    mixer = build(window=4, hidden=9, algorithm=algorithm)
    torch.nn.init.normal_(mixer.bias_F)
    x_BTD = torch.randn(1, 10, 12, dtype=torch.float64)
    matrix, d = mixer.weight_WDF.detach().numpy().reshape(48, 9).T, mixer.bias_F.detach().numpy()
    U, b = (p.detach().numpy() for p in (mixer.outward.weight, mixer.outward.bias))
    padded = np.concatenate((np.zeros((3, 12)), x_BTD[0].numpy()))
    expected = [b + U @ np.tanh(d + matrix @ padded[t : t + 4].ravel()) for t in range(10)]
    found = mixer(x_BTD)[0][0].detach().numpy()
    np.testing.assert_allclose(found, np.stack(expected), rtol=0, atol=1e-12)


@pytest.mark.parametrize("algorithm", FeedForward.operation.available("cpu", torch.float64))
def test_flops_are_those_counted(algorithm):
    mixer = build(window=3, hidden=7, algorithm=algorithm)
    with FlopCounterMode(display=False) as counter:
        mixer(torch.randn(1, 20, 12, dtype=torch.float64))
    assert mixer.flops(20) == counter.get_total_flops()


def test_costs():
    mixer = build(window=5, dtype=torch.float32)
    assert mixer.reach() == 4
    assert [mixer.path_length(d) for d in (1, 4, 5)] == [1, 1, 2]
    assert mixer.state_bytes(1) == mixer.state_bytes(1000) == 4 * 12 * 4
    assert mixer.weight_WDF.shape == (5, 12, 12)


@pytest.mark.parametrize("fields", [{"window": 1}, {"hidden": 0}])
def test_impossible_sizes(fields):
    with pytest.raises(UserError, match="at least"):
        build(**fields)
