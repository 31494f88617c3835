"""The diagonal linear recurrence: every fast form against the loop."""

import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.ops.diagonal import linear_recurrence

ALGORITHMS = linear_recurrence.available("cpu", torch.float64)
FAST = ALGORITHMS[1:]
# float64: 2e-16 a step, at most 257 steps, |a| <= 1. float32: 6e-8 a step and as many steps, so
# 1.5e-5 in the worst case; sums over the batch (broadcast a) stay inside the relative tolerance.
TOLERANCES = {
    torch.float64: {"rtol": 1e-11, "atol": 1e-11},
    torch.complex128: {"rtol": 1e-11, "atol": 1e-11},
    torch.float32: {"rtol": 2e-5, "atol": 2e-5},
    torch.complex64: {"rtol": 2e-5, "atol": 2e-5},
}


def problem(length, dtype, a_shape=None, features=(5,)):
    generator = torch.Generator().manual_seed(length)
    shape = (3, length, *features)
    b = torch.randn(shape, generator=generator, dtype=dtype)
    a = torch.randn(a_shape or shape, generator=generator, dtype=dtype)
    a = a / (1.0 + a.abs()) if dtype.is_complex else torch.sigmoid(3 * a)
    start = torch.randn(3, *features, generator=generator, dtype=dtype)
    weight = torch.randn(shape, generator=generator, dtype=dtype)
    return a.requires_grad_(), b.requires_grad_(), start.requires_grad_(), weight


def run(algorithm, a, b, start, weight):
    h = linear_recurrence(a, b, start, algorithm=algorithm)
    total = (h * weight).sum() + (h[:, -1] * weight[:, 0]).sum()
    return h, *torch.autograd.grad(total.real if total.is_complex() else total, (a, b, start))


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("length", [1, 2, 63, 257])
@pytest.mark.parametrize("algorithm", FAST)
def test_equals_the_loop(algorithm, length, dtype):
    inputs = problem(length, dtype)
    found, expected = run(algorithm, *inputs), run("loop", *inputs)
    for name, x, y in zip(("h", "da", "db", "dstart"), found, expected):
        torch.testing.assert_close(
            x, y, msg=lambda text, name=name: f"{name}: {text}", **TOLERANCES[dtype]
        )


@pytest.mark.parametrize("a_shape", [(2, 4), (3, 20, 1, 1), (1, 1, 2, 1)])
@pytest.mark.parametrize("algorithm", FAST)
def test_coefficients_broadcast(algorithm, a_shape):
    inputs = problem(20, torch.float64, a_shape=a_shape, features=(2, 4))
    for x, y in zip(run(algorithm, *inputs), run("loop", *inputs)):
        torch.testing.assert_close(x, y, **TOLERANCES[torch.float64])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_hand_worked_example(algorithm):
    a, b = torch.tensor([[[0.5], [2.0], [0.0]]]), torch.tensor([[[1.0], [1.0], [3.0]]])
    h = linear_recurrence(a, b, torch.tensor([[4.0]]), algorithm=algorithm)
    assert h.flatten().tolist() == [3.0, 7.0, 3.0]


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_gradcheck(algorithm, dtype):
    a, b, start, _ = problem(19, dtype, features=(2,))
    assert torch.autograd.gradcheck(
        lambda *x: linear_recurrence(*x, algorithm=algorithm), (a, b, start)
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_ones_and_zeros_keep_the_state_of_padded_rows(algorithm):
    a, b, start, _ = problem(20, torch.float64)
    padding = (torch.arange(20) >= torch.tensor([[20], [7], [0]]))[..., None]
    held = a.masked_fill(padding, 1.0), b.masked_fill(padding, 0.0)
    h = linear_recurrence(*held, start, algorithm=algorithm)
    assert torch.equal(h[2, -1], start[2])
    alone = linear_recurrence(a[1:2, :7], b[1:2, :7], start[1:2], algorithm=algorithm)
    torch.testing.assert_close(h[1:2, -1], alone[:, -1], **TOLERANCES[torch.float64])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_low_precision_inputs_recur_in_float32(algorithm):
    a, b, start, _ = problem(5, torch.float32)
    h = linear_recurrence(a.bfloat16(), b.bfloat16(), start, algorithm=algorithm)
    assert h.dtype == torch.float32


@pytest.mark.parametrize("algorithm", FAST)
def test_inputs_are_left_alone(algorithm):
    a, b, start, _ = problem(33, torch.float64)
    before = [x.detach().clone() for x in (a, b, start)]
    run(algorithm, a, b, start, torch.ones_like(b))
    assert all(torch.equal(x, y) for x, y in zip((a, b, start), before))


def test_second_order_gradients_are_refused_by_the_fast_forms():
    a, b, start, _ = problem(4, torch.float64)
    h = linear_recurrence(a, b, start, algorithm="fused")
    (g,) = torch.autograd.grad(h.square().sum(), b, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.sum().backward()


def test_unknown_algorithm():
    a, b, start, _ = problem(4, torch.float64)
    with pytest.raises(UserError, match="did you mean chunked"):
        linear_recurrence(a, b, start, algorithm="chunkd")


def test_serial_steps():
    assert linear_recurrence.names == ("loop", "chunked", "compiled", "fused", "scan")
    steps = linear_recurrence.serial_steps
    assert [steps(name, 128) for name in linear_recurrence.names] == [128, 25, 128, 128, 14]
    assert [steps(name, 1) for name in linear_recurrence.names] == [1, 3, 1, 1, 1]
