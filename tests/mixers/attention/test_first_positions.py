"""A window with first positions in sight (Longformer, attention sinks) and with a learned sink
(gpt-oss): the contract, loops over what is seen, the published code of each, costs."""

import math

import pytest
import torch
from torch import nn
from transformers.models.gpt_oss.modeling_gpt_oss import GptOssAttention, GptOssConfig
from transformers.models.longformer.modeling_longformer import (
    LongformerConfig,
    LongformerSelfAttention,
)

from seqarena.mixers.attention.sliding_window import SlidingWindow, SlidingWindowConfig
from seqarena.mixers.contract import CHECKS, subject
from seqarena.models.catalog import CATALOG
from seqarena.ops.positions import rotate, rotation_at
from tests.mixers.attention.parity import same_outputs_and_gradients
from tests.mixers.attention.ragged import continues_ragged
from tests.mixers.references.arrays import differences

CONFIGS = {
    "longformer": SlidingWindowConfig(window=9, num_first=4),
    "grouped": SlidingWindowConfig(window=5, num_first=7, num_groups=2, positions="none"),
    "sinks": SlidingWindowConfig(window=9, num_first=4, positions="cache"),
    "learned sink": SlidingWindowConfig(window=7, learned_sink=True, bias=True),
    "both sinks": SlidingWindowConfig(
        window=2, num_first=1, positions="cache", num_groups=2, learned_sink=True
    ),
}
ALGORITHMS = ["explicit", "banded"]


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_contract(config, check):
    check(subject(SlidingWindow, config))


def build(width=48, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return SlidingWindow(width, SlidingWindowConfig(**fields)).to(dtype)


def copy_projections(mixer, query, key, value, bias):
    with torch.no_grad():
        mixer.projections.inward.weight.copy_(torch.cat([m.weight for m in (query, key, value)]))
        if bias:
            mixer.projections.inward.bias.copy_(torch.cat([m.bias for m in (query, key, value)]))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("window", "first"), [(2, 1), (5, 3), (8, 30), (30, 2)])
