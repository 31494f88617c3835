"""A race between two layers and six, of which one is five times as large.

The longest text, "Performance Comparison". It times

    rnn = nn.LSTM(hidden_dim, hidden_dim, 2, batch_first=True)
    transformer = SimpleTransformer(vocab_size, hidden_dim, 8, 6)

forward alone, the second with its dropout on, and never says which is the larger. As printed it
ends before that: `math` is used and not imported. Its clock waits for the GPU, which is right,
and its positions are the published ones; they end at `max_len`. Here the same sizes are counted,
the same race is run, and then one at equal parameters, training included.

    python examples/texts/processing_times.py
"""

import math
import time
from typing import NamedTuple

import torch
from torch import nn

import seqarena as sa

VOCABULARY, WIDTH, HEADS, BATCH = 1000, 256, 8, 32  # of the program
LENGTH = 50  # one of its five


class Finding(NamedTuple):
    lstm_parameters: int
    transformer_parameters: int
    dropout_is_on: bool
    works_at_max_len: bool
    works_beyond: bool
    race: float  # measured: the LSTM's seconds over the Transformer's, as the program races
    equal_race: dict[str, float]  # the same at equal parameters, by what is timed


class Positions(nn.Module):
    """Adds sines and cosines of the first `max_len` positions to x [B, T, D]."""

    def __init__(self, width: int, max_len: int = 5000) -> None:
        super().__init__()
        rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
        angles = torch.arange(max_len)[:, None] * rates
        self.register_buffer("table_TD", torch.stack([angles.sin(), angles.cos()], 2).flatten(1))

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        return x_BTD + self.table_TD[: x_BTD.shape[1]]


def racers() -> tuple[nn.Module, nn.Module]:
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, batch_first=True)
    transformer = nn.Sequential(
        nn.Embedding(VOCABULARY, WIDTH),
        Positions(WIDTH),
        nn.TransformerEncoder(layer, 6),
        nn.Linear(WIDTH, VOCABULARY),
    )
    return nn.LSTM(WIDTH, WIDTH, 2, batch_first=True), transformer


def works(positions: Positions, length: int) -> bool:
    try:
        return positions(torch.zeros(1, length, 4)).shape[1] == length
    except RuntimeError:
        return False


@torch.no_grad()
def seconds(module: nn.Module, inputs: torch.Tensor, repeats: int = 3) -> float:
    """The fastest of some forward passes, after one that does not count."""
    module(inputs)
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        module(inputs)
        found.append(time.perf_counter() - start)
    return min(found)


def at_equal_size(runs: str) -> dict[str, float]:
    """LSTM over attention, of one size: seconds of a forward pass and of a step of training."""
    found = sa.measure(
        "speed", models="lstm,attention", params="1M", lengths=[LENGTH], batch=BATCH, seconds=0.2,
        what="forward,training", runs=runs, verbose=False,
    )  # fmt: skip
    fastest = {(s.architecture, s.quantity): min(s.points[0].repeats) for s in found.measurements}
    quantities = [quantity for name, quantity in fastest if name == "lstm"]
    return {q: fastest["lstm", q] / fastest["attention", q] for q in quantities}


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def main(runs: str = "runs") -> Finding:
    torch.manual_seed(0)
    lstm, transformer = racers()
    small = Positions(4, max_len=5000)
    found = Finding(
        count(lstm),
        count(transformer),
        any(m.training and m.p > 0 for m in transformer.modules() if isinstance(m, nn.Dropout)),
        works(small, 5000),
        works(small, 5001),
        seconds(lstm, torch.randn(BATCH, LENGTH, WIDTH))
        / seconds(transformer, torch.randint(VOCABULARY, (BATCH, LENGTH))),
        at_equal_size(runs),
    )
    print(f"parameters: LSTM {found.lstm_parameters:,}, "
          f"Transformer {found.transformer_parameters:,}")  # fmt: skip
    print(f"dropout is on while it is timed: {'yes' if found.dropout_is_on else 'no'}")
    print(f"5,000 positions: {'works' if found.works_at_max_len else 'fails'}; "
          f"5,001: {'works' if found.works_beyond else 'fails'}")  # fmt: skip
    print(f"measured: its race at length {LENGTH}, its `Speedup`: {found.race:.2f}x")
    for quantity, ratio in found.equal_race.items():
        print(f"measured: at 1M parameters each, {quantity.replace('_', ' ')}: {ratio:.2f}x")
    return found


if __name__ == "__main__":
    main()
