"""The cell of the simple recurrent unit: the stepwise form against the loop."""

import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.ops.sru import sru

NAMES = ("c", "du", "da", "dv", "dstart")
# relative to the largest number of each tensor; 257 gated steps
TOLERANCES = {torch.float64: 1e-12, torch.float32: 2e-5}


def problem(length, dtype):
    generator = torch.Generator().manual_seed(length)
    shapes = (2, length, 3), (2, length, 3), (3,), (2, 3)
    return [
        torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
        for shape in shapes
    ]


def run(algorithm, inputs, lengths=None):
    c = sru(*inputs, lengths, algorithm=algorithm)
    weights = torch.linspace(-1, 1, c.numel(), dtype=c.dtype).view_as(c)
    return c.detach(), *torch.autograd.grad((c * weights).sum(), inputs)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("length", [1, 2, 63, 257])
def test_equals_the_loop(length, dtype):
    inputs = problem(length, dtype)
    for lengths in (None, torch.tensor([length, length // 2])):
        found, expected = run("stepwise", inputs, lengths), run("loop", inputs, lengths)
        for name, x, y in zip(NAMES, found, expected):
            difference = float((x - y).abs().max() / y.abs().max().clamp(min=1))
            assert difference < TOLERANCES[dtype], name


def test_gradcheck():
    call = lambda *tensors: sru(*tensors, algorithm="stepwise")  # noqa: E731
    assert torch.autograd.gradcheck(call, problem(7, torch.float64))


@pytest.mark.parametrize("algorithm", sru.available("cpu", torch.float64))
def test_the_cell_stays_beyond_a_row(algorithm):
    inputs = problem(6, torch.float64)
    c_BTE = sru(*inputs, torch.tensor([4, 0]), algorithm=algorithm).detach()
    torch.testing.assert_close(c_BTE[0, 4:], c_BTE[0, 3].expand(2, -1), rtol=0, atol=1e-15)
    torch.testing.assert_close(c_BTE[1], inputs[3].detach()[1].expand(6, -1), rtol=0, atol=1e-15)


@pytest.mark.parametrize("algorithm", sru.available("cpu", torch.float64))
def test_a_step_by_hand(algorithm):
    """f = sigmoid(0.5 + 0.25 * 2) = sigmoid(1): c = 3 + (2 - 3) f."""
    u, a = torch.tensor([[[3.0]]]), torch.tensor([[[0.5]]])
    c = sru(u, a, torch.tensor([0.25]), torch.tensor([[2.0]]), algorithm=algorithm)
    assert float(c) == pytest.approx(3 - 0.7310586)


def test_unknown_algorithm():
    with pytest.raises(UserError, match="did you mean stepwise"):
        sru(*problem(2, torch.float32), algorithm="stepwize")
