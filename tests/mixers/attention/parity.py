"""How a mixer is compared with a published reference that holds its weights: outputs, and the
gradients of a fixed weighting of them with respect to inputs and parameters."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

# float64 and another order of summation; values and gradients are of order one to a hundred
TOLERANCE = {"rtol": 1e-11, "atol": 1e-11}


def same_outputs_and_gradients(
    ours: Callable[[Tensor], Tensor],
    theirs: Callable[[Tensor], Tensor],
    x_BTD: Tensor,
    pairs: Mapping[Tensor, Callable[[], Tensor]],
) -> tuple[float, float]:
    """Raises AssertionError where they differ. `pairs`: our parameter -> its gradient as it
    follows from the reference's, once that has run backwards. Returns the largest differences of
    outputs and of gradients."""
    mine, its = (x_BTD.clone().requires_grad_() for _ in range(2))
    found, expected = ours(mine), theirs(its)
    torch.testing.assert_close(found, expected, **TOLERANCE)
    weighting = torch.randn(found.shape, generator=torch.Generator().manual_seed(5)).double()
    gradients = torch.autograd.grad(found, [mine, *pairs], weighting)
    expected.backward(weighting)
    assert its.grad is not None
    wanted = [its.grad, *(gradient() for gradient in pairs.values())]
    for g_found, g_expected in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(g_found, g_expected, **TOLERANCE)
    largest = max(float((a - b).abs().max()) for a, b in zip(gradients, wanted))
    return float((found - expected).detach().abs().max()), largest
