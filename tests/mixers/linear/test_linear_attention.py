"""Linear attention: the contract, the equations of the paper in NumPy, precision, costs."""

import math

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.linear.linear_attention import LinearAttention, LinearAttentionConfig

CONFIGS = {
    "chunks of 5": LinearAttentionConfig(chunk_size=5),
    "three heads": LinearAttentionConfig(num_heads=3, bias=True),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_contract(config, check):
    check(subject(LinearAttention, config))


def build(width=24, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return LinearAttention(width, LinearAttentionConfig(**fields)).to(dtype)


@pytest.mark.parametrize("algorithm", ["loop", "chunked"])
def test_equals_the_sums_over_pairs(algorithm):
    """Equation 9 with the causal sums of equation 11, a head and a position at a time."""
    mixer = build(algorithm=algorithm, chunk_size=4)
    x_BTD = torch.randn(1, 11, 24, dtype=torch.float64)
    found = mixer(x_BTD)[0][0].detach().numpy()
    x_TD, weight = x_BTD[0].numpy(), mixer.projections.inward.weight.detach().numpy()
    q, k, v = ((x_TD @ w.T).reshape(11, 4, 6) for w in np.split(weight, 3))
    q, k = (np.where(x > 0, x + 1, np.exp(x)) for x in (q, k))
    heads = np.zeros((11, 4, 6))
    for t in range(11):
        for h in range(4):
            similarity = np.array([q[t, h] @ k[j, h] for j in range(t + 1)])
            heads[t, h] = similarity @ v[: t + 1, h] / similarity.sum()
    expected = heads.reshape(11, 24) @ mixer.projections.outward.weight.detach().numpy().T
    # the 1e-6 in our denominator, which is of order one
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-6)


@pytest.mark.parametrize("algorithm", ["loop", "chunked"])
def test_autocast_keeps_the_sums_in_float32(algorithm):
    mixer = build(dtype=torch.float32, algorithm=algorithm)
    x_BTD = torch.randn(2, 70, 24)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y_BTD, state = mixer(x_BTD)
        y_BTD.float().sum().backward()
    assert (state.s_BHEF.dtype, state.z_BHE.dtype) == (torch.float32, torch.float32)
    expected, exact = mixer(x_BTD)
    # bfloat16 rounds inputs of the sums (0.4 %), not the sums: these stay as precise as they
    torch.testing.assert_close(state.z_BHE, exact.z_BHE, rtol=0.01, atol=0.0)
    torch.testing.assert_close(y_BTD.float(), expected, rtol=0.05, atol=0.05)


def test_flops():
    """The loop's own products, counted: reading S and z. Adding to S costs as much again."""
    mixer = build(algorithm="loop")
    with FlopCounterMode(display=False) as counter:
        mixer(torch.randn(1, 20, 24, dtype=torch.float64))
    H, E = 4, 6
    into_s, normaliser = 20 * H * 2 * E * E, 20 * H * (E + E)
    assert mixer.flops(20) == counter.get_total_flops() + into_s + normaliser


def test_costs():
    mixer = build(dtype=torch.float32, chunk_size=16)
    assert mixer.state_bytes(3) == mixer.state_bytes(3000) == 4 * (6 * 6 + 6) * 4
    assert mixer.reach() == math.inf
    assert mixer.path_length(17) == 17
    assert mixer.serial_steps(64) - mixer.serial_steps(32) == 2
    loop = build(algorithm="loop")
    assert loop.serial_steps(64) - loop.serial_steps(32) == 32


def test_impossible_sizes():
    with pytest.raises(UserError, match="multiple"):
        build(width=26)
    with pytest.raises(UserError, match="at least 1"):
        build(chunk_size=0)
