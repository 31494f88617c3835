"""mLSTM: the contract, the paper's recurrence with and without its stabiliser, parity with the
authors' layer, gates so large that only the stabiliser holds them, its costs."""

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.linear.mlstm import MLSTM, MLSTMConfig, running_scale
from tests.mixers.references.arrays import differences

CONFIGS = {
    "default": MLSTMConfig(),
    "three heads": MLSTMConfig(num_heads=3, expand=1, kernel=2, block_size=3, chunk_size=4),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_contract(config, check):
    check(subject(MLSTM, config))


def build(width=12, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    mixer = MLSTM(width, MLSTMConfig(**fields)).to(dtype)
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        mixer.gates.bias[mixer.num_heads :] -= 4.0  # so that it forgets within a few positions
    return mixer


def silu(z):
    return z / (1 + np.exp(-z))


def cell(q, k, v, i, f, K):
    """Equations 19 to 27 for one head, with plain exponentials: h = C q / max(|n . q|, 1)."""
    C, n, hidden = np.zeros((K, K)), np.zeros(K), []
    for t in range(len(q)):
        forget, write = 1 / (1 + np.exp(-f[t])), np.exp(i[t])
        C = forget * C + write * np.outer(v[t], k[t]) / np.sqrt(K)
        n = forget * n + write * k[t] / np.sqrt(K)
        hidden.append(C @ q[t] / max(abs(n @ q[t]), 1.0))
    return np.stack(hidden)


def test_equals_the_papers_recurrence_without_a_stabiliser():
    mixer = build(epsilon=0.0)
    x_TD = torch.randn(9, 12, dtype=torch.float64)
    found = mixer(x_TD[None])[0][0].detach().numpy()
    w, x = {name: p.detach().numpy() for name, p in mixer.named_parameters()}, x_TD.numpy()
    u, z = np.split(x @ w["up.weight"].T, 2, axis=1)
    padded = np.concatenate((np.zeros((3, 24)), u))
    c = sum(w["convolution.weight"][:, 0, j] * padded[j : j + 9] for j in range(4))
    c = silu(c + w["convolution.bias"])
    q, k, v = (
        np.concatenate([s[:, 4 * b : 4 * b + 4] @ w["blocks"][j, b].T for b in range(6)], axis=1)
        for j, s in enumerate((c, c, u))
    )
    gates = np.concatenate((q, k, v), axis=1) @ w["gates.weight"].T + w["gates.bias"]
    h = np.zeros((9, 24))
    for head in range(4):
        own = slice(6 * head, 6 * head + 6)
        gate_of_head = gates[:, head], gates[:, 4 + head]
        h[:, own] = cell(q[:, own], k[:, own], v[:, own], *gate_of_head, K=6)
        centred = h[:, own] - h[:, own].mean(1, keepdims=True)
        h[:, own] = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)
    y = (h * w["norm_weight"] + w["skip"] * c) * silu(z)
    np.testing.assert_allclose(found, y @ w["down.weight"].T, rtol=0, atol=1e-10)


def test_the_scale_is_the_papers_maximum():
    """Equation 15, m_t = max(log f_t + m_(t-1), log i_t), one position after another."""
    torch.manual_seed(0)
    i_BTH, f_BTH = (5 * torch.randn(2, 40, 3) for _ in range(2))
    m_BH = torch.randn(2, 3).double()
    found = running_scale(i_BTH, f_BTH, m_BH, None)
    for t in range(40):
        log_f_BH = torch.nn.functional.logsigmoid(f_BTH[:, t].double())
        new_BH = torch.maximum(log_f_BH + m_BH, i_BTH[:, t].double())
        torch.testing.assert_close(found.m_BTH[:, t], new_BH, rtol=0, atol=1e-12)
        torch.testing.assert_close(
            found.log_decay_BTH[:, t], log_f_BH + m_BH - new_BH, rtol=0, atol=1e-12
        )
        m_BH = new_BH
    assert float(found.log_decay_BTH.max()) <= 0
    assert float(found.write_BTH.max()) <= 1 + 1e-12


@pytest.mark.parametrize("forget", [-50.0, 50.0])
@pytest.mark.parametrize("write", [-1000.0, -300.0, 300.0, 1000.0])
def test_no_gate_overflows(write, forget):
    """The exponentials of 300 and 1,000 are beyond float32 and float64; outputs and gradients stay
    finite."""
    mixer = build(dtype=torch.float32)
    with torch.no_grad():
        mixer.gates.bias[:4] += write
        mixer.gates.bias[4:] += forget
    x_BTD = torch.randn(2, 50, 12, requires_grad=True)
    y_BTD, state = mixer(x_BTD)
    gradients = torch.autograd.grad(y_BTD.square().sum(), [x_BTD, *mixer.parameters()])
    assert all(bool(found.isfinite().all()) for found in (y_BTD, *state, *gradients))


@pytest.mark.parametrize(("name", "epsilon"), [("mlstm", 1e-6), ("mlstm_parallel", 0.0)])
def test_parity_with_the_authors_layer(name, epsilon):
    assert max(differences(build(num_heads=3, epsilon=epsilon), name)) < 1e-9


def test_the_last_projection_starts_smaller_the_more_layers_there_are():
    torch.manual_seed(0)
    mixer = MLSTM(64, MLSTMConfig())
    mixer.place(1, 8)
    assert float(mixer.down.weight.detach().std()) == pytest.approx(2 / 8 / 8, rel=0.1)


def test_costs():
    mixer = build(dtype=torch.float32, chunk_size=16)
    matrix, inputs, scales = 4 * 6 * 7, 3 * 24, 4
    assert mixer.state_bytes(3) == mixer.state_bytes(3000) == 4 * (matrix + inputs + scales)
    assert build(algorithm="loop").serial_steps(64) == 4 + 1 + 4 + 64


def test_impossible_sizes():
    with pytest.raises(UserError, match="multiple of the heads"):
        build(width=26)
    with pytest.raises(UserError, match="multiple of block_size"):
        build(block_size=5)
