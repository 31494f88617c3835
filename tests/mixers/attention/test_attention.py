"""Multi-head attention: the contract, parity with torch.nn and transformers, the cache, costs."""

import math

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers.models.gpt2.modeling_gpt2 import GPT2Attention, GPT2Config
from transformers.models.llama.modeling_llama import (
    LlamaAttention,
    LlamaConfig,
    LlamaRotaryEmbedding,
)
from transformers.models.qwen3_next.modeling_qwen3_next import (
    Qwen3NextAttention,
    Qwen3NextConfig,
    Qwen3NextRotaryEmbedding,
)

from seqarena.core.errors import UserError
from seqarena.core.shapes import measured_state_bytes
from seqarena.mixers.attention.attention import Attention, AttentionConfig
from seqarena.mixers.contract import CHECKS, subject
from tests.mixers.attention.ragged import continues_ragged

CONFIGS = {
    "rotary": AttentionConfig(),
    "grouped": AttentionConfig(num_groups=2, bias=True),
    "alibi": AttentionConfig(num_heads=3, num_groups=1, positions="alibi"),
    "gated": AttentionConfig(gate=True, num_groups=2),
    "bidirectional": AttentionConfig(causal=False, num_groups=2),
    "bidirectional alibi": AttentionConfig(causal=False, positions="alibi"),
}
# float32 and another order of summation; values are of order one
FLOAT32 = {"rtol": 1e-4, "atol": 1e-5}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", CONFIGS)
def test_contract(name, check):
    CHECKS[check](subject(Attention, CONFIGS[name]))


def build(width=48, seed=0, dtype=torch.float64, **fields):
    torch.manual_seed(seed)
    return Attention(width, AttentionConfig(**fields)).to(dtype)


def copy_grouped(ours, query, key, value, outward):
    """Weights of four separate projections [out, in] into our two."""
    with torch.no_grad():
        ours.projections.inward.weight.copy_(torch.cat((query, key, value)))
        ours.projections.outward.weight.copy_(outward)


