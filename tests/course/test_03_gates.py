"""Answers to the exercises of the course's third lesson."""

import math

import torch
from torch import nn


def test_1_the_bias_for_a_half_life() -> None:
    """sigma(b)^n = 1/2 gives b = -log(2^(1/n) - 1). Whatever is kept longer is also overwritten
    later: one bias is one length of memory, and 1 stands for about two steps."""
    for steps in (1, 10, 1000):
        bias = -math.log(2 ** (1 / steps) - 1)
        gate = 1 / (1 + math.exp(-bias))
        assert math.isclose(gate**steps, 0.5, rel_tol=1e-9)
    assert 2 < math.log(2) / -math.log(1 / (1 + math.exp(-1.0))) < 2.5


def test_2_chrono_spreads_the_memories_evenly() -> None:
    """sigma(log u) = u / (1 + u), so that 1 / (1 + u) is forgotten a step, and a memory lasts for
    1 + u steps: between 2 and T, evenly as u is."""
    longest = 100
    u = torch.empty(20_000, dtype=torch.float64)
    u.uniform_(1, longest - 1, generator=torch.Generator().manual_seed(0))
    forgotten = 1 - u.log().sigmoid()
    torch.testing.assert_close(forgotten, 1 / (1 + u))
    lengths = 1 / forgotten
    assert lengths.min() >= 2
    assert lengths.max() <= longest
    quarters = torch.quantile(lengths, torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64))
    even = 2 + (longest - 2) * torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    torch.testing.assert_close(quarters, even, rtol=0.03, atol=0.0)


def test_3_an_lstm_that_remembers_ten_thousand_steps() -> None:
    """Four units, one for each first symbol 0 .. 3; noise is 4 .. 7. A first symbol opens its
    unit's input gate; nothing else does. Forget gates stay open."""
    symbols, open_, shut = 4, 40.0, -40.0
    lstm = nn.LSTM(2 * symbols, symbols)
    with torch.no_grad():
        for weight in lstm.parameters():
            weight.zero_()
        inputs, forget, candidate, output = (
            slice(k * symbols, (k + 1) * symbols) for k in range(4)
        )
        lstm.bias_ih_l0[inputs] = shut
        lstm.weight_ih_l0[inputs, :symbols] = (open_ - shut) * torch.eye(symbols)
        lstm.bias_ih_l0[forget] = lstm.bias_ih_l0[candidate] = lstm.bias_ih_l0[output] = open_
        first = torch.arange(symbols)
        generator = torch.Generator().manual_seed(0)
        noise = symbols + torch.randint(symbols, (10_000, symbols), generator=generator)
        read = nn.functional.one_hot(torch.cat([first[None], noise]), 2 * symbols).float()
        states, _ = lstm(read)
    assert torch.equal(states[-1].argmax(1), first)
    torch.testing.assert_close(states[-1], math.tanh(1.0) * torch.eye(symbols))
