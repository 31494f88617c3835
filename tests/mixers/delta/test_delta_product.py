"""DeltaProduct: the contract, the product of steps in NumPy, what one step is, parity with the
authors' layer, costs."""

import numpy as np
import pytest
import torch
from delta_surroundings import case, counted_flops, sigmoid, silu, softplus, stirred

from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.delta.delta_product import DeltaProduct, DeltaProductConfig
from seqarena.mixers.delta.gated_delta import GatedDeltaConfig, GatedDeltaNet
from tests.mixers.references.arrays import differences

CONFIGS = {
    "default": DeltaProductConfig(),
    "three steps, three heads": DeltaProductConfig(
        num_householder=3, num_heads=3, value_expand=1, chunk_size=4, negative_eigenvalues=False
    ),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_contract(config, check):
    check(subject(DeltaProduct, config))


def build(width=24, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return DeltaProduct(width, DeltaProductConfig(**fields)).to(dtype)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_equals_the_product_of_steps(n):
    given = case(build(num_householder=n), writes=n)
    w, steps = given.w, given.x_TD @ given.w["steps.weight"].T
    beta = 2 * sigmoid(steps[:, : 4 * n]).reshape(9, n, 4)
    alpha = np.exp(-np.exp(w["decay.a_log"]) * softplus(steps[:, 4 * n :] + w["decay.bias"]))
    read = np.zeros((9, 4, 12))
    for h in range(4):
        S = np.zeros((6, 12))
        for t in range(9):
            A, written = alpha[t, h] * np.eye(6), np.zeros((6, 12))
            for j in range(n):
                k, v = given.k_TNHK[t, j, h], given.v_TNHV[t, j, h]
                reflection = np.eye(6) - beta[t, j, h] * np.outer(k, k)
                A = reflection @ A
                written = reflection @ written + beta[t, j, h] * np.outer(k, v)
            S = A @ S + written
            read[t, h] = S.T @ given.q_THK[t, h] / np.sqrt(6)
    given.check(read, silu(given.x_TD @ w["gate.0.weight"].T))


@pytest.mark.parametrize("negative", [False, True])
def test_one_step_is_gated_deltanet(negative):
    mixer = stirred(build(num_householder=1, negative_eigenvalues=negative))
    gated = GatedDeltaNet(24, GatedDeltaConfig(negative_eigenvalues=negative)).double()
    gated.load_state_dict(mixer.state_dict())
    x_BTD = torch.randn(2, 9, 24, dtype=torch.float64)
    torch.testing.assert_close(mixer(x_BTD)[0], gated(x_BTD)[0], rtol=0, atol=1e-12)


def test_two_steps_rotate():
    """Without decay and writing, two reflections turn the plane of their keys by twice the angle
    between them: what one reflection cannot do."""
    mixer = build(4, num_heads=2, value_expand=1, algorithm="loop")
    angle, axis = torch.tensor(0.7, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    k_BTHK = torch.stack((axis[0], torch.stack((angle.cos(), angle.sin()))))[None, :, None]
    s_BHKV, zeros = axis[None, None], torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    k_BHTK = k_BTHK.transpose(1, 2)
    _, s_BHKV = mixer.operation(
        zeros, 2 * k_BHTK, zeros, s_BHKV, erase_BHTK=k_BHTK, algorithm="loop"
    )
    turn = torch.stack((torch.stack(((2 * angle).cos(), -(2 * angle).sin())),
                        torch.stack(((2 * angle).sin(), (2 * angle).cos()))))  # fmt: skip
    torch.testing.assert_close(s_BHKV[0, 0], turn, rtol=0, atol=1e-12)


@pytest.mark.parametrize("algorithm", DeltaProduct.operation.available("cpu", torch.float64))
def test_parity_with_the_authors_layer(algorithm):
    mixer = build(12, num_heads=3, kernel=3, num_householder=3, algorithm=algorithm)
    assert max(differences(mixer, "delta_product")) < 1e-10


def test_costs():
    mixer = build(algorithm="loop", num_householder=3)
    # the loop reads after each step, and once is needed; it also writes three times and fades once
    rest = 20 * (3 * 2 + 1 - 2 * 2) * 4 * 6 * 12
    assert mixer.flops(20) == counted_flops(mixer, 20) + rest
    assert mixer.serial_steps(64) == 5 + 3 * 64
    small = build(dtype=torch.float32, num_householder=3)
    assert small.state_bytes(3) == small.state_bytes(3000) == 4 * (4 * 6 * 12 + 3 * 240)