@pytest.mark.parametrize("algorithm", ["explicit", "fused"])
@pytest.mark.parametrize("causal", [True, False])
def test_equals_torch_multihead_attention(algorithm, causal):
    ours = build(num_heads=4, positions="none", bias=True, causal=causal, algorithm=algorithm)
    theirs = nn.MultiheadAttention(48, 4, bias=True, batch_first=True, dtype=torch.float64)
    nn.init.normal_(theirs.in_proj_bias)
    nn.init.normal_(theirs.out_proj.bias)
    copy_grouped(ours, *theirs.in_proj_weight.chunk(3), theirs.out_proj.weight)
    with torch.no_grad():
        ours.projections.inward.bias.copy_(theirs.in_proj_bias)
        ours.projections.outward.bias.copy_(theirs.out_proj.bias)
    x_BTD = torch.randn(2, 63, 48, dtype=torch.float64, requires_grad=True)
    hidden = torch.ones(63, 63, dtype=torch.bool).triu(1) if causal else None
    expected = theirs(x_BTD, x_BTD, x_BTD, attn_mask=hidden, need_weights=False)[0]
    found = ours(x_BTD)[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    weighting = torch.randn_like(found)
    (g_found,) = torch.autograd.grad(found, x_BTD, weighting)
    (g_expected,) = torch.autograd.grad(expected, x_BTD, weighting)
    torch.testing.assert_close(g_found, g_expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("algorithm", ["explicit", "fused"])
@pytest.mark.parametrize("groups", [4, 2, 1])
def test_equals_llama(algorithm, groups):
    config = LlamaConfig(
        hidden_size=48,
        num_attention_heads=4,
        num_key_value_heads=groups,
        attention_bias=False,
        rope_theta=500.0,
    )
    config._attn_implementation = "eager"
    torch.manual_seed(1)
    theirs = LlamaAttention(config, layer_idx=0)
    ours = build(dtype=torch.float32, num_groups=groups, rotary_base=500.0, algorithm=algorithm)
    copy_grouped(
        ours,
        theirs.q_proj.weight,
        theirs.k_proj.weight,
        theirs.v_proj.weight,
        theirs.o_proj.weight,
    )
    x_BTD = torch.randn(2, 63, 48)
    angles = LlamaRotaryEmbedding(config)(x_BTD, torch.arange(63)[None])
    mask = torch.full((63, 63), -math.inf).triu(1)[None, None]
    expected = theirs(x_BTD, position_embeddings=angles, attention_mask=mask)[0]
    torch.testing.assert_close(ours(x_BTD)[0], expected, **FLOAT32)


def test_a_gate_equals_qwen3_next():
    """Its norms of queries and keys set aside, which this layer does not have."""
    config = Qwen3NextConfig(
        hidden_size=48, num_attention_heads=4, num_key_value_heads=2, head_dim=12,
        attn_implementation="eager",
        rope_parameters={
            "rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 1.0
        },
    )  # fmt: skip
    theirs = Qwen3NextAttention(config, layer_idx=0).double()
    theirs.q_norm, theirs.k_norm = nn.Identity(), nn.Identity()
    ours = build(num_heads=4, num_groups=2, gate=True)
    query_HED = theirs.q_proj.weight.view(4, 24, 48)
    copy_grouped(
        ours, query_HED[:, :12].flatten(0, 1), theirs.k_proj.weight, theirs.v_proj.weight,
        theirs.o_proj.weight,
    )  # fmt: skip
    with torch.no_grad():
        ours.gate.weight.copy_(query_HED[:, 12:].flatten(0, 1))
    x_BTD = torch.randn(2, 9, 48, dtype=torch.float64, requires_grad=True)
    places = Qwen3NextRotaryEmbedding(config).double()(x_BTD, torch.arange(9)[None])
    future_TT = torch.full((9, 9), -torch.inf, dtype=torch.float64).triu(1)
    expected_BTD = theirs(x_BTD, position_embeddings=places, attention_mask=future_TT[None, None])[
        0
    ]
    found_BTD = ours(x_BTD)[0]
    torch.testing.assert_close(found_BTD, expected_BTD, rtol=1e-6, atol=1e-7)
    weights_BTD = torch.randn_like(x_BTD)
    (found,) = torch.autograd.grad((found_BTD * weights_BTD).sum(), x_BTD)
    (expected,) = torch.autograd.grad((expected_BTD * weights_BTD).sum(), x_BTD)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)


def test_equals_gpt2():
    config = GPT2Config(n_embd=48, n_head=4, attn_pdrop=0.0, resid_pdrop=0.0)
    config._attn_implementation = "eager"
    torch.manual_seed(2)
    theirs = GPT2Attention(config, layer_idx=0).eval()
    ours = build(dtype=torch.float32, positions="none", bias=True)
    with torch.no_grad():  # its projections are [in, out]
        for mine, its in (("inward", theirs.c_attn), ("outward", theirs.c_proj)):
            nn.init.normal_(its.bias, std=0.2)
            getattr(ours.projections, mine).weight.copy_(its.weight.T)
            getattr(ours.projections, mine).bias.copy_(its.bias)
    x_BTD = 3 * torch.randn(2, 63, 48)
    mask = torch.full((63, 63), -math.inf).triu(1)[None, None]
    expected = theirs(x_BTD, attention_mask=mask)[0]
    torch.testing.assert_close(ours(x_BTD)[0], expected, **FLOAT32)


def test_alibi_as_in_its_equation():
    ours = build(num_heads=4, positions="alibi")
    x_BTD = torch.randn(1, 9, 48, dtype=torch.float64)
    q, k, v = (x[0].detach() for x in ours.projections.split(x_BTD))  # [T, H, E]
    heads = torch.zeros(9, 4, 12, dtype=torch.float64)
    for h, slope in enumerate((1 / 4, 1 / 16, 1 / 64, 1 / 256)):
        for i in range(9):
            scores = [
                float(q[i, h] @ k[j, h]) / math.sqrt(12) - slope * (i - j) for j in range(i + 1)
            ]
            weights = torch.tensor(scores, dtype=torch.float64).softmax(0)
            heads[i, h] = sum(weights[j] * v[j, h] for j in range(i + 1))
    expected = heads.flatten(1) @ ours.projections.outward.weight.T
    torch.testing.assert_close(ours(x_BTD)[0][0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("positions", ["rotary", "alibi", "none"])
def test_ragged_continuation_equals_each_row_alone(positions, grad):
    mixer = build(positions=positions, num_groups=2)
    start = mixer.initial_state(3, max_length=4)
    continues_ragged(mixer, (7, 1, 5, 1, 1), start=start, grad=grad)


def test_cache_grows_by_doubling_and_is_written_in_place():
    mixer = build(dtype=torch.float32)
    x_B1D = torch.randn(1, 1, 48)
    with torch.no_grad():
        state = mixer.initial_state(1, max_length=3)
        kept = state.k_BGCE
        capacities = []
        for _ in range(7):
            state = mixer(x_B1D, state)[1]
            capacities.append(state.k_BGCE.shape[2])
            if len(capacities) == 3:
                assert state.k_BGCE is kept
    assert capacities == [3, 3, 3, 6, 6, 6, 12]


def test_gradients_through_the_cache_leave_the_given_state_alone():
    mixer = build(dtype=torch.float64)
    state = mixer.initial_state(1, max_length=9)
    x_BTD = torch.randn(1, 4, 48, dtype=torch.float64)
    y_BTD, after = mixer(x_BTD, state)
    y_BTD.sum().backward()
    assert state.k_BGCE.abs().max() == 0
    assert after.length == 4


def test_autocast_and_a_float32_cache():
    mixer = build(dtype=torch.float32)
    x_BTD = torch.randn(2, 12, 48)
    expected = mixer(x_BTD)[0]
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        state, pieces = mixer.initial_state(2, max_length=12), []
        for part in x_BTD.split((5, 1, 6), dim=1):
            y_BTD, state = mixer(part, state)
            pieces.append(y_BTD)
        whole = mixer(x_BTD)[0]
    # bfloat16 keeps 8 bits: 0.4 % a rounding, a few of them in a row
    for found in (torch.cat(pieces, dim=1), whole):
        torch.testing.assert_close(found.float(), expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("groups", [4, 1])
def test_flops(causal, groups):
    mixer = build(num_groups=groups, causal=causal, algorithm="explicit", positions="none")
    with FlopCounterMode(display=False) as counter:
        mixer(torch.randn(1, 20, 48, dtype=torch.float64))
    # the counter sees the whole square of pairs, the definition those that may see each other
    hidden_pairs = 20 * 19 // 2 if causal else 0
    assert mixer.flops(20) == counter.get_total_flops() - hidden_pairs * 4 * 48


def test_state_bytes():
    mixer = build(dtype=torch.float32, num_groups=2)
    assert mixer.state_bytes(10) == 2 * 2 * 10 * 12 * 4
    assert mixer.state_bytes(10) == measured_state_bytes(mixer.initial_state(1, max_length=10))
    assert build(causal=False).state_bytes(10) == 0


@pytest.mark.parametrize(
    ("width", "fields", "hint"),
    [
        (50, {}, "multiple"),
        (20, {}, "multiple of 8"),
        (48, {"num_groups": 3}, "must divide"),
        (48, {"num_groups": 0}, "must divide"),
    ],
)
def test_impossible_sizes(width, fields, hint):
    with pytest.raises(UserError, match=hint):
        build(width, **fields)
