"""Linear attention: the parallel and chunked forms against the recurrence."""

import pytest
import torch

from seqarena.ops.linear_attention import linear_attention, positive_features

LENGTHS = (1, 2, 63, 257)
# Positive sums of 257 terms: float64 agrees to about 1e-13. In float32 each of 257 additions
# rounds by 6e-8, and the gradients of the first positions add up as many again.
TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-4}


def run(inputs, algorithm, chunk_size):
    """Outputs and final sums, and the gradients of a fixed weighting of all three."""
    q, k, v, s, z = inputs
    found = linear_attention(
        positive_features(q), positive_features(k), v, s, z, algorithm, chunk_size
    )
    torch.manual_seed(1)
    total = sum((x * torch.randn_like(x)).sum() for x in found)
    return found, torch.autograd.grad(total, inputs)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("algorithm", "chunk"), [("parallel", 1), ("chunked", 16), ("chunked", 1)])
@pytest.mark.parametrize("length", LENGTHS)
def test_against_the_loop(length, algorithm, chunk, dtype):
    torch.manual_seed(length)
    shapes = ((2, 3, length, 4), (2, 3, length, 4), (2, 3, length, 5), (2, 3, 4, 5), (2, 3, 4))
    inputs = [torch.randn(shape, dtype=dtype) for shape in shapes]
    inputs[4] = inputs[4].abs() + 1  # a sum of positive keys
    for x in inputs:
        x.requires_grad_()
    fast, slow = run(inputs, algorithm, chunk), run(inputs, "loop", chunk)
    for parts in zip(fast, slow):
        for found, expected in zip(*parts):
            scale = float(expected.detach().abs().max())
            torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE[dtype] * scale)
