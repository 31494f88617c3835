"""Gated DeltaNet-2: the contract, the rule in NumPy, that it is Kimi Delta Attention where its two
gates are one number, parity with a published layer, costs."""

import numpy as np
import pytest
import torch
from delta_surroundings import case, counted_flops, sigmoid, softplus, stirred

from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.delta.gated_delta2 import GatedDelta2Config, GatedDeltaNet2
from seqarena.mixers.delta.kimi_delta import KimiDelta, KimiDeltaConfig
from tests.mixers.references.arrays import differences

CONFIGS = {
    "default": GatedDelta2Config(),
    "three heads, reflections": GatedDelta2Config(
        num_heads=3, value_expand=2, chunk_size=4, negative_eigenvalues=True
    ),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_contract(config, check):
    check(subject(GatedDeltaNet2, config))


def build(width=24, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return GatedDeltaNet2(width, GatedDelta2Config(**fields)).to(dtype)


@pytest.mark.parametrize("negative", [False, True])
def test_equals_the_rule(negative):
    given = case(build(negative_eigenvalues=negative))
    w, x = given.w, given.x_TD
    b = (1 + negative) * sigmoid(x @ w["erasing.weight"].T).reshape(9, 4, 6)
    written = sigmoid(x @ w["writing.weight"].T).reshape(9, 4, 6)
    z = x @ w["steps.0.weight"].T @ w["steps.1.weight"].T + w["decay.bias"]
    alpha = np.exp(-np.exp(w["decay.a_log"])[:, None] * softplus(z.reshape(9, 4, 6)))
    read = np.zeros((9, 4, 6))
    for h in range(4):
        S = np.zeros((6, 6))
        for t in range(9):
            k, v = given.k_TNHK[t, 0, h], given.v_TNHV[t, 0, h]
            S = (np.eye(6) - np.outer(k, b[t, h] * k)) @ np.diag(alpha[t, h]) @ S
            S = S + np.outer(k, written[t, h] * v)
            read[t, h] = S.T @ given.q_THK[t, h] / np.sqrt(6)
    gate = sigmoid(x @ w["gate.0.weight"].T @ w["gate.1.weight"].T + w["gate.1.bias"])
    given.check(read, gate)


def test_one_gate_is_kimi_delta_attention():
    """Where both gates have the same number for all features of a head."""
    kimi = stirred(KimiDelta(24, KimiDeltaConfig()))
    mixer, weights = build(), kimi.state_dict()
    beta_HD = weights.pop("beta.weight")
    weights["erasing.weight"] = weights["writing.weight"] = beta_HD.repeat_interleave(6, dim=0)
    mixer.load_state_dict(weights)
    x_BTD = torch.randn(2, 9, 24, dtype=torch.float64)
    torch.testing.assert_close(mixer(x_BTD)[0], kimi(x_BTD)[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("algorithm", GatedDeltaNet2.operation.available("cpu", torch.float64))
def test_parity_with_a_published_layer(algorithm):
    mixer = build(
        12, num_heads=3, kernel=3, value_expand=2, negative_eigenvalues=True, algorithm=algorithm
    )
    assert max(differences(mixer, "gated_delta2")) < 1e-10


def test_costs():
    mixer = build(algorithm="loop")
    rest = 20 * (2 + 1) * 4 * 6 * 6  # the loop's matrix products read; it also writes and fades
    assert mixer.flops(20) == counted_flops(mixer, 20) + rest
    assert mixer.serial_steps(64) == 5 + 64
    small = build(dtype=torch.float32)
    assert small.state_bytes(3) == small.state_bytes(3000) == 4 * (4 * 6 * 6 + 3 * 72)