def test_first_positions_and_a_window_are_seen(window, first, algorithm):
    mixer = build(window=window, num_first=first, algorithm=algorithm)
    x_BTD = torch.randn(1, 21, 48, dtype=torch.float64)
    q, k, v = (x[0] for x in mixer.projections.split(x_BTD))
    heads = []
    for t in range(21):
        slots = [c for c in range(t + 1) if t - c < window or c < first]
        for h in range(4):
            weights = (k[slots, h] @ q[t, h] / math.sqrt(12)).softmax(0)
            heads.append(weights @ v[slots, h])
    expected = mixer.projections.merge(torch.stack(heads).reshape(1, 21, 4, 12))
    torch.testing.assert_close(mixer(x_BTD)[0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_positions_are_places_in_the_cache(algorithm):
    """Section 3.2 of Xiao et al.: with [0, 1, 2, 3, 6, 7, 8] in the cache and 9 decoded, positions
    are [0, 1, 2, 3, 4, 5, 6] and 7. Here for every token, turned anew from its own cache."""
    mixer = build(window=4, num_first=4, positions="cache", rotary_base=20.0, algorithm=algorithm)
    x_BTD = torch.randn(1, 17, 48, dtype=torch.float64)
    q, k, v = mixer.projections.inward(x_BTD)[0].unflatten(-1, (3, 4, 12)).unbind(1)
    heads = []
    for t in range(17):
        kept = [c for c in range(t + 1) if c < 4 or t - c < 4]
        if t == 9:
            assert kept == [0, 1, 2, 3, 6, 7, 8, 9]
        turn = rotation_at(torch.arange(len(kept)), 12, 20.0, torch.float64)
        turned, asking = rotate(k[kept], turn), rotate(q[[t] * len(kept)], turn)[-1]
        for h in range(4):
            weights = (turned[:, h] @ asking[h] / math.sqrt(12)).softmax(0)
            heads.append(weights @ v[kept, h])
    expected = mixer.projections.merge(torch.stack(heads).reshape(1, 17, 4, 12))
    torch.testing.assert_close(mixer(x_BTD)[0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_equals_streaming_llm(algorithm):
    mixer = build(
        24, window=5, num_first=3, positions="cache", num_groups=2, rotary_base=100.0,
        algorithm=algorithm,
    )  # fmt: skip
    output, gradient = differences(mixer, "attention_sinks")
    assert output < 1e-11
    assert gradient < 1e-11


@pytest.mark.usefixtures("exact_softmax")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_equals_longformer_at_the_end_of_every_prefix(algorithm):
    """Longformer looks ahead too, so that the last position of a prefix alone sees what ours sees.
    Its projections for global tokens hold the same weights as the others."""
    one_sided, first, length, width = 4, 3, 20, 48
    config = LongformerConfig(
        hidden_size=width, num_attention_heads=4, attention_window=[2 * one_sided],
        attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    torch.manual_seed(1)
    theirs = LongformerSelfAttention(config, layer_id=0).eval().double()
    local = (theirs.query, theirs.key, theirs.value)
    for part, twin in zip(local, (theirs.query_global, theirs.key_global, theirs.value_global)):
        nn.init.normal_(part.weight, std=0.2)
        nn.init.normal_(part.bias, std=0.2)
        twin.weight, twin.bias = part.weight, part.bias
    ours = build(
        window=one_sided + 1, num_first=first, positions="none", bias=True, algorithm=algorithm
    )
    copy_projections(ours, *local, bias=True)
    nn.init.eye_(ours.projections.outward.weight)

    def every_prefix(x_BTD):
        ends = []
        for end in range(1, length + 1):
            padded = -(-end // (2 * one_sided)) * 2 * one_sided
            x = nn.functional.pad(x_BTD[:, :end], (0, 0, 0, padded - end))
            place = torch.arange(padded).expand(len(x), -1)
            masked, seen_by_all = place >= end, place < min(first, end)
            y = theirs(
                x,
                attention_mask=10_000.0 * (seen_by_all.double() - masked.double()),
                is_index_masked=masked,
                is_index_global_attn=seen_by_all,
                is_global_attn=True,
            )[0]
            ends.append(y[:, end - 1])
        return torch.stack(ends, dim=1)

    inward = ours.projections.inward
    same_outputs_and_gradients(
        lambda x: ours(x)[0],
        every_prefix,
        torch.randn(2, length, width, dtype=torch.float64),
        {
            inward.weight: lambda: torch.cat([part.weight.grad for part in local]),
            inward.bias: lambda: torch.cat([part.bias.grad for part in local]),
        },
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_equals_gpt_oss(algorithm):
    window, length = 5, 21
    config = GptOssConfig(
        hidden_size=48, num_attention_heads=4, num_key_value_heads=2, head_dim=12,
        sliding_window=window, layer_types=["sliding_attention"], num_hidden_layers=1,
    )  # fmt: skip
    config._attn_implementation = "eager"
    torch.manual_seed(1)
    theirs = GptOssAttention(config, layer_idx=0).double().eval()
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.3)
    ours = build(
        window=window, num_groups=2, rotary_base=500.0, learned_sink=True, bias=True,
        algorithm=algorithm,
    )  # fmt: skip
    parts = (theirs.q_proj, theirs.k_proj, theirs.v_proj)
    copy_projections(ours, *parts, bias=True)
    with torch.no_grad():
        ours.projections.outward.weight.copy_(theirs.o_proj.weight)
        ours.projections.outward.bias.copy_(theirs.o_proj.bias)
        ours.sinks_H.copy_(theirs.sinks)
    turn = rotation_at(torch.arange(length), 12, 500.0, torch.float64)
    angles = tuple(part[None, :, 0] for part in turn)
    distance = torch.arange(length)[:, None] - torch.arange(length)
    mask = torch.zeros(length, length).double()
    mask = mask.masked_fill((distance < 0) | (distance >= window), -math.inf)[None, None]
    inward, outward = ours.projections.inward, ours.projections.outward
    same_outputs_and_gradients(
        lambda x: ours(x)[0],
        lambda x: theirs(x, position_embeddings=angles, attention_mask=mask)[0],
        torch.randn(2, length, 48, dtype=torch.float64),
        {
            inward.weight: lambda: torch.cat([part.weight.grad for part in parts]),
            inward.bias: lambda: torch.cat([part.bias.grad for part in parts]),
            outward.weight: lambda: theirs.o_proj.weight.grad,
            outward.bias: lambda: theirs.o_proj.bias.grad,
            ours.sinks_H: lambda: theirs.sinks.grad,
        },
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("positions", ["rotary", "cache"])
def test_ragged_continuation_equals_each_row_alone(positions, algorithm):
    mixer = build(window=4, num_first=5, positions=positions, algorithm=algorithm)
    continues_ragged(mixer, (4, 1, 11, 1, 3))


def test_the_banded_form_holds_no_square_of_pairs():
    mixer = build(dtype=torch.float32, window=16, num_first=4, algorithm="banded")
    largest = 0

    class Largest(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            made = func(*args, **(kwargs or {}))
            if isinstance(made, torch.Tensor):
                largest = max(largest, made.numel())
            return made

    with torch.no_grad(), Largest():
        mixer(torch.randn(1, 4096, 48))
    # of 4 heads: scores over two blocks and the first slots
    assert largest <= 4 * 4096 * (2 * 16 + 4)


@pytest.mark.parametrize("length", [1, 4, 5, 6, 7, 17])
def test_flops_count_the_pairs_in_sight(length):
    mixer = build(window=5, num_first=2)
    pairs = sum(1 for t in range(length) for c in range(t + 1) if t - c < 5 or c < 2)
    assert mixer.flops(length) == length * 2 * 48 * 4 * 48 + pairs * 4 * 48


def test_costs():
    mixer = build(window=5, num_first=3, num_groups=2, dtype=torch.float32)
    assert mixer.reach() == math.inf
    assert [mixer.path_length(d) for d in (1, 4, 5, 8, 9)] == [1, 1, 2, 2, 3]
    assert mixer.state_bytes(1) == mixer.state_bytes(1000) == 2 * 2 * 7 * 12 * 4


def test_the_rows_are_what_their_papers_have():
    ((_, longformer),) = CATALOG["longformer"].cycle
    ((_, sinks),) = CATALOG["attention_sinks"].cycle
    assert longformer == {"num_first": 16}
    assert sinks == {"num_first": 4, "positions": "cache"}
