"""Gated DeltaNet: the contract, the equations in NumPy, its costs."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.delta.gated_delta import GatedDeltaConfig, GatedDeltaNet

CONFIGS = {
    "default": GatedDeltaConfig(),
    "three heads, reflections": GatedDeltaConfig(
        num_heads=3, value_expand=1, chunk_size=5, negative_eigenvalues=True
    ),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_contract(config, check):
    check(subject(GatedDeltaNet, config))


def build(width=24, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return GatedDeltaNet(width, GatedDeltaConfig(**fields)).to(dtype)


@pytest.mark.parametrize("negative", [False, True])
def test_equals_the_equations(negative):
    mixer, x_TD = build(negative_eigenvalues=negative), torch.randn(9, 24, dtype=torch.float64)
    found = mixer(x_TD[None])[0][0].detach().numpy()
    w = {name: p.detach().numpy() for name, p in mixer.named_parameters()}
    x, silu = x_TD.numpy(), lambda z: z / (1 + np.exp(-z))
    u = np.concatenate((np.zeros((3, 96)), x @ w["inward.weight"].T))
    u = silu(sum(w["convolution.weight"][:, 0, i] * u[i : i + 9] for i in range(4)))
    steps = x @ w["steps.weight"].T
    beta = (2 if negative else 1) / (1 + np.exp(-steps[:, :4]))
    alpha = np.exp(-np.exp(w["a_log"]) * np.log1p(np.exp(steps[:, 4:] + w["step_bias"])))
    read = np.zeros((9, 4, 12))
    for h in range(4):
        S = np.zeros((6, 12))
        for t in range(9):
            q, k = (u[t, start : start + 6] for start in (6 * h, 24 + 6 * h))
            q, k = q / np.linalg.norm(q), k / np.linalg.norm(k)
            v = u[t, 48 + 12 * h : 60 + 12 * h]
            S = alpha[t, h] * (np.eye(6) - beta[t, h] * np.outer(k, k)) @ S
            S = S + beta[t, h] * np.outer(k, v)
            read[t, h] = S.T @ q / np.sqrt(6)
    normed = read / np.sqrt((read**2).mean(-1, keepdims=True) + 1e-5) * w["norm.weight"]
    gated = normed.reshape(9, 48) * silu(x @ w["gate.weight"].T)
    np.testing.assert_allclose(found, gated @ w["outward.weight"].T, rtol=0, atol=1e-10)


def test_flops():
    """The loop's own products, counted: reading twice. Writing and fading cost as much again."""
    mixer = build(algorithm="loop")
    with FlopCounterMode(display=False) as counter:
        mixer(torch.randn(1, 20, 24, dtype=torch.float64))
    matrix = 4 * 6 * 12
    written = 20 * (2 + 2 + 1) * matrix
    assert mixer.flops(20) == counter.get_total_flops() + written + mixer.convolution.flops(20)


def test_costs():
    mixer = build(dtype=torch.float32, chunk_size=16)
    assert mixer.state_bytes(3) == mixer.state_bytes(3000) == 4 * (4 * 6 * 12 + 3 * 96)
    assert build(algorithm="loop").serial_steps(64) == 5 + 64


def test_steps_start_as_published():
    mixer = build(width=64, dtype=torch.float32, num_heads=16)
    step_H = F.softplus(mixer.step_bias.detach())
    assert 0.001 <= float(step_H.min()) < float(step_H.max()) <= 0.1
    assert float(mixer.a_log.detach().exp().max()) <= 16


def test_impossible_sizes():
    with pytest.raises(UserError, match="multiple"):
        build(width=26)
