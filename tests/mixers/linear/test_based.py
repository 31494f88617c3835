"""Based: the contract, the sum over pairs of the paper, parity with the layer of
flash-linear-attention, its costs."""

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.linear.based import Based, BasedConfig, taylor_features
from tests.mixers.references.arrays import differences

CONFIGS = {
    "few features": BasedConfig(features=4),
    "one feature, three heads": BasedConfig(num_heads=3, features=1, chunk_size=4),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_contract(config, check):
    check(subject(Based, config))


def build(width=24, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return Based(width, BasedConfig(**fields)).to(dtype)


def test_equals_the_papers_sums_over_pairs():
    """Section 4.1: similarity 1 + s + s^2 / 2 in place of exp(s), normalised."""
    mixer, x_TD = build(), torch.randn(9, 24, dtype=torch.float64)
    found = mixer(x_TD[None])[0][0].detach().numpy()
    w, x = {name: p.detach().numpy() for name, p in mixer.named_parameters()}, x_TD.numpy()
    q, k, v = np.split(x @ w["inward.weight"].T, (64, 128), axis=1)
    heads = np.zeros((9, 24))
    for h in range(4):
        own, values = slice(16 * h, 16 * h + 16), slice(6 * h, 6 * h + 6)
        for t in range(9):
            s = k[: t + 1, own] @ q[t, own] / np.sqrt(16)
            weight = 1 + s + s**2 / 2
            heads[t, values] = weight @ v[: t + 1, values] / weight.sum()
    np.testing.assert_allclose(found, heads @ w["outward.weight"].T, rtol=0, atol=1e-10)


def test_features_are_those_of_the_series():
    q, k = torch.randn(2, 5, dtype=torch.float64)
    s = q @ k / 5**0.5
    expected = 1 + s + s**2 / 2
    torch.testing.assert_close(taylor_features(q) @ taylor_features(k), expected)


def test_parity_with_the_published_layer():
    # its epsilon of 1e-12 in the denominator, which is at least one half
    assert max(differences(build(width=12, num_heads=3, features=3), "based")) < 1e-9


def test_costs():
    mixer = build(dtype=torch.float32, chunk_size=16)
    assert mixer.state_bytes(3) == mixer.state_bytes(3000) == 4 * 4 * 153 * (6 + 1)
    assert build(algorithm="loop").serial_steps(64) == 4 + 64


def test_impossible_sizes():
    with pytest.raises(UserError, match="multiple of the heads"):
        build(width=26)
