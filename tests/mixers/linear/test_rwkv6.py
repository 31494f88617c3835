"""RWKV-6: the contract, the paper's recurrence, parity with the layer of
flash-linear-attention, the authors' initialisation, its costs."""

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.linear.rwkv6 import RWKV6, RWKV6Config
from tests.mixers.references.arrays import differences

CONFIGS = {
    "default": RWKV6Config(),
    "three heads": RWKV6Config(num_heads=3, mix_rank=1, decay_rank=2, chunk_size=4),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_contract(config, check):
    check(subject(RWKV6, config))


def build(width=24, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    mixer = RWKV6(width, RWKV6Config(**fields)).to(dtype)
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return mixer


def time_mixing(w, x, before):
    """Section 4.2: the data-dependent interpolation, and what it is projected to."""
    change = before - x
    low = np.tanh((x + change * w["mix_base"]) @ w["mix_in.weight"].T).reshape(len(x), 5, -1)
    mixed = [x + change * (w["mixes"][n] + low[:, n] @ w["mix_out"][n]) for n in range(5)]
    decay = np.tanh(mixed[0] @ w["decay_in.weight"].T) @ w["decay_out.weight"].T
    names = ("key", "value", "query", "gate")
    return np.exp(-np.exp(w["decay"] + decay)), *(
        z @ w[f"{name}.weight"].T for name, z in zip(names, mixed[1:])
    )


def test_equals_the_papers_recurrence():
    """wkv_t = diag(u) k_t v_t^T + s_(t-1), read by r_t; s_t = diag(w_t) s_(t-1) + k_t v_t^T."""
    mixer, x_TD = build(), torch.randn(9, 24, dtype=torch.float64)
    found = mixer(x_TD[None])[0][0].detach().numpy()
    w, x = {name: p.detach().numpy() for name, p in mixer.named_parameters()}, x_TD.numpy()
    decay, k, v, r, g = time_mixing(w, x, np.concatenate((np.zeros((1, 24)), x[:-1])))
    read = np.zeros((9, 4, 6))
    for h in range(4):
        s, own = np.zeros((6, 6)), slice(6 * h, 6 * h + 6)
        for t in range(9):
            written = np.outer(k[t, own], v[t, own])
            read[t, h] = r[t, own] @ (np.diag(w["bonus"][h]) @ written + s)
            s = np.diag(decay[t, own]) @ s + written
    centred = read - read.mean(-1, keepdims=True)
    normed = (centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 64e-5)).reshape(9, 24)
    y = (normed * w["norm.weight"] + w["norm.bias"]) * g / (1 + np.exp(-g))
    np.testing.assert_allclose(found, y @ w["outward.weight"].T, rtol=0, atol=1e-10)


def test_parity_with_the_published_layer():
    mixer = build(width=12, num_heads=3, mix_rank=2, decay_rank=5)
    assert max(differences(mixer, "rwkv6")) < 1e-9


def test_starts_as_published():
    """RWKV-LM, x060, layer 1 of 3, feature by feature as its loops set them."""
    torch.manual_seed(0)
    mixer, D, up, down = RWKV6(12, RWKV6Config()), 12, 1 / 2, 1 - 1 / 3
    mixer.place(1, 3)
    share = np.arange(D) / D
    slow, fast = 1 - share**down, 1 - share ** (0.5 * down)
    np.testing.assert_allclose(mixer.mixes[2].detach(), slow - 0.3 * up, atol=1e-6)
    np.testing.assert_allclose(mixer.mixes[3].detach(), fast, atol=1e-6)
    for n in range(D):
        speed = -6 + 5 * (n / (D - 1)) ** (0.7 + 1.3 * up)
        bonus = up * (1 - n / (D - 1)) + ((n + 1) % 3 - 1) * 0.1
        assert float(mixer.decay[n].detach()) == pytest.approx(speed, abs=1e-5)
        assert float(mixer.bonus.detach().flatten()[n]) == pytest.approx(bonus, abs=1e-6)
    np.testing.assert_allclose(mixer.norm.weight.detach(), (2 / 3) ** 0.7, rtol=1e-6)
    outward = mixer.outward.weight.detach()
    torch.testing.assert_close(outward @ outward.T, torch.eye(len(outward), dtype=outward.dtype))


@pytest.mark.parametrize(("width", "ranks"), [(48, (3, 6)), (512, (32, 64)), (1024, (32, 64))])
def test_ranks_are_the_authors_from_width_512_on(width, ranks):
    with torch.device("meta"):
        mixer = RWKV6(width, RWKV6Config())
    assert (mixer.mix_rank, mixer.decay_in.out_features) == ranks


def test_costs():
    mixer = build(dtype=torch.float32, chunk_size=16)
    assert mixer.state_bytes(3) == mixer.state_bytes(3000) == 4 * (4 * 6 * 6 + 24)
    assert build(algorithm="loop").serial_steps(64) == 4 + 1 + 5 + 64


def test_impossible_sizes():
    with pytest.raises(UserError, match="multiple of the heads"):
        build(width=26)
