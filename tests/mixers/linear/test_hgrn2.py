"""HGRN2: the contract, the paper's recurrence, parity with the layer of flash-linear-attention,
lower bounds that grow with the depth, its costs."""

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.linear.hgrn2 import HGRN2, HGRN2Config
from seqarena.models.stacks.stack import LayerConfig, Stack, StackConfig
from tests.mixers.references.arrays import differences


class SecondOfTwo(HGRN2):
    """With a lower bound, as every layer but the first has one."""

    def __init__(self, width, config):
        super().__init__(width, config)
        self.place(1, 2)


CASES = {
    "first layer": (HGRN2, HGRN2Config()),
    "second layer": (SecondOfTwo, HGRN2Config(num_heads=3, chunk_size=4)),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_contract(case, check):
    check(subject(*case))


def build(kind=HGRN2, width=24, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return kind(width, HGRN2Config(**fields)).to(dtype)


@pytest.mark.parametrize(("kind", "lower"), [(HGRN2, 0.0), (SecondOfTwo, 0.5)])
def test_equals_the_papers_recurrence(kind, lower):
    """S_t = diag(f_t) S_(t-1) + (1 - f_t) i_t^T with f_t = gamma + (1 - gamma) sigmoid(.)."""
    mixer, x_TD = build(kind), torch.randn(9, 24, dtype=torch.float64)
    found = mixer(x_TD[None])[0][0].detach().numpy()
    w, x = {name: p.detach().numpy() for name, p in mixer.named_parameters()}, x_TD.numpy()
    q, f, i = np.split(x @ w["inward.weight"].T, 3, axis=1)
    q, f = q / (1 + np.exp(-q)), lower + (1 - lower) / (1 + np.exp(-f))
    read = np.zeros((9, 24))
    for h in range(4):
        S, own = np.zeros((6, 6)), slice(6 * h, 6 * h + 6)
        for t in range(9):
            S = np.diag(f[t, own]) @ S + np.outer(1 - f[t, own], i[t, own])
            read[t, own] = q[t, own] @ S / np.sqrt(6)
    normed = read / np.sqrt((read**2).mean(-1, keepdims=True) + 1e-5) * w["norm.weight"]
    np.testing.assert_allclose(found, normed @ w["outward.weight"].T, rtol=0, atol=1e-10)


def test_lower_bounds_start_growing_with_the_depth():
    layer = LayerConfig(mixer="seqarena.mixers.linear.hgrn2:HGRN2")
    mixers = Stack(StackConfig(width=8, layers=(layer,) * 4, channel_width=8)).mixers
    assert all(isinstance(mixer, HGRN2) for mixer in mixers)
    assert mixers[0].bound is None
    found = [float(mixer.get_parameter("bound").detach().sigmoid().mean()) for mixer in mixers[1:]]
    np.testing.assert_allclose(found, [0.25, 0.5, 0.75], atol=1e-6)


def test_parity_with_the_published_layer():
    assert max(differences(build(SecondOfTwo, width=12, num_heads=3), "hgrn2")) < 1e-9


def test_costs():
    mixer = build(dtype=torch.float32, chunk_size=16)
    assert mixer.state_bytes(3) == mixer.state_bytes(3000) == 4 * 4 * 6 * 6
    assert build(algorithm="loop").serial_steps(64) == 4 + 64


def test_impossible_sizes():
    with pytest.raises(UserError, match="multiple of the heads"):
        build(width=26)
