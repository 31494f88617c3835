"""Gated linear attention: the contract, the paper's recurrence, parity with the layer of
flash-linear-attention, its costs."""

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.linear.gla import GatedLinearAttention, GLAConfig
from tests.mixers.references.arrays import differences

CONFIGS = {
    "default": GLAConfig(),
    "wide keys": GLAConfig(num_heads=3, key_expand=1.5, decay_rank=2, decay_root=1, chunk_size=4),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_contract(config, check):
    check(subject(GatedLinearAttention, config))


def build(width=24, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return GatedLinearAttention(width, GLAConfig(**fields)).to(dtype)


def test_equals_the_papers_recurrence():
    """Section 4.4: S_t = diag(alpha_t) S_(t-1) + k_t^T v_t, o_t = q_t S_t."""
    mixer, x_TD = build(), torch.randn(9, 24, dtype=torch.float64)
    found = mixer(x_TD[None])[0][0].detach().numpy()
    w, x = {name: p.detach().numpy() for name, p in mixer.named_parameters()}, x_TD.numpy()
    q, k, v = np.split(x @ w["inward.weight"].T, (12, 24), axis=1)
    gate = x @ w["low_rank.0.weight"].T @ w["low_rank.1.weight"].T + w["low_rank.1.bias"]
    alpha = (1 / (1 + np.exp(-gate))) ** (1 / 16)
    read = np.zeros((9, 4, 6))
    for h in range(4):
        S, keys, values = np.zeros((3, 6)), slice(3 * h, 3 * h + 3), slice(6 * h, 6 * h + 6)
        for t in range(9):
            S = np.diag(alpha[t, keys]) @ S + np.outer(k[t, keys], v[t, values])
            read[t, h] = q[t, keys] @ S / np.sqrt(3)
    normed = read / np.sqrt((read**2).mean(-1, keepdims=True) + 1e-6) * w["gated_out.norm.weight"]
    out_gate = x @ w["gated_out.gate.weight"].T
    gated = normed.reshape(9, 24) * out_gate / (1 + np.exp(-out_gate))
    np.testing.assert_allclose(found, gated @ w["gated_out.outward.weight"].T, rtol=0, atol=1e-10)


def test_parity_with_the_published_layer():
    mixer = build(width=12, num_heads=3, key_expand=1, decay_rank=4)
    assert max(differences(mixer, "gla")) < 1e-9


def test_costs():
    mixer = build(dtype=torch.float32, chunk_size=16)
    assert mixer.state_bytes(3) == mixer.state_bytes(3000) == 4 * 4 * 3 * 6
    assert build(algorithm="loop").serial_steps(64) == 4 + 64


def test_impossible_sizes():
    with pytest.raises(UserError, match="multiple of the heads"):
        build(width=26)
    with pytest.raises(UserError, match="multiple of 8"):
        build(width=20)
