"""A benchmark of random numbers.

The program of "Chapter 3.1: From RNNs to the Transformer Revolution". What it times as a recurrent
network draws a new matrix at every step, within the clock, and has no input:

    hidden = torch.tanh(hidden @ torch.randn(hidden_dim, hidden_dim))

What it times as attention is one product, without scores and without a softmax, and is called O(1):

    result = qkv @ torch.randn(hidden_dim * 3, hidden_dim)

Here the numbers that it draws are counted beside the products that it makes, and the clock is
started again with the matrices drawn beforehand, and with an RNN and a self-attention in their
places.

    python examples/texts/benchmark.py
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

LENGTH, WIDTH = 1024, 768  # of the program


class Finding(NamedTuple):
    drawn: int  # random numbers that its loop draws
    used: int  # that a recurrent network of this width would need: one matrix, one start
    saturated: float  # share of its state within 1 % of -1 or 1
    softmaxes: int  # in what it calls attention
    growth: float  # operations of its product at twice the length, over those at once
    drawing: float  # measured: share of the loop's time in which numbers are drawn
    printed: float  # measured: what it prints as the improvement
    real: float  # measured: an RNN's forward pass over self-attention's, the same inputs


class Operations(TorchDispatchMode):
    """Counts the numbers that are drawn, and the softmaxes."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn, self.softmaxes = 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = str(func)
        self.drawn += out.numel() if "randn" in name or "normal" in name else 0
        self.softmaxes += "softmax" in name or "attention" in name
        return out


def its_loop(length: int, draw: Callable[[], torch.Tensor]) -> torch.Tensor:
    hidden = torch.randn(1, WIDTH)
    for _ in range(length):
        hidden = torch.tanh(hidden @ draw())
    return hidden


def its_product(length: int) -> torch.Tensor:
    return torch.randn(length, 3 * WIDTH) @ torch.randn(3 * WIDTH, WIDTH)


def matrix() -> torch.Tensor:
    return torch.randn(WIDTH, WIDTH)


def seconds(call: Callable[[], Any], repeats: int = 3) -> float:
    """The fastest of some calls, after one that does not count."""
    call()
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)


def operations(length: int) -> int:
    with FlopCounterMode(display=False) as counter:
        its_product(length)
    return counter.get_total_flops()


@torch.no_grad()
def real(length: int) -> float:
    """Seconds of an RNN over those of one head of causal self-attention, forward."""
    x_BTD = torch.randn(1, length, WIDTH)
    rnn = nn.RNN(WIDTH, WIDTH, batch_first=True)
    into, out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def attend() -> torch.Tensor:
        return out(scaled_dot_product_attention(*into(x_BTD).chunk(3, -1), is_causal=True))

    return seconds(lambda: rnn(x_BTD)) / seconds(attend)


def main(length: int = LENGTH) -> Finding:
    torch.manual_seed(0)
    with Operations() as loop:
        state = its_loop(length, matrix)
    with Operations() as product:
        its_product(length)
    ready = matrix()
    with_drawing = seconds(lambda: its_loop(length, matrix), repeats=1)
    without = seconds(lambda: its_loop(length, lambda: ready))
    found = Finding(
        loop.drawn,
        WIDTH * WIDTH + WIDTH,
        float((state.abs() > 0.99).float().mean()),
        product.softmaxes,
        operations(2 * length) / operations(length),
        1 - without / with_drawing,
        with_drawing / seconds(lambda: its_product(length)),
        real(length),
    )
    print(f"random numbers that its loop draws: {found.drawn:,}; that it needs: {found.used:,}")
    print(f"its state is within 1 % of -1 or 1 in {found.saturated:.0%}")
    print(f"softmaxes in its attention: {found.softmaxes}")
    print(f"twice the tokens take {found.growth:.0f} times the operations")
    print(f"measured: its loop draws numbers for {found.drawing:.0%} of its time")
    print(f"measured: what it prints: {found.printed:.1f}x")
    print(f"measured: an RNN over self-attention, both forward: {found.real:.1f}x")
    return found


if __name__ == "__main__":
    main()
