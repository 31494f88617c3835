"""RWKV-7: the contract, the equations in NumPy, eigenvalues, parity with a layer, costs."""

import numpy as np
import pytest
import torch
from delta_surroundings import counted_flops, sigmoid, stirred

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.delta.rwkv7 import RWKV7, RWKV7Config
from tests.mixers.references.arrays import differences

RANKS = {"decay_rank": 2, "erase_rank": 3, "gate_rank": 2}
CONFIGS = {
    "small ranks": RWKV7Config(**RANKS),
    "three heads": RWKV7Config(num_heads=3, chunk_size=4, **RANKS),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_contract(config, check):
    check(subject(RWKV7, config))


def build(width=24, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return RWKV7(width, RWKV7Config(**fields)).to(dtype)


def inputs_of(mixer, x_TD):
    """The mixer's weights, and r, w, k, v, a, e and the gate as the paper defines them."""
    w = {name: p.detach().numpy() for name, p in mixer.named_parameters()}
    before_TD = np.concatenate((np.zeros((1, 24)), x_TD[:-1]))
    xr, xw, xk, xv, xa, xg = (x_TD + mu * (before_TD - x_TD) for mu in w["mix_SD"])
    r, k, v = xr @ w["receptance.weight"].T, xk @ w["key.weight"].T, xv @ w["value.weight"].T
    decay = np.tanh(xw @ w["decay.0.weight"].T) @ w["decay.2.weight"].T + w["decay.2.bias"]
    a = sigmoid(xa @ w["rate.0.weight"].T @ w["rate.2.weight"].T + w["rate.2.bias"])
    gate = sigmoid(xg @ w["gate.0.weight"].T) @ w["gate.2.weight"].T
    e = (k * w["erased_D"]).reshape(len(k), 4, 6)
    e = e / np.sqrt((e**2).sum(-1, keepdims=True))
    decay, k = np.exp(-np.exp(-0.5) * sigmoid(decay)), k * (1 + (a - 1) * w["blend_D"])
    return w, *(x.reshape(len(r), 4, 6) for x in (r, decay, k, v, a, e)), gate


def test_equals_the_equations():
    mixer, x_TD = stirred(build(**RANKS)), torch.randn(9, 24, dtype=torch.float64)
    found = mixer(x_TD[None])[0][0].detach().numpy()
    w, r, decay, k, v, a, e, gate = inputs_of(mixer, x_TD.numpy())
    out, weight = np.zeros((9, 4, 6)), w["norm_weight_D"].reshape(4, 6)
    for h in range(4):
        S = np.zeros((6, 6))
        for t in range(9):
            A = np.diag(decay[t, h]) - np.outer(a[t, h] * e[t, h], e[t, h])
            S = A @ S + np.outer(k[t, h], v[t, h])
            y = S.T @ r[t, h]
            y = (y - y.mean()) / np.sqrt(y.var() + 6e-5) * weight[h]
            y = y + w["norm_bias_D"].reshape(4, 6)[h]
            bonus = (r[t, h] * w["bonus_D"].reshape(4, 6)[h] * k[t, h]).sum()
            out[t, h] = y + bonus * v[t, h]
    expected = (out.reshape(9, 24) * gate) @ w["outward.weight"].T
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def test_eigenvalues_are_as_the_head_says():
    """In (exp(-exp(-1/2)) - 1, 1): some are negative, and what is kept cannot grow."""
    mixer = stirred(build(**RANKS))
    with torch.no_grad():
        mixer.decay[-1].bias.add_(20)  # the fastest decay
        mixer.rate[-1].bias.add_(20)  # and the most erased
    _, _, decay, _, _, a, e, _ = inputs_of(mixer, torch.randn(9, 24, dtype=torch.float64).numpy())
    found = [
        np.linalg.eigvals(np.diag(decay[t, h]) - np.outer(a[t, h] * e[t, h], e[t, h])).real
        for t in range(9)
        for h in range(4)
    ]
    assert np.exp(-np.exp(-0.5)) - 1 <= np.min(found) < -0.45
    assert np.max(found) < 1


@pytest.mark.parametrize("algorithm", RWKV7.operation.available("cpu", torch.float64))
def test_parity_with_a_published_layer(algorithm):
    ranks = {"decay_rank": 5, "erase_rank": 5, "gate_rank": 5}
    mixer = build(12, num_heads=3, algorithm=algorithm, **ranks)
    assert max(differences(mixer, "rwkv7")) < 1e-10


def test_costs():
    mixer = build(algorithm="loop", **RANKS)
    # the loop's matrix products read; it also erases, writes and fades
    assert mixer.flops(20) == counted_flops(mixer, 20) + 20 * (2 + 2 + 1) * 4 * 6 * 6
    assert mixer.serial_steps(64) == 5 + 64
    small = build(dtype=torch.float32)
    assert small.state_bytes(3) == small.state_bytes(3000) == 4 * (4 * 6 * 6 + 24)


def test_starts_as_published():
    mixer = build(64, dtype=torch.float32).requires_grad_(False)
    assert mixer.decay[0].weight.shape == (32, 64)  # the authors' rule, at its least
    for linear, gain in ((mixer.key, 0.1), (mixer.receptance, 1.0), (mixer.value, 1.0)):
        sizes = torch.linalg.svdvals(linear.weight)
        torch.testing.assert_close(sizes, torch.full((64,), gain), rtol=1e-4, atol=0)
    log_decay_D = -(torch.tensor(-0.5).exp()) * torch.sigmoid(mixer.decay[-1].bias)
    assert -0.61 < float(log_decay_D.min()) < -0.5
    assert -0.001 < float(log_decay_D.max()) < 0
    assert mixer.mix_SD[:, 0].tolist() == [1.0] * 6  # of the position before, and of it alone


def test_starts_by_layer():
    first, last = (build(64, dtype=torch.float32).requires_grad_(False) for _ in range(2))
    first.place(0, 4)
    last.place(3, 4)
    assert (last.mix_SD <= first.mix_SD).all()  # deeper layers look at the present
    assert (last.decay[-1].bias <= first.decay[-1].bias).all()  # and keep for longer
    assert [round(float(m.norm_weight_D[0]), 3) for m in (first, last)] == [0.379, 1.0]


def test_impossible_sizes():
    with pytest.raises(UserError, match="multiple"):
        build(width=26)
    with pytest.raises(UserError, match="at least 8"):
        build(width=4)
