"""DeltaNet: the contract, the rule in NumPy, parity with the authors' layer, costs."""

import numpy as np
import pytest
import torch
from delta_surroundings import case, counted_flops, sigmoid

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.delta.deltanet import DeltaNet, DeltaNetConfig
from tests.mixers.references.arrays import differences

CONFIGS = {
    "default": DeltaNetConfig(),
    "three heads, reflections": DeltaNetConfig(
        num_heads=3, value_expand=2, kernel=1, chunk_size=4, negative_eigenvalues=True
    ),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_contract(config, check):
    check(subject(DeltaNet, config))


def build(width=24, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return DeltaNet(width, DeltaNetConfig(**fields)).to(dtype)


@pytest.mark.parametrize("negative", [False, True])
def test_equals_the_delta_rule(negative):
    given = case(build(negative_eigenvalues=negative))
    beta = (1 + negative) * sigmoid(given.x_TD @ given.w["beta.weight"].T)
    read = np.zeros((9, 4, 6))
    for h in range(4):
        S = np.zeros((6, 6))
        for t in range(9):
            k, v = given.k_TNHK[t, 0, h], given.v_TNHV[t, 0, h]
            S = (np.eye(6) - beta[t, h] * np.outer(k, k)) @ S + beta[t, h] * np.outer(k, v)
            read[t, h] = S.T @ given.q_THK[t, h] / np.sqrt(6)
    given.check(read)


@pytest.mark.parametrize("algorithm", DeltaNet.operation.available("cpu", torch.float64))
def test_a_step_of_two_counts_modulo_two(algorithm):
    """One key, erased by a step of beta for each one among 256 bits: with beta 2 what it held has
    changed its sign as often as there were ones; with beta 1, the most without reflections, the
    first one deletes it."""
    generator = torch.Generator().manual_seed(0)
    bits_T1 = torch.randint(2, (256, 1), generator=generator).double()
    key_T1, held = torch.ones(1, 1, 256, 1).double(), torch.ones(1, 1, 1, 1).double()
    for beta, expected_T1 in ((2, 1 - 2 * (bits_T1.cumsum(0) % 2)), (1, (bits_T1.cumsum(0) == 0))):
        y_BHTV, _ = DeltaNet.operation(
            key_T1, beta * bits_T1 * key_T1, 0 * key_T1, held, erase_BHTK=key_T1,
            algorithm=algorithm,
        )  # fmt: skip
        torch.testing.assert_close(y_BHTV[0, 0], expected_T1.double(), rtol=0, atol=1e-9)


@pytest.mark.parametrize("algorithm", DeltaNet.operation.available("cpu", torch.float64))
def test_parity_with_the_authors_layer(algorithm):
    mixer = build(12, num_heads=3, kernel=3, negative_eigenvalues=True, algorithm=algorithm)
    assert max(differences(mixer, "deltanet")) < 1e-10


def test_costs():
    mixer = build(algorithm="loop")
    written = 20 * 2 * 4 * 6 * 6  # the products that the loop counts read what is erased and asked
    assert mixer.flops(20) == counted_flops(mixer, 20) + written
    assert mixer.serial_steps(64) == 5 + 64
    small = build(dtype=torch.float32)
    assert small.state_bytes(3) == small.state_bytes(3000) == 4 * (4 * 6 * 6 + 3 * 72)


def test_impossible_sizes():
    with pytest.raises(UserError, match="multiple"):
        build(width=26)
