"""Sliding-window attention: the contract, a loop over windows, Longformer, costs."""

import math

import pytest
import torch
from transformers.models.longformer.modeling_longformer import (
    LongformerConfig,
    LongformerSelfAttention,
)

from seqarena.core.errors import UserError
from seqarena.mixers.attention.attention import Attention, AttentionConfig
from seqarena.mixers.attention.sliding_window import SlidingWindow, SlidingWindowConfig
from seqarena.mixers.contract import CHECKS, subject
from tests.mixers.attention.ragged import continues_ragged

CONFIGS = {
    "window 9": SlidingWindowConfig(window=9),
    "grouped, window 2": SlidingWindowConfig(window=2, num_groups=2, positions="none", bias=True),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_contract(config, check):
    check(subject(SlidingWindow, config))


def build(width=48, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return SlidingWindow(width, SlidingWindowConfig(**fields)).to(dtype)


@pytest.mark.parametrize("algorithm", ["explicit", "banded"])
@pytest.mark.parametrize("window", [2, 5, 8, 30])
def test_each_position_alone(window, algorithm):
    mixer = build(window=window, algorithm=algorithm)
    x_BTD = torch.randn(1, 21, 48, dtype=torch.float64)
    q, k, v = (x[0] for x in mixer.projections.split(x_BTD))
    heads = []
    for t in range(21):
        first = max(0, t - window + 1)
        for h in range(4):
            weights = (k[first : t + 1, h] @ q[t, h] / math.sqrt(12)).softmax(0)
            heads.append(weights @ v[first : t + 1, h])
    expected = mixer.projections.merge(torch.stack(heads).reshape(1, 21, 4, 12))
    torch.testing.assert_close(mixer(x_BTD)[0], expected, rtol=0, atol=1e-12)


def test_a_wide_window_is_full_attention():
    mixer = build(window=40)
    full = Attention(48, AttentionConfig()).double()
    full.load_state_dict(mixer.state_dict())
    x_BTD = torch.randn(2, 33, 48, dtype=torch.float64)
    torch.testing.assert_close(mixer(x_BTD)[0], full(x_BTD)[0], rtol=0, atol=1e-12)


def test_equals_longformer_where_both_see_the_same():
    """Longformer looks to both sides: its last position of a sequence sees what ours sees."""
    one_sided = 8
    config = LongformerConfig(
        hidden_size=48,
        num_attention_heads=4,
        attention_window=[2 * one_sided],
        attention_probs_dropout_prob=0.0,
    )
    theirs = LongformerSelfAttention(config, layer_id=0).eval()
    ours = build(
        dtype=torch.float32, window=one_sided + 1, positions="none", bias=True, algorithm="banded"
    )
    parts = (theirs.query, theirs.key, theirs.value)
    with torch.no_grad():
        for part in parts:
            part.weight.normal_(std=0.2)
            part.bias.normal_(std=0.2)
        ours.projections.inward.weight.copy_(torch.cat([part.weight for part in parts]))
        ours.projections.inward.bias.copy_(torch.cat([part.bias for part in parts]))
        ours.projections.outward.weight.copy_(torch.eye(48))
    x_BTD = torch.randn(2, 32, 48)
    nobody = torch.zeros(2, 32, dtype=torch.bool)
    expected = theirs(
        x_BTD,
        attention_mask=torch.zeros(2, 32),
        is_index_masked=nobody,
        is_index_global_attn=nobody,
        is_global_attn=False,
    )[0]
    # float32, another order of summation, values of order one
    torch.testing.assert_close(ours(x_BTD)[0][:, -1], expected[:, -1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("algorithm", ["explicit", "banded"])
def test_ragged_continuation_equals_each_row_alone(algorithm):
    continues_ragged(build(window=4, algorithm=algorithm), (6, 1, 11, 1))


@pytest.mark.parametrize("length", [1, 4, 5, 17])
def test_flops_count_the_pairs_in_sight(length):
    mixer = build(window=5)
    pairs = sum(1 for t in range(length) for c in range(t + 1) if t - c < 5)
    assert mixer.flops(length) == length * 2 * 48 * 4 * 48 + pairs * 4 * 48


def test_costs():
    mixer = build(window=5, num_groups=2, dtype=torch.float32)
    assert mixer.reach() == 4
    assert [mixer.path_length(d) for d in (1, 4, 5, 8, 9)] == [1, 1, 2, 2, 3]
    assert mixer.state_bytes(1) == mixer.state_bytes(1000) == 2 * 2 * 4 * 12 * 4


def test_a_window_of_one_is_refused():
    with pytest.raises(UserError, match="at least 2"):
        build(window=1)
