"""BigBird: the contract, the pattern position by position, the published layer, costs."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from transformers.models.big_bird.modeling_big_bird import (
    BigBirdBlockSparseAttention,
    BigBirdModel,
)
from transformers.models.big_bird.modeling_big_bird import (
    BigBirdConfig as PublishedConfig,
)

from seqarena.mixers.attention.attention import Attention, AttentionConfig
from seqarena.mixers.attention.bigbird import BigBird, BigBirdConfig
from seqarena.mixers.contract import CHECKS, subject
from seqarena.ops.attention import BlockPattern
from tests.mixers.attention.parity import same_outputs_and_gradients
from tests.mixers.attention.ragged import continues_ragged

CONFIGS = {
    "default": BigBirdConfig(),
    "grouped, blocks of 2": BigBirdConfig(
        block_size=2, random_blocks=1, seed=7, num_groups=2, positions="none", bias=True
    ),
    "blocks of 1": BigBirdConfig(block_size=1, window_blocks=4, global_blocks=3, random_blocks=2),
}
ALGORITHMS = ["explicit", "gathered"]
CPU = torch.device("cpu")


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_contract(config, check):
    check(subject(BigBird, config))


def build(width=48, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return BigBird(width, BigBirdConfig(**fields)).to(dtype)


def in_sight(pattern, t, head, table_HNR):
    """The positions that one of a head's queries sees, in order."""
    block = t // pattern.size
    chosen = set(table_HNR[head, block].tolist())
    return [
        c
        for c in range(t + 1)
        if block - c // pattern.size < pattern.num_window
        or c // pattern.size < pattern.num_global
        or c // pattern.size in chosen
    ]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("sizes", [(1, 2, 1, 2), (3, 2, 1, 2), (4, 3, 2, 1), (2, 2, 0, 3)])
def test_each_position_alone(sizes, algorithm):
    size, window, glob, random = sizes
    mixer = build(
        block_size=size, window_blocks=window, global_blocks=glob, random_blocks=random, seed=5,
        algorithm=algorithm,
    )  # fmt: skip
    x_BTD = torch.randn(1, 41, 48, dtype=torch.float64)
    q, k, v = (x[0] for x in mixer.projections.split(x_BTD))
    table_HNR = mixer.pattern.random_blocks(4, 41, CPU)
    heads = []
    for t in range(41):
        for h in range(4):
            slots = in_sight(mixer.pattern, t, h, table_HNR)
            weights = (k[slots, h] @ q[t, h] / math.sqrt(12)).softmax(0)
            heads.append(weights @ v[slots, h])
    expected = mixer.projections.merge(torch.stack(heads).reshape(1, 41, 4, 12))
    torch.testing.assert_close(mixer(x_BTD)[0], expected, rtol=0, atol=1e-12)


def test_random_blocks_lie_between_and_follow_from_the_seed():
    pattern = BlockPattern(4, 2, 1, 3, seed=3)
    table_HNR = pattern.random_blocks(2, 70, CPU)
    for n, row_HR in enumerate(table_HNR.unbind(1)):
        for row_R in row_HR.tolist():
            found = [m for m in row_R if m >= 0]
            assert len(set(found)) == len(found) == min(3, max(0, n - 2))
            assert all(1 <= m <= n - 2 for m in found)
    assert not torch.equal(table_HNR[0], table_HNR[1])
    assert torch.equal(table_HNR[:, :9], pattern.random_blocks(2, 9, CPU))
    assert not torch.equal(table_HNR, pattern._replace(seed=4).random_blocks(2, 70, CPU))
    # the numbers themselves: a checkpoint trained with one numpy is read with another
    assert table_HNR[1, 9].tolist() == [1, 4, 2]


def test_every_block_between_is_drawn_about_as_often():
    pattern = BlockPattern(1, 2, 1, 2, seed=0)
    drawn_R = pattern.random_blocks(3000, 12, CPU)[:, 11].flatten()
    counts = torch.bincount(drawn_R, minlength=10)[1:]
    assert len(counts) == 9  # blocks 1 to 9
    expected = 3000 * 2 / 9
    assert float((counts - expected).abs().max()) < 5 * math.sqrt(expected)


