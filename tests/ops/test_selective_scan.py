"""The selective scan: every fast form against the loop."""

import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.ops.selective_scan import selective_scan

ALGORITHMS = selective_scan.available("cpu", torch.float64)
FAST = ALGORITHMS[1:]
NAMES = ("y", "state", "dx", "dstep", "dA", "dB", "dC", "dstart")
# relative to the largest number of each tensor: rounding (2e-16 or 6e-8) of at most 257 dependent
# steps, and of sums over 3 * 257 positions for dA
TOLERANCES = {torch.float64: 1e-12, torch.float32: 3e-5}


def problem(length, dtype, channels=5, states=3):
    generator = torch.Generator().manual_seed(length)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    inputs = (
        normal(3, length, channels),
        torch.nn.functional.softplus(normal(3, length, channels)) * 0.3,
        -torch.exp(normal(states, channels)),
        normal(3, length, states),
        normal(3, length, states),
        normal(3, states, channels),
    )
    weights = normal(3, length, channels), normal(3, states, channels)
    return tuple(x.requires_grad_() for x in inputs), weights


def run(algorithm, inputs, weights, autocast=False):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        y, state = selective_scan(*inputs, algorithm=algorithm)
    total = (y * weights[0]).sum() + (state * weights[1]).sum()
    return y.detach(), state.detach(), *torch.autograd.grad(total, inputs)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("length", [1, 2, 63, 257])
@pytest.mark.parametrize("algorithm", FAST)
def test_equals_the_loop(algorithm, length, dtype):
    inputs, weights = problem(length, dtype)
    found, expected = run(algorithm, inputs, weights), run("loop", inputs, weights)
    for name, x, y in zip(NAMES, found, expected):
        difference = float((x - y).abs().max() / y.abs().max().clamp(min=1))
        assert difference < TOLERANCES[dtype], name


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_gradcheck(algorithm):
    inputs, _ = problem(18, torch.float64, channels=2, states=2)
    assert torch.autograd.gradcheck(lambda *x: selective_scan(*x, algorithm=algorithm), inputs)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_one_state_of_one_channel_by_hand(algorithm):
    two = torch.tensor(2.0).log()
    y, state = selective_scan(
        torch.tensor([[[3.0], [5.0]]]),
        torch.tensor([[[1.0], [2.0]]]),
        -two.reshape(1, 1),
        torch.tensor([[[1.0], [0.5]]]),
        torch.tensor([[[1.0], [10.0]]]),
        torch.tensor([[[4.0]]]),
        algorithm=algorithm,
    )
    # 4 / 2 + 1 * 1 * 3 = 5; 5 / 4 + 2 * 0.5 * 5 = 6.25
    torch.testing.assert_close(y.flatten(), torch.tensor([5.0, 62.5]))
    torch.testing.assert_close(state.flatten(), torch.tensor([6.25]))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_step_of_zero_leaves_the_state_alone(algorithm):
    (x, step, a, b, c, start), _ = problem(20, torch.float32)
    _, state = selective_scan(x, torch.zeros_like(step), a, b, c, start, algorithm=algorithm)
    assert torch.equal(state, start)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_starts_from_zero_and_leaves_inputs_alone(algorithm):
    (x, step, a, b, c, start), _ = problem(20, torch.float64)
    before = start.detach().clone()
    selective_scan(x, step, a, b, c, start, algorithm=algorithm)
    assert torch.equal(start, before)
    y, _ = selective_scan(x, step, a, b, c, algorithm=algorithm)
    expected, _ = selective_scan(x, step, a, b, c, torch.zeros_like(start), algorithm="loop")
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_autocast_does_not_reach_the_recurrence(algorithm):
    inputs, weights = problem(33, torch.float32)
    expected = run(algorithm, inputs, weights)
    found = run(algorithm, inputs, weights, autocast=True)
    for name, x, y in zip(NAMES, found, expected):
        torch.testing.assert_close(x, y, rtol=0, atol=0, msg=name)


def saved_elements(algorithm, inputs):
    """Numbers that autograd keeps for the backward pass."""
    sizes = {}

    def pack(tensor):
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        selective_scan(*inputs, algorithm=algorithm)
    return sum(sizes.values()) // 8


def test_memory_of_the_chunked_form_is_a_sixteenth_of_the_states():
    length, channels, states, batch = 256, 8, 16, 3
    inputs, _ = problem(length, torch.float64, channels, states)
    all_states = batch * length * channels * states
    given = sum(x.numel() for x in inputs)
    assert saved_elements("chunked", inputs) <= all_states // 16 + given
    assert saved_elements("scan", inputs) > 2 * all_states


def test_unknown_algorithm():
    inputs, _ = problem(2, torch.float32)
    with pytest.raises(UserError, match="did you mean chunked"):
        selective_scan(*inputs, algorithm="chunk")
