"""Lightning attention: the contract, the paper's recurrence, parity with MiniMax in transformers,
decays that depend on the layer, its costs."""

import numpy as np
import pytest
import torch
from transformers import MiniMaxConfig
from transformers.models.minimax.modeling_minimax import MiniMaxLightningAttention

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.linear.lightning_attention import (
    LightningAttention,
    LightningAttentionConfig,
)

CONFIGS = {
    "default": LightningAttentionConfig(),
    "three heads": LightningAttentionConfig(num_heads=3, chunk_size=4),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_contract(config, check):
    check(subject(LightningAttention, config))


def build(width=24, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return LightningAttention(width, LightningAttentionConfig(**fields)).to(dtype)


@pytest.mark.parametrize(("layer", "factor"), [(0, 1.0), (2, 0.5), (4, 0.0)])
def test_equals_the_papers_recurrence(layer, factor):
    """kv_t = lambda kv_(t-1) + k_t v_t^T, o_t = q_t kv_t, in layer 0, 2 and 4 of 5."""
    mixer, x_TD = build(), torch.randn(9, 24, dtype=torch.float64)
    mixer.place(layer, 5)
    found = mixer(x_TD[None])[0][0].detach().numpy()
    w, x = {name: p.detach().numpy() for name, p in mixer.named_parameters()}, x_TD.numpy()
    inward = x @ w["inward.weight"].T
    q, k, v = np.split(inward / (1 + np.exp(-inward)), 3, axis=1)
    read = np.zeros((9, 24))
    for h in range(4):
        kv, own = np.zeros((6, 6)), slice(6 * h, 6 * h + 6)
        for t in range(9):
            kv = np.exp(-(2.0 ** (-2 * (h + 1))) * factor) * kv + np.outer(k[t, own], v[t, own])
            read[t, own] = q[t, own] @ kv
    normed = read / np.sqrt((read**2).mean(-1, keepdims=True) + 1e-6) * w["gated_out.norm.weight"]
    gated = normed / (1 + np.exp(-(x @ w["gated_out.gate.weight"].T)))
    expected = gated @ w["gated_out.outward.weight"].T
    # the sums of 1e-5 that the authors have in the factor
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def largest(found, expected):
    found, expected = found.detach(), expected.detach()
    return float((found - expected).abs().max()) / max(1.0, float(expected.abs().max()))


def test_parity_with_transformers():
    """MiniMaxLightningAttention of transformers, layer 1 of 3: outputs and all gradients."""
    torch.manual_seed(1)
    config = MiniMaxConfig(
        hidden_size=24, num_attention_heads=4, head_dim=6, num_hidden_layers=3, block_size=8,
        layer_types=["linear_attention"] * 3, vocab_size=9,
    )  # fmt: skip
    torch.set_default_dtype(torch.float64)  # in which it then makes its decays
    try:
        reference = MiniMaxLightningAttention(config, layer_idx=1)
    finally:
        torch.set_default_dtype(torch.float32)
    # its own rounds to float32
    setattr(reference, "norm", torch.nn.RMSNorm(24, eps=1e-6, dtype=torch.float64))  # noqa: B010
    mixer = build()
    mixer.place(1, 3)
    # theirs divides its channels into heads first, and each head into q, k and v
    order = torch.arange(72).view(4, 3, 6).transpose(0, 1).flatten()
    with torch.no_grad():
        mixer.inward.weight.copy_(reference.qkv_proj.weight[order])
        mixer.gated_out.gate.weight.copy_(reference.output_gate.weight)
        mixer.gated_out.outward.weight.copy_(reference.out_proj.weight)
        reference.norm.weight.copy_(torch.rand(24) + 0.5)
        mixer.gated_out.norm.weight.copy_(reference.norm.weight)
    x_BTD = torch.randn(2, 19, 24, dtype=torch.float64, requires_grad=True)
    w_BTD = torch.randn(2, 19, 24, dtype=torch.float64)
    expected = reference(x_BTD, None, None)[0]
    found = mixer(x_BTD)[0]
    assert largest(found, expected) < 1e-9
    ours = (mixer.inward, mixer.gated_out.gate, mixer.gated_out.outward, mixer.gated_out.norm)
    theirs = (reference.qkv_proj, reference.output_gate, reference.out_proj, reference.norm)
    found = torch.autograd.grad((found * w_BTD).sum(), [x_BTD, *(m.weight for m in ours)])
    expected = torch.autograd.grad((expected * w_BTD).sum(), [x_BTD, *(m.weight for m in theirs)])
    expected = [g[order] if g.shape == (72, 24) else g for g in expected]
    assert max(map(largest, found, expected)) < 1e-9


def test_costs():
    mixer = build(dtype=torch.float32, chunk_size=16)
    assert mixer.state_bytes(3) == mixer.state_bytes(3000) == 4 * 4 * 6 * 6
    assert build(algorithm="loop").serial_steps(64) == 4 + 64


def test_impossible_sizes():
    with pytest.raises(UserError, match="multiple of the heads"):
        build(width=26)
