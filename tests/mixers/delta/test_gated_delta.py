"""Gated DeltaNet: the contract, the rule in NumPy, parity with the authors' layer and with two of
transformers, costs."""

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from delta_surroundings import (
    case,
    counted_flops,
    differences_from_transformers,
    sigmoid,
    silu,
    softplus,
    stirred,
)  # fmt: skip

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.delta.gated_delta import GatedDeltaConfig, GatedDeltaNet
from tests.mixers.references.arrays import differences

CONFIGS = {
    "default": GatedDeltaConfig(),
    "three heads, reflections": GatedDeltaConfig(
        num_heads=3, value_expand=1, chunk_size=4, negative_eigenvalues=True
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
def test_equals_the_gated_delta_rule(negative):
    """Equation 10 of the paper."""
    given = case(build(negative_eigenvalues=negative))
    w, steps = given.w, given.x_TD @ given.w["steps.weight"].T
    beta = (1 + negative) * sigmoid(steps[:, :4])
    alpha = np.exp(-np.exp(w["decay.a_log"]) * softplus(steps[:, 4:] + w["decay.bias"]))
    read = np.zeros((9, 4, 12))
    for h in range(4):
        S = np.zeros((6, 12))
        for t in range(9):
            k, v = given.k_TNHK[t, 0, h], given.v_TNHV[t, 0, h]
            S = alpha[t, h] * (np.eye(6) - beta[t, h] * np.outer(k, k)) @ S
            S = S + beta[t, h] * np.outer(k, v)
            read[t, h] = S.T @ given.q_THK[t, h] / np.sqrt(6)
    given.check(read, silu(given.x_TD @ w["gate.0.weight"].T))


@pytest.mark.parametrize("algorithm", GatedDeltaNet.operation.available("cpu", torch.float64))
def test_parity_with_the_authors_layer(algorithm):
    mixer = build(12, num_heads=3, kernel=3, algorithm=algorithm)
    assert max(differences(mixer, "gated_delta")) < 1e-10


SIZES = {
    "hidden_size": 24, "linear_num_key_heads": 3, "linear_num_value_heads": 3,
    "linear_key_head_dim": 8, "linear_value_head_dim": 16, "linear_conv_kernel_dim": 4,
    "num_hidden_layers": 2, "layer_types": ["linear_attention", "full_attention"],
}  # fmt: skip
AS_IT_IS = {
    ours: ((theirs,), lambda x: x)
    for ours, theirs in {
        "convolution.weight": "conv1d.weight",
        "decay.a_log": "A_log",
        "decay.bias": "dt_bias",
    }.items()
}


def rows(x, sizes, chosen):
    """Of rows that are a head's parts of these sizes, head after head: those parts, each with its
    heads one after another."""
    parts = x.unflatten(0, (3, -1)).split(sizes, dim=1)
    return torch.cat([parts[i].flatten(0, 1) for i in chosen])


@pytest.mark.parametrize("algorithm", GatedDeltaNet.operation.available("cpu", torch.float64))
def test_parity_with_qwen3_next(algorithm, monkeypatch):
    reference = pytest.importorskip("transformers.models.qwen3_next")
    torch.manual_seed(0)
    config = reference.Qwen3NextConfig(**SIZES, rms_norm_eps=1e-5)
    module = reference.modeling_qwen3_next
    theirs = stirred(module.Qwen3NextGatedDeltaNet(config, layer_idx=0))
    inward, gate = ("in_proj_qkvz.weight",), (8, 8, 16, 16)
    names = AS_IT_IS | {
        "inward.weight": (inward, partial(rows, sizes=gate, chosen=(0, 1, 2))),
        "gate.0.weight": (inward, partial(rows, sizes=gate, chosen=(3,))),
        "steps.weight": (("in_proj_ba.weight",), partial(rows, sizes=(1, 1), chosen=(0, 1))),
        "norm.weight": (("norm.weight",), lambda x: x),
        "outward.weight": (("out_proj.weight",), lambda x: x),
    }
    mixer = build(num_heads=3, algorithm=algorithm)
    assert max(differences_from_transformers(mixer, theirs, names, monkeypatch)) < 1e-10


@pytest.mark.parametrize("algorithm", GatedDeltaNet.operation.available("cpu", torch.float64))
def test_parity_with_olmo_hybrid(algorithm, monkeypatch):
    """Its eigenvalues lie in [-1, 1]."""
    reference = pytest.importorskip("transformers.models.olmo_hybrid")
    torch.manual_seed(0)
    config = reference.OlmoHybridConfig(**SIZES, linear_allow_neg_eigval=True)
    module = reference.modeling_olmo_hybrid
    theirs = stirred(module.OlmoHybridGatedDeltaNet(config, layer_idx=0))
    joined = {
        "inward.weight": ("q_proj.weight", "k_proj.weight", "v_proj.weight"),
        "steps.weight": ("b_proj.weight", "a_proj.weight"),
        "gate.0.weight": ("g_proj.weight",),
        "norm.weight": ("o_norm.weight",),
        "outward.weight": ("o_proj.weight",),
    }
    names = AS_IT_IS | {ours: (parts, lambda x: x) for ours, parts in joined.items()}
    mixer = build(num_heads=3, negative_eigenvalues=True, algorithm=algorithm)
    assert max(differences_from_transformers(mixer, theirs, names, monkeypatch)) < 1e-10


def test_costs():
    mixer = build(algorithm="loop")
    rest = 20 * (2 + 1) * 4 * 6 * 12  # the loop's matrix products read; it also writes and fades
    assert mixer.flops(20) == counted_flops(mixer, 20) + rest
    assert mixer.serial_steps(64) == 5 + 64
    small = build(dtype=torch.float32, chunk_size=16)
    assert small.state_bytes(3) == small.state_bytes(3000) == 4 * (4 * 6 * 12 + 3 * 96)


def test_steps_start_as_published():
    mixer = build(width=64, dtype=torch.float32, num_heads=16)
    step_H = F.softplus(mixer.decay.bias.detach())
    assert 0.001 <= float(step_H.min()) < float(step_H.max()) <= 0.1
    assert float(mixer.decay.a_log.detach().exp().max()) <= 16


def test_impossible_sizes():
    with pytest.raises(UserError, match="multiple"):
        build(width=26)
