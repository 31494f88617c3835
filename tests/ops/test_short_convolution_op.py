"""Every form of the short convolution equals the loop over taps: outputs and gradients."""

import pytest
import torch

from seqarena.ops.short_convolution import ACTIVATIONS, short_convolution

FAST = [name for name in short_convolution.available("cpu", torch.float64) if name != "loop"]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("taps", [1, 2, 4])
@pytest.mark.parametrize("length", [1, 2, 63, 257])
@pytest.mark.parametrize("algorithm", FAST)
def test_each_form_equals_the_loop(
    algorithm: str, length: int, taps: int, activation: str, bias: bool
) -> None:
    generator = torch.Generator().manual_seed(length)
    shapes = [(3, length + taps - 1, 300), (300, taps), *([(300,)] if bias else [])]
    leaves = [
        torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in shapes
    ]
    found = []
    for name in ("loop", algorithm):
        y_BTC = short_convolution(*leaves[:2], leaves[2] if bias else None, activation, name)
        weighted = (y_BTC * torch.cos(torch.arange(y_BTC.numel()).view_as(y_BTC))).sum()
        found.append([y_BTC.detach(), *torch.autograd.grad(weighted, leaves)])
    for expected, got in zip(*found, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("algorithm", FAST)
def test_under_autocast_the_result_is_of_the_wider_dtype(algorithm: str) -> None:
    x_BPC, weight_CK = torch.randn(2, 8, 5).bfloat16(), torch.randn(5, 3)
    expected = short_convolution(x_BPC, weight_CK, None, "silu", "loop")
    found = short_convolution(x_BPC, weight_CK, None, "silu", algorithm)
    assert found.dtype == expected.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
