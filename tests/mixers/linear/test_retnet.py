"""RetNet: the contract, the paper's recurrence in complex numbers, parity with the layer of
flash-linear-attention, its costs."""

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.linear.retnet import RetNet, RetNetConfig
from tests.mixers.references.arrays import differences

CONFIGS = {
    "default": RetNetConfig(),
    "three heads": RetNetConfig(num_heads=3, value_expand=1, chunk_size=4, rotary_base=100),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_contract(config, check):
    check(subject(RetNet, config))


def build(width=24, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return RetNet(width, RetNetConfig(**fields)).to(dtype)


def complex_recurrence(w, x, gammas, K, V):
    """Equations 1 to 3: s_n = A s_(n-1) + K_n^T v_n, o_n = Q_n s_n, A = gamma e^(i theta). A pair
    of features is a complex number; the real part is taken of q against the conjugate of k."""
    T, D = x.shape
    theta = 10_000.0 ** (-2 * np.arange(K // 2) / K)
    q, k, v = np.split(x @ w["inward.weight"].T, (D, 2 * D), axis=1)
    read = np.zeros((T, len(gammas), V))
    for h, gamma in enumerate(gammas):
        s = np.zeros((K // 2, V), dtype=complex)
        for t in range(T):
            pairs = [z[t, h * K : h * K + K] for z in (q, k)]
            qc, kc = (z[: K // 2] + 1j * z[K // 2 :] for z in pairs)
            s = gamma * np.exp(-1j * theta)[:, None] * s
            s = s + np.outer(kc, v[t, h * V : h * V + V]) / np.sqrt(K)
            read[t, h] = (qc.conj() @ s).real
    return read


def test_equals_the_papers_recurrence():
    mixer, x_TD = build(), torch.randn(9, 24, dtype=torch.float64)
    found = mixer(x_TD[None])[0][0].detach().numpy()
    w, x = {name: p.detach().numpy() for name, p in mixer.named_parameters()}, x_TD.numpy()
    read = complex_recurrence(w, x, [31 / 32, 63 / 64, 127 / 128, 255 / 256], K=6, V=12)
    normed = read / np.sqrt((read**2).mean(-1, keepdims=True) + 1e-6) * w["gated_out.norm.weight"]
    gate = x @ w["gated_out.gate.weight"].T
    gated = normed.reshape(9, 48) * gate / (1 + np.exp(-gate))
    np.testing.assert_allclose(found, gated @ w["gated_out.outward.weight"].T, rtol=0, atol=1e-10)


def test_the_state_turns_with_the_positions():
    """The state itself is the paper's s_n: it does not depend on where a call began."""
    mixer, x_TD = build(num_heads=1), torch.randn(7, 24, dtype=torch.float64)
    state = None
    for x_1D in x_TD.split(1):
        state = mixer(x_1D[None], state)[1]
    whole = mixer(x_TD[None])[1]
    assert state is not None
    torch.testing.assert_close(state.s_BHKV, whole.s_BHKV, rtol=0, atol=1e-12)


def test_parity_with_the_published_layer():
    assert max(differences(build(width=12, num_heads=3), "retnet")) < 1e-9


def test_costs():
    mixer = build(dtype=torch.float32, chunk_size=16)
    assert mixer.state_bytes(3) == mixer.state_bytes(3000) == 4 * 4 * 6 * 12
    assert build(algorithm="loop").serial_steps(64) == 4 + 64


def test_impossible_sizes():
    with pytest.raises(UserError, match="multiple of the heads"):
        build(width=26)
    with pytest.raises(UserError, match="multiple of 8"):
        build(width=20)
