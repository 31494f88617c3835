"""Recurrent cells: the fused and stepwise forms against the loop, in every number they give."""

import pytest
import torch
from recurrent_cells import GATES, apply, assert_same, problem, run
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from seqarena.core.errors import UserError
from seqarena.ops import recurrent
from seqarena.ops.registry import installed

OWN = ("gru_before", "lstm_peephole", "slstm")  # no library has a kernel for them
FORMS = [(cell, "stepwise") for cell in GATES]
FORMS += [(cell, "fused") for cell in GATES if cell not in OWN]
COMPILED = ("elman_tanh", "elman_relu", "gru_after", "slstm")
if installed("numba"):
    FORMS += [(cell, "compiled") for cell in COMPILED]
# Relative to the largest number of each tensor. float64: 2e-16 an operation over 257 dependent
# steps. float32: 6e-8 an operation; a gradient sums 771 products of such terms.
TOLERANCES = {torch.float64: 1e-12, torch.float32: 2e-5}


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("length", [1, 2, 63, 257])
@pytest.mark.parametrize(("cell", "form"), FORMS)
def test_equals_the_loop(cell, form, length, dtype):
    leaves = problem(cell, length, dtype)
    expected = run(cell, leaves, None, "loop")
    assert_same(run(cell, leaves, None, form), expected, TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("lengths", [(63, 17, 1), (0, 63, 40), (5, 0, 4)])
@pytest.mark.parametrize(("cell", "form"), FORMS)
def test_equals_the_loop_on_ragged_rows(cell, form, lengths, dtype):
    leaves = problem(cell, 63, dtype)
    lengths_B = torch.tensor(lengths)
    expected = run(cell, leaves, lengths_B, "loop")
    for b, length in enumerate(lengths):
        if length == 0:
            assert torch.equal(expected["final 0"][b], leaves["h"][b])
    assert_same(run(cell, leaves, lengths_B, form), expected, TOLERANCES[dtype])


@pytest.mark.parametrize(("cell", "form"), FORMS)
def test_only_the_final_state_is_used(cell, form):
    """The gradient of the outputs is then absent, not zero."""
    leaves = problem(cell, 9, torch.float64)
    gradients = []
    for algorithm in ("loop", form):
        state = apply(cell, leaves, None, algorithm)[1]
        total = sum((leaf * leaf).sum() for leaf in state)
        gradients.append(dict(zip(leaves, torch.autograd.grad(total, list(leaves.values())))))
    assert_same(gradients[1], gradients[0], 1e-12)


@pytest.mark.parametrize("cell", GATES)
def test_stepwise_gradients_equal_finite_differences(cell):
    leaves = problem(cell, 4, torch.float64)

    def outputs(*values):
        y, state = apply(cell, dict(zip(leaves, values)), torch.tensor([4, 2, 0]), "stepwise")
        return y[0], y[1, :2], *state

    assert torch.autograd.gradcheck(outputs, list(leaves.values()))


@pytest.mark.parametrize("cell", GATES)
def test_stepwise_backward_twice_gives_the_same(cell):
    """The buffers of the forward must survive the backward."""
    leaves = problem(cell, 9, torch.float64)
    y, state = apply(cell, leaves, None, "stepwise")
    total = y.square().sum() + state[-1].sum()
    first = torch.autograd.grad(total, list(leaves.values()), retain_graph=True)
    second = torch.autograd.grad(total, list(leaves.values()))
    assert all(torch.equal(a, b) for a, b in zip(first, second))


@pytest.mark.parametrize("cell", GATES)
def test_stepwise_with_frozen_parts(cell):
    """Each leaf alone gets the gradient that it gets among all."""
    leaves = problem(cell, 5, torch.float64)
    expected = run(cell, leaves, None, "stepwise")
    for name in leaves:
        frozen = {n: leaf.detach().requires_grad_(n == name) for n, leaf in leaves.items()}
        y, state = apply(cell, frozen, None, "stepwise")
        generator = torch.Generator().manual_seed(1)
        total = sum(
            (leaf * torch.randn(leaf.shape, generator=generator, dtype=leaf.dtype)).sum()
            for leaf in (y, *state)
        )
        (gradient,) = torch.autograd.grad(total, [frozen[name]])
        torch.testing.assert_close(gradient, expected[name])


@pytest.mark.parametrize("length", [1, 40])
@pytest.mark.parametrize(("cell", "form"), [*FORMS, *((cell, "loop") for cell in GATES)])
def test_bfloat16_autocast_stays_near(cell, form, length):
    """bfloat16 keeps 8 bits (4e-3); the recurrences contract, so errors do not pile up far."""
    assert_near_in_bfloat16(cell, form, length, None)


@pytest.mark.parametrize("form", ["fused", "stepwise"])
def test_bfloat16_autocast_holds_ragged_rows_of_the_lstm(form):
    """The input that holds a row at its end must do so in bfloat16 as well."""
    assert_near_in_bfloat16("lstm", form, 40, torch.tensor([40, 0, 11]))


def assert_near_in_bfloat16(cell, form, length, lengths_B):
    leaves = problem(cell, length, torch.float32)
    expected = run(cell, leaves, lengths_B, "loop")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = run(cell, leaves, lengths_B, form)
    assert found["final 0"].dtype == torch.float32
    for name, value in expected.items():
        assert found[name].shape == value.shape
        error = (found[name].float() - value).abs().max() / value.abs().max()
        assert error < 0.05, name


class Written(TorchDispatchMode):
    """Counts the numbers that operations give."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        self.count += sum(x.numel() for x in tree_leaves(found) if isinstance(x, torch.Tensor))
        return found


@pytest.mark.parametrize(("cell", "form"), FORMS)
def test_work_on_ragged_rows_is_linear_in_the_length(cell, form):
    counts = []
    for length in (64, 128):
        with Written() as written:
            run(cell, problem(cell, length, torch.float32), torch.tensor([length, 9, 3]), form)
        counts.append(written.count)
    assert counts[1] / counts[0] < 2.1


@pytest.mark.parametrize("lengths", [None, (23, 8, 0), (10, 21, 20)])
@pytest.mark.parametrize("cell", [cell for cell, form in FORMS if form == "fused"])
def test_more_positions_than_the_kernel_takes_are_split(cell, lengths, monkeypatch):
    """The state is carried from piece to piece, so that nothing changes."""
    leaves = problem(cell, 23, torch.float64)
    lengths_B = None if lengths is None else torch.tensor(lengths)
    whole = run(cell, leaves, lengths_B, "fused")
    monkeypatch.setattr(recurrent, "LONGEST_CALL", 10)
    calls = []
    name = {"elman_tanh": "rnn_tanh", "elman_relu": "rnn_relu"}.get(cell, cell.split("_")[0])
    kernel = getattr(torch, name)

    def counted(x_BTD, *rest):
        calls.append(x_BTD.shape[1])
        return kernel(x_BTD, *rest)

    monkeypatch.setattr(torch, name, counted)
    assert_same(run(cell, leaves, lengths_B, "fused"), whole, 1e-14)
    assert calls == [10, 10, 3]


def test_mistakes_are_told():
    leaves = problem("gru_before", 3, torch.float32)
    with pytest.raises(UserError, match="known are auto, loop, stepwise"):
        apply("gru_before", leaves, None, "fused")
    for cell in GATES:
        with pytest.raises(UserError, match="did you mean stepwise"):
            apply(cell, problem(cell, 3, torch.float32), None, "step_wise")
