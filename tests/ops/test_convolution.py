"""Causal convolution: each form against the sum over taps, and that against single numbers."""

import pytest
import torch

from seqarena.ops.convolution import causal_convolution

# Sums of 3 x 5 products; the gradient of a weight sums over 257 positions. float32 rounds by 6e-8.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5}


def tensors(length, dilation, dtype):
    torch.manual_seed(length)
    shapes = ((2, 2 * dilation + length, 5), (3, 5, 4), (4,))
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("algorithm", ["fused", "unfolded"])
@pytest.mark.parametrize("dilation", [1, 7])
@pytest.mark.parametrize("length", [1, 2, 63, 257])
def test_against_the_loop(length, dilation, algorithm, dtype):
    inputs, tolerance = tensors(length, dilation, dtype), TOLERANCE[dtype]
    fast, slow = (causal_convolution(*inputs, dilation, name) for name in (algorithm, "loop"))
    torch.testing.assert_close(fast, slow, rtol=tolerance, atol=tolerance)
    weighting = torch.randn_like(slow)
    for found, expected in zip(
        torch.autograd.grad(fast, inputs, weighting), torch.autograd.grad(slow, inputs, weighting)
    ):
        scale = max(1.0, float(expected.abs().max()))
        torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("with_bias", [True, False])
def test_the_loop_as_in_its_equation(with_bias):
    x, weight, bias = tensors(6, 3, torch.float64)
    y = causal_convolution(x, weight, bias if with_bias else None, 3, "loop")
    for t in range(6):
        expected = sum(x[1, t + 3 * k] @ weight[k] for k in range(3))
        expected = expected + bias if with_bias else expected
        torch.testing.assert_close(y[1, t], expected, rtol=0, atol=1e-12)
