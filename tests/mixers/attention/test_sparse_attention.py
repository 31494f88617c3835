"""Strided sparse attention: the contract, the pattern position by position, costs."""

import math

import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.mixers.attention.attention import Attention, AttentionConfig
from seqarena.mixers.attention.sparse_attention import SparseAttention, SparseAttentionConfig
from seqarena.mixers.contract import CHECKS, subject
from tests.mixers.attention.ragged import continues_ragged

CONFIGS = {
    "stride 4": SparseAttentionConfig(stride=4),
    "grouped, stride 7": SparseAttentionConfig(stride=7, num_groups=2, positions="none", bias=True),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_contract(config, check):
    check(subject(SparseAttention, config))


def build(width=48, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return SparseAttention(width, SparseAttentionConfig(**fields)).to(dtype)


def in_sight(t, stride):
    """The sets A1 and A2 of section 4.2, in order."""
    return [c for c in range(t + 1) if t - c < stride or (t - c) % stride == 0]


@pytest.mark.parametrize("algorithm", ["explicit", "blocked"])
@pytest.mark.parametrize("stride", [2, 5, 8, 30])
def test_each_position_alone(stride, algorithm):
    mixer = build(stride=stride, algorithm=algorithm)
    x_BTD = torch.randn(1, 21, 48, dtype=torch.float64)
    q, k, v = (x[0] for x in mixer.projections.split(x_BTD))
    heads = []
    for t in range(21):
        slots = in_sight(t, stride)
        for h in range(4):
            weights = (k[slots, h] @ q[t, h] / math.sqrt(12)).softmax(0)
            heads.append(weights @ v[slots, h])
    expected = mixer.projections.merge(torch.stack(heads).reshape(1, 21, 4, 12))
    torch.testing.assert_close(mixer(x_BTD)[0], expected, rtol=0, atol=1e-12)


def test_a_stride_of_the_whole_length_is_full_attention():
    mixer = build(stride=33)
    full = Attention(48, AttentionConfig()).double()
    full.load_state_dict(mixer.state_dict())
    x_BTD = torch.randn(2, 33, 48, dtype=torch.float64)
    torch.testing.assert_close(mixer(x_BTD)[0], full(x_BTD)[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("algorithm", ["explicit", "blocked"])
def test_ragged_continuation_equals_each_row_alone(algorithm, grad):
    continues_ragged(build(stride=4, algorithm=algorithm), (6, 1, 11, 1, 3), grad=grad)


@pytest.mark.parametrize("length", [1, 4, 5, 17])
def test_flops_count_the_pairs_in_sight(length):
    mixer = build(stride=4)
    pairs = sum(len(in_sight(t, 4)) for t in range(length))
    assert mixer.flops(length) == length * 2 * 48 * 4 * 48 + pairs * 4 * 48


def test_path_length_is_the_shortest_walk():
    mixer = build(stride=5)
    for distance in range(1, 40):
        steps, places = 0, {40}
        while 40 - distance not in places:
            places = {c for t in places for c in in_sight(t, 5)}
            steps += 1
        assert mixer.path_length(distance) == steps


def test_costs():
    mixer = build(stride=5, num_groups=2, dtype=torch.float32)
    assert mixer.reach() == math.inf
    assert mixer.state_bytes(10) == 2 * 2 * 10 * 12 * 4


def test_a_stride_of_one_is_refused():
    with pytest.raises(UserError, match="at least 2"):
        build(stride=1)