def test_a_window_of_the_whole_length_is_full_attention():
    mixer = build(block_size=4, window_blocks=9)
    full = Attention(48, AttentionConfig()).double()
    full.load_state_dict(mixer.state_dict())
    x_BTD = torch.randn(2, 33, 48, dtype=torch.float64)
    torch.testing.assert_close(mixer(x_BTD)[0], full(x_BTD)[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_equals_the_published_layer_where_both_see_the_same(algorithm, monkeypatch):
    """The published layer looks ahead and sees the last block from everywhere. With that block
    padding, the last position of the block before sees what ours sees. Its random blocks are ours.
    """
    L, R, blocks = 4, 2, range(4, 8)  # block 4 is the first with two blocks to draw from
    config = PublishedConfig(
        hidden_size=48, num_attention_heads=4, block_size=L, num_random_blocks=R, use_bias=True,
        attention_type="block_sparse",
    )  # fmt: skip
    torch.manual_seed(1)
    theirs = BigBirdBlockSparseAttention(config).double().eval()
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.2)
    parts = (theirs.query, theirs.key, theirs.value)
    ours = build(
        block_size=L, random_blocks=R, seed=2, positions="none", bias=True, algorithm=algorithm
    )
    inward = ours.projections.inward
    with torch.no_grad():
        inward.weight.copy_(torch.cat([part.weight for part in parts]))
        inward.bias.copy_(torch.cat([part.bias for part in parts]))
    nn.init.eye_(ours.projections.outward.weight)
    table_HNR = ours.pattern.random_blocks(4, max(blocks) + 1, CPU).numpy().clip(0)
    monkeypatch.setattr(
        theirs,
        "_bigbird_block_rand_mask_with_head",
        lambda from_seq_length, **_: list(table_HNR[:, 1 : from_seq_length // L - 1]),
    )

    def ends_of_blocks(x_BTD):
        ends = []
        for n in blocks:
            x = nn.functional.pad(x_BTD[:, : (n + 1) * L], (0, 0, 0, L))
            mask = (torch.arange((n + 2) * L) < (n + 1) * L).double().expand(len(x), -1)
            blocked, band, from_mask, to_mask = BigBirdModel.create_masks_for_block_sparse_attn(
                mask, L
            )
            y = theirs(x, band, from_mask, to_mask, blocked, blocked)[0]
            ends.append(y[:, (n + 1) * L - 1])
        return torch.stack(ends, dim=1)

    last = np.array(blocks) * L + L - 1
    same_outputs_and_gradients(
        lambda x: ours(x)[0][:, last],
        ends_of_blocks,
        torch.randn(2, (max(blocks) + 1) * L, 48, dtype=torch.float64),
        {
            inward.weight: lambda: torch.cat([part.weight.grad for part in parts]),
            inward.bias: lambda: torch.cat([part.bias.grad for part in parts]),
        },
    )


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_ragged_continuation_equals_each_row_alone(algorithm, grad):
    mixer = build(block_size=3, num_groups=2, algorithm=algorithm)
    continues_ragged(mixer, (16, 1, 21, 1, 4), grad=grad)


@pytest.mark.parametrize("length", [1, 4, 5, 30])
def test_flops_count_the_pairs_in_sight(length):
    mixer = build(block_size=3, random_blocks=2)
    table_HNR = mixer.pattern.random_blocks(4, 10, CPU)
    pairs = sum(len(in_sight(mixer.pattern, t, 0, table_HNR)) for t in range(length))
    assert mixer.flops(length) == length * 2 * 48 * 4 * 48 + pairs * 4 * 48


def test_the_path_is_at_most_that_of_the_windows():
    mixer = build(block_size=3, random_blocks=1)
    table_HNR = mixer.pattern.random_blocks(4, 20, CPU)
    for distance in range(1, 40):
        steps, places = 0, {40}
        while 40 - distance not in places:
            places = {
                c
                for t in places
                for h in range(4)
                for c in in_sight(mixer.pattern, t, h, table_HNR)
            }
            steps += 1
        assert steps <= mixer.path_length(distance)


def test_costs():
    mixer = build(num_groups=2, dtype=torch.float32)
    assert mixer.reach() == math.inf
    assert mixer.state_bytes(10) == 2 * 2 * 10 * 12 * 4
