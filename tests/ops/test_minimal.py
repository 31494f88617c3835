"""The recurrence of the minimal gated networks: every fast form against the loop."""

import pytest
import torch

from seqarena.ops.minimal import candidate_value, minimal_recurrence

ALGORITHMS = minimal_recurrence.available("cpu", torch.float64)
FAST = ALGORITHMS[1:]
# rounding (2e-16 or 6e-8) of at most 257 dependent steps that contract
TOLERANCES = {
    torch.float64: {"rtol": 1e-12, "atol": 1e-12},
    torch.float32: {"rtol": 2e-5, "atol": 5e-6},
}


def problem(length, dtype):
    generator = torch.Generator().manual_seed(length)
    gate, value, weight = (
        2 * torch.randn(3, length, 5, generator=generator, dtype=dtype) for _ in range(3)
    )
    start = torch.randn(3, 5, generator=generator, dtype=dtype)
    return gate.requires_grad_(), value.requires_grad_(), start.requires_grad_(), weight


def run(algorithm, candidate, gate, value, start, weight, lengths=None):
    h = minimal_recurrence(gate, value, start, lengths, candidate=candidate, algorithm=algorithm)
    total = (h * weight).sum() + (h[:, -1] * weight[:, 0]).sum()
    return h.detach(), *torch.autograd.grad(total, (gate, value, start))


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("length", [1, 2, 63, 257])
@pytest.mark.parametrize("candidate", ["positive", "linear"])
@pytest.mark.parametrize("algorithm", FAST)
def test_equals_the_loop(algorithm, candidate, length, dtype):
    inputs = problem(length, dtype)
    found, expected = run(algorithm, candidate, *inputs), run("loop", candidate, *inputs)
    for name, x, y in zip(("h", "dgate", "dvalue", "dstart"), found, expected):
        torch.testing.assert_close(
            x, y, msg=lambda text, name=name: f"{name}: {text}", **TOLERANCES[dtype]
        )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_state_stays_still_beyond_the_length(algorithm):
    inputs, lengths = problem(20, torch.float64), torch.tensor([20, 7, 0])
    h, dgate, dvalue, _ = run(algorithm, "positive", *inputs, lengths=lengths)
    assert torch.equal(h[2, -1], inputs[2][2])
    torch.testing.assert_close(h[1, 6], h[1, -1], rtol=1e-15, atol=1e-15)
    assert not torch.cat((dgate[1, 7:], dvalue[1, 7:])).any()
    assert dgate[1, :7].all()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_slope_where_the_branches_meet(algorithm):
    """At a value of exactly zero every form takes the branch x + 1/2, as the paper has it."""
    gate, value = torch.zeros(1, 1, 1), torch.zeros(1, 1, 1, requires_grad=True)
    h = minimal_recurrence(gate, value, candidate="positive", algorithm=algorithm)
    h.sum().backward()
    assert (h.item(), value.grad.item()) == (0.25, 0.5)


def test_candidate_is_positive_and_continuous():
    values = torch.linspace(-20, 20, 2001, dtype=torch.float64)
    g = candidate_value(values, "positive")
    assert float(g.min()) > 0
    # the steps between values are 0.02, and the slope lies between 0 and 1
    assert 0 < float(g.diff().min()) < float(g.diff().max()) < 0.0201
    assert torch.equal(candidate_value(values, "linear"), values)
