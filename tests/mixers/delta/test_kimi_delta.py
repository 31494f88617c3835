"""Kimi Delta Attention: the contract, the rule in NumPy, parity with the authors' layer and with
that of transformers, costs."""

import numpy as np
import pytest
import torch
from delta_surroundings import (
    case,
    counted_flops,
    differences_from_transformers,
    sigmoid,
    softplus,
    stirred,
)  # fmt: skip

from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.delta.kimi_delta import KimiDelta, KimiDeltaConfig
from tests.mixers.references.arrays import differences

CONFIGS = {
    "default": KimiDeltaConfig(),
    "three heads, reflections, bounded": KimiDeltaConfig(
        num_heads=3, value_expand=2, chunk_size=4, negative_eigenvalues=True, lowest_log_decay=-5
    ),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_contract(config, check):
    check(subject(KimiDelta, config))


def build(width=24, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return KimiDelta(width, KimiDeltaConfig(**fields)).to(dtype)


@pytest.mark.parametrize("lowest", [None, -5.0])
@pytest.mark.parametrize("negative", [False, True])
def test_equals_the_rule(negative, lowest):
    given = case(build(negative_eigenvalues=negative, lowest_log_decay=lowest))
    w, x = given.w, given.x_TD
    beta = (1 + negative) * sigmoid(x @ w["beta.weight"].T)
    z = x @ w["steps.0.weight"].T @ w["steps.1.weight"].T + w["decay.bias"]
    rate, z = np.exp(w["decay.a_log"])[:, None], z.reshape(9, 4, 6)
    alpha = np.exp(-rate * softplus(z) if lowest is None else lowest * sigmoid(rate * z))
    read = np.zeros((9, 4, 6))
    for h in range(4):
        S = np.zeros((6, 6))
        for t in range(9):
            k, v = given.k_TNHK[t, 0, h], given.v_TNHV[t, 0, h]
            S = (np.eye(6) - beta[t, h] * np.outer(k, k)) @ np.diag(alpha[t, h]) @ S
            S = S + beta[t, h] * np.outer(k, v)
            read[t, h] = S.T @ given.q_THK[t, h] / np.sqrt(6)
    gate = sigmoid(x @ w["gate.0.weight"].T @ w["gate.1.weight"].T + w["gate.1.bias"])
    given.check(read, gate)


@pytest.mark.parametrize("algorithm", KimiDelta.operation.available("cpu", torch.float64))
@pytest.mark.parametrize("bounded", [False, True])
def test_parity_with_the_authors_layer(bounded, algorithm):
    special = {"lowest_log_decay": -5.0} if bounded else {"negative_eigenvalues": True}
    mixer = build(12, num_heads=3, kernel=3, algorithm=algorithm, **special)
    name = "kimi_delta_bounded" if bounded else "kimi_delta"
    assert max(differences(mixer, name)) < 1e-10


@pytest.mark.parametrize("algorithm", KimiDelta.operation.available("cpu", torch.float64))
def test_parity_with_transformers(algorithm, monkeypatch):
    """Whose gate has no bias."""
    reference = pytest.importorskip("transformers.models.kimi_linear")
    torch.manual_seed(0)
    config = reference.KimiLinearConfig(
        hidden_size=24, linear_head_dim=8, linear_num_heads=3, linear_conv_kernel_dim=4,
        rms_norm_eps=1e-5, num_hidden_layers=1, layer_types=["linear_attention"],
    )  # fmt: skip
    layer = reference.modeling_kimi_linear.KimiLinearDeltaAttention(config, layer_idx=0)
    torch.nn.init.zeros_(layer.forget_gate.dt_bias)
    torch.nn.init.zeros_(layer.forget_gate.A_log)
    parts = {
        "inward.weight": ("q_proj.weight", "k_proj.weight", "v_proj.weight"),
        "convolution.weight": ("conv1d.weight",),
        "beta.weight": ("b_proj.weight",),
        "steps.0.weight": ("forget_gate.f_a_proj.weight",),
        "steps.1.weight": ("forget_gate.f_b_proj.weight",),
        "decay.bias": ("forget_gate.dt_bias",),
        "gate.0.weight": ("g_a_proj.weight",),
        "gate.1.weight": ("g_b_proj.weight",),
        "norm.weight": ("o_norm.weight",),
        "outward.weight": ("o_proj.weight",),
    }
    names = {ours: (theirs, lambda x: x) for ours, theirs in parts.items()}
    names["decay.a_log"] = (("forget_gate.A_log",), torch.flatten)
    mixer = build(num_heads=3, algorithm=algorithm)
    torch.nn.init.zeros_(mixer.gate[1].bias)
    assert max(differences_from_transformers(mixer, stirred(layer), names, monkeypatch)) < 1e-10


def test_the_decay_has_its_lowest_value():
    mixer = build(lowest_log_decay=-5.0)
    log_alpha = mixer.decay(torch.linspace(-1e4, 1e4, 24).double()[None, None]).detach()
    assert -5 <= float(log_alpha.min()) < float(log_alpha.max()) <= 0


def test_costs():
    mixer = build(algorithm="loop")
    rest = 20 * (2 + 1) * 4 * 6 * 6  # the loop's matrix products read; it also writes and fades
    assert mixer.flops(20) == counted_flops(mixer, 20) + rest
    assert mixer.serial_steps(64) == 5 + 64
    small = build(dtype=torch.float32)
    assert small.state_bytes(3) == small.state_bytes(3000) == 4 * (4 * 6 * 6 + 3 * 72)
