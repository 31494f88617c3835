"""Attention patterns: each fast form against the masked matrix of scores."""

import pytest
import torch

from seqarena.ops.attention import (
    BlockPattern,
    FirstSlots,
    attention,
    block_attention,
    strided_attention,
    window_attention,
)

LENGTHS = (1, 2, 63, 257)
# Sums of at most 300 products: float64 agrees to about 1e-13. In float32 a softmax weight carries
# a few roundings of 6e-8 and gradients add up to 300 of them.
TOLERANCE = {torch.float64: 1e-11, torch.float32: 2e-5}


def tensors(length, history, dtype, groups=2, seed=0):
    """q [2, 4, T, 8] and k, v [2, G, history + T, 8], all wanting gradients."""
    torch.manual_seed(seed + length)
    shapes = ((2, 4, length, 8), *2 * ((2, groups, history + length, 8),))
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]


def assert_same(fast, slow, inputs):
    """Outputs and the gradients of a fixed weighting of them agree."""
    tolerance = TOLERANCE[slow.dtype]
    torch.testing.assert_close(fast, slow, rtol=tolerance, atol=tolerance)
    weighting = torch.randn_like(slow)
    for g_fast, g_slow in zip(
        torch.autograd.grad(fast, inputs, weighting), torch.autograd.grad(slow, inputs, weighting)
    ):
        torch.testing.assert_close(g_fast, g_slow, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("options", ["plain", "all", "ragged", "padded", "alibi", "biased"])
@pytest.mark.parametrize("length", LENGTHS)
def test_fused_attention(length, options, dtype):
    inputs = tensors(length, 0 if options in ("all", "padded") else 40, dtype)
    extra = {
        "plain": {},
        "all": {"causal": False},
        "ragged": {"starts_B": torch.tensor([40, 13])},
        "padded": {"causal": False, "lengths_B": torch.tensor([length, length // 2])},
        "alibi": {"slopes_H": torch.tensor([0.5, 0.25, 0.1, 0.0])},
        "biased": {},
    }[options]
    if options == "biased":
        inputs.append(torch.randn(2, 4, 40 + length, dtype=dtype, requires_grad=True))
        extra = {"bias_BHC": inputs[3]}
    fast, slow = (attention(*inputs[:3], name, **extra) for name in ("fused", "explicit"))
    assert_same(fast, slow, inputs)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("empty", [0, 5, 16, torch.tensor([16, 3])], ids=str)
@pytest.mark.parametrize("length", LENGTHS)
def test_banded_window(length, empty, dtype):
    inputs = tensors(length, 16, dtype)
    time_first = [x.transpose(1, 2) for x in inputs]
    fast, slow = (window_attention(*time_first, 17, name, empty) for name in ("banded", "explicit"))
    assert_same(fast, slow, inputs)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("start", [0, 11, 40, torch.tensor([40, 3])], ids=str)
@pytest.mark.parametrize("length", LENGTHS)
def test_banded_window_with_first_slots_and_sinks(length, start, dtype):
    inputs = tensors(length, 16, dtype)
    first = tensors(length, 5 - length, dtype, seed=1)
    sinks_H = torch.randn(4, dtype=dtype, requires_grad=True)
    empty = (16 - torch.as_tensor(start)).clamp(min=0)
    time_first = [x.transpose(1, 2) for x in (*inputs, *first)]
    slots = FirstSlots(*time_first[3:], start)
    for extra, wanted in (
        ((slots, None), [*inputs, *first]),
        ((None, sinks_H), [*inputs, sinks_H]),
        ((slots, sinks_H), [*inputs, *first, sinks_H]),
    ):
        fast, slow = (
            window_attention(
                *time_first[:3], 17, name, int(empty) if empty.dim() == 0 else empty, *extra
            )
            for name in ("banded", "explicit")
        )
        assert_same(fast, slow, wanted)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    ("history", "starts_B"), [(0, None), (3, None), (40, None), (40, torch.tensor([40, 13]))],
    ids=["0", "3", "40", "ragged"],
)  # fmt: skip
@pytest.mark.parametrize("length", LENGTHS)
def test_gathered_blocks(length, history, starts_B, dtype):
    for pattern in (BlockPattern(1, 2, 1, 2, 0), BlockPattern(16, 3, 2, 1, 5)):
        inputs = tensors(length, history, dtype)
        fast, slow = (
            block_attention(*inputs, pattern, name, starts_B) for name in ("gathered", "explicit")
        )
        assert_same(fast, slow, inputs)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("history", [0, 3, 40])
@pytest.mark.parametrize("length", LENGTHS)
def test_blocked_strides(length, history, dtype):
    for stride in (2, 8, 300):
        inputs = tensors(length, history, dtype)
        fast, slow = (strided_attention(*inputs, stride, n) for n in ("blocked", "explicit"))
        assert_same(fast, slow, inputs)


@pytest.mark.parametrize("length", LENGTHS)
def test_blocked_strides_of_ragged_rows(length):
    inputs = tensors(length, 40, torch.float64)
    starts_B = torch.tensor([40, 13])
    fast, slow = (strided_attention(*inputs, 8, n, starts_B) for n in ("blocked", "explicit"))
    assert_same(fast, slow, inputs)


def test_explicit_attention_as_in_the_paper():
    """Equation 1, one query and one head at a time."""
    q, k, v = tensors(6, 3, torch.float64, groups=2)
    y = attention(q, k, v, "explicit")
    for b in range(2):
        for h in range(4):
            for t in range(6):
                seen = slice(0, 3 + t + 1)
                weights = (k[b, h // 2, seen] @ q[b, h, t] / 8**0.5).softmax(0)
                torch.testing.assert_close(
                    y[b, h, t], weights @ v[b, h // 2, seen], rtol=0, atol=1e-12
                )
