"""A table of memory in which nothing is measured.

The longest text, "Memory Usage Analysis". Both columns are

    rnn_memory = seq_len * hidden_dim
    transformer_memory = seq_len * seq_len + seq_len * hidden_dim

numbers without a unit. A square in the length is right for attention that keeps its weights: for
each head, layer and row of a batch, which the formula leaves out. Attention that is computed in
blocks keeps no such square. Here the bytes of training are counted.

    python examples/texts/memory.py
"""

from typing import NamedTuple

import seqarena as sa

WIDTH, LENGTHS = 512, (100, 500, 1000, 2000)  # of the program
MEASURED = (256, 512, 1024)


class Finding(NamedTuple):
    drawn: dict[int, float]  # length -> Transformer over RNN, the program's ratio
    ratios: dict[str, float]  # form of attention -> its bytes over the LSTM's, at 1,024
    growth: dict[str, float]  # the same: bytes that 512 more tokens add, over those that 256 added
    lstm_growth: float
    decoding: dict[str, list[float]]  # architecture -> kB of state at each length


def drawn(length: int) -> float:
    return (length * length + length * WIDTH) / (length * WIDTH)


def growth(points) -> float:
    """Bytes from 512 to 1,024 tokens over bytes from 256 to 512: 2 for a line, 4 for a square."""
    first, second, third = (point.repeats[0] for point in points)
    return (third - second) / (second - first)


def main(runs: str = "runs") -> Finding:
    attention, lstm = (
        sa.measure(
            "memory", models=name, algorithms=forms, lengths=MEASURED, runs=runs, verbose=False
        ).measurements
        for name, forms in (("attention", "all"), ("lstm", "loop"))
    )
    peaks = {s.variant: s.points for s in attention if s.quantity == "peak_training_bytes"}
    (line,) = (s.points for s in lstm if s.quantity == "peak_training_bytes")
    states = {
        s.architecture: [point.repeats[0] / 1000 for point in s.points]
        for s in (*attention, *lstm)
        if s.quantity == "state_bytes"
    }
    found = Finding(
        {length: drawn(length) for length in LENGTHS},
        {form: points[-1].repeats[0] / line[-1].repeats[0] for form, points in peaks.items()},
        {form: growth(points) for form, points in peaks.items()},
        growth(line),
        states,
    )
    said = ", ".join(f"{ratio:.2f} at {length:,}" for length, ratio in found.drawn.items())
    print(f"Transformer over RNN, drawn: {said}")
    for form, ratio in found.ratios.items():
        print(f"measured: training, attention ({form}) over LSTM at 1,024: {ratio:.2f}; "
              f"twice the tokens add {found.growth[form]:.1f} times the bytes")  # fmt: skip
    print(f"measured: training, LSTM: twice the tokens add {found.lstm_growth:.1f} times the bytes")
    for name, sizes in found.decoding.items():
        said = ", ".join(f"{size:.0f}" for size in sizes)
        print(f"measured: state while decoding, {name}: {said} kB")
    return found


if __name__ == "__main__":
    main()
