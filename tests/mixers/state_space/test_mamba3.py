"""Mamba-3: the contract, the equations in NumPy, and parity with the authors' layer."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.utils.flop_counter import FlopCounterMode

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.state_space.mamba3 import Mamba3, Mamba3Config

CONFIGS = {
    "default": Mamba3Config(state_size=8),
    "odd": Mamba3Config(num_heads=3, expand=1, state_size=4, turned="all", chunk_size=4),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_contract(check, config):
    check(subject(Mamba3, config))


def build(width=24, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return Mamba3(width, Mamba3Config(**{"state_size": 8} | fields)).to(dtype)


def stirred(mixer):
    """Steps, shares and angles that matter."""
    with torch.no_grad():
        for name, parameter in mixer.named_parameters():
            parameter.add_((1.0 if "weight" in name else 0.3) * torch.randn_like(parameter))
    return mixer


@pytest.mark.parametrize("turned", ["half", "all"])
def test_equals_the_equations(turned):
    mixer = stirred(build(width=6, num_heads=3, turned=turned))
    x_TD = torch.randn(11, 6, dtype=torch.float64)
    w = {name: p.detach().numpy() for name, p in mixer.named_parameters()}
    pairs = 4 if turned == "all" else 2
    sizes = np.cumsum([12, 12, 8, 8, 3, 3, 3])
    z, v, b, c, step, rate, share, turn = np.split(x_TD.numpy() @ w["inward.weight"].T, sizes, 1)
    step = np.log1p(np.exp(step + w["step_bias"]))
    rate = np.where(rate >= 0, 1 + rate, 1 / (1 - np.minimum(rate, 0)))
    share = 1 / (1 + np.exp(-share))
    b, c = (
        x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * w[name]
        for x, name in ((b, "key_norm.weight"), (c, "query_norm.weight"))
    )
    read = np.zeros((11, 12))
    for head in range(3):
        S, angle, inside = np.zeros((8, 4)), np.zeros(pairs), slice(4 * head, 4 * head + 4)
        before = np.zeros((8, 4))
        for t in range(11):
            angle = angle + math.pi * np.tanh(turn[t]) * step[t, head]
            rotation = np.eye(8)
            for i, (cosine, sine) in enumerate(zip(np.cos(angle), np.sin(angle))):
                rotation[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = [[cosine, -sine], [sine, cosine]]
            written = np.outer(rotation @ (b[t] + w["key_bias"][head]), v[t, inside])
            a = np.exp(-rate[t, head] * step[t, head])
            S = a * S + (1 - share[t, head]) * step[t, head] * a * before
            S = S + share[t, head] * step[t, head] * written
            before = written
            query = rotation @ (c[t] + w["query_bias"][head])
            read[t, inside] = S.T @ query + w["skip"][head] * v[t, inside]
    found = mixer(x_TD[None])[0][0].detach().numpy()
    expected = (read * z / (1 + np.exp(-z))) @ w["outward.weight"].T
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)


STORED = load_file(Path(__file__).parents[1] / "references/mamba3.safetensors")


def renamed(prefix=""):
    """Our names and layout of the reference's parameters, or of their gradients."""
    names = {
        "inward.weight": "in_proj.weight",
        "key_norm.weight": "B_norm.weight",
        "query_norm.weight": "C_norm.weight",
        "key_bias": "B_bias",
        "query_bias": "C_bias",
        "step_bias": "dt_bias",
        "skip": "D",
        "outward.weight": "out_proj.weight",
    }
    theirs = {ours: STORED[prefix + name] for ours, name in names.items()}
    return {name: x.squeeze(1) if x.dim() == 3 else x for name, x in theirs.items()}


def differences(algorithm):
    """The largest of outputs and final state, and of the gradients of input and parameters."""
    mixer = build(width=6, num_heads=3, chunk_size=4, algorithm=algorithm)
    mixer.load_state_dict(renamed())
    x_BTD = STORED["x"].clone().requires_grad_()
    y_BTD, state = mixer(x_BTD)
    (y_BTD * STORED["weights"]).sum().backward()
    expected = renamed("d_")
    outputs = [
        (y_BTD, STORED["y"]),
        (state.s_BHKV.transpose(-1, -2), STORED["state"]),
        (state.k_BHK, STORED["k"]),
        (state.v_BHV, STORED["v"]),
        (state.angle_BHA.cos(), STORED["angle"].cos()),
        (state.angle_BHA.sin(), STORED["angle"].sin()),
    ]
    gradients = [(x_BTD.grad, STORED["d_x"])]
    gradients += [(p.grad, expected[name]) for name, p in mixer.named_parameters()]
    return tuple(
        max(float((ours - theirs).detach().abs().max()) for ours, theirs in pairs)
        for pairs in (outputs, gradients)
    )


@pytest.mark.parametrize("algorithm", Mamba3.operation.available("cpu", torch.float64))
def test_parity_with_the_authors_layer(algorithm):
    assert max(differences(algorithm)) <= 1e-9


def test_a_long_text_keeps_its_angles_exact():
    mixer = build(width=6, num_heads=3, dtype=torch.float32)
    start = mixer.initial_state(1)
    turns = start._replace(angle_BHA=start.angle_BHA + 2 * math.pi * 100)
    _, state = mixer(torch.randn(1, 5, 6), turns)
    assert float(state.angle_BHA.detach().abs().max()) <= math.pi + 1e-5


def test_starts_as_published():
    mixer = build(width=64, dtype=torch.float32, num_heads=32)
    step_H = torch.nn.functional.softplus(mixer.step_bias.detach())
    assert 0.00099 < float(step_H.min()) < 0.01 < float(step_H.max()) < 0.101
    for ones in (mixer.key_bias, mixer.query_bias, mixer.skip):
        assert set(ones.flatten().tolist()) == {1.0}


def test_flops():
    """The loop's own products, counted: reading. Writing costs as much, fading half of it."""
    mixer = build(algorithm="loop")
    with FlopCounterMode(display=False) as counter:
        mixer(torch.randn(1, 16, 24, dtype=torch.float64))
    written = 16 * (2 + 1) * 4 * 8 * 12
    own = 16 * 2 * (4 * 8 + 48)
    assert mixer.flops(16) == counter.get_total_flops() + written + own


def test_costs():
    mixer = build(dtype=torch.float32, algorithm="loop")
    assert mixer.state_bytes(3) == mixer.state_bytes(3000) == 4 * 4 * (8 * 12 + 8 + 12 + 2)
    assert mixer.serial_steps(64) == 7 + 64


@pytest.mark.parametrize("algorithm", Mamba3.operation.available("cpu", torch.float64))
def test_autocast_keeps_the_state_in_float32(algorithm):
    mixer, x_BTD = build(dtype=torch.float32, algorithm=algorithm), torch.randn(2, 20, 24)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y_BTD, state = mixer(x_BTD)
        again_BTD, _ = mixer(x_BTD, state)
    (y_BTD.float().sum() + again_BTD.float().sum()).backward()
    assert {leaf.dtype for leaf in state} == {torch.float32}
    y_BTD, expected = y_BTD.detach(), mixer(x_BTD)[0].detach()
    # bfloat16 rounds to 0.4 %, in four products one after the other
    assert float((y_BTD - expected).abs().max()) < 0.05 * float(expected.abs().max())


def test_impossible_sizes():
    with pytest.raises(UserError, match="multiple of the heads"):
        build(width=25)
    with pytest.raises(UserError, match="swap them"):
        build(time_step_min=0.2)
