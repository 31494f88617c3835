"""The use of a GPU, by a formula of the batch size.

The longest text, "Training Speed Analysis". What it prints as practical speedup is

    rnn_utilization = min(0.3 + batch_size * 0.01, 0.6)
    transformer_utilization = min(0.7 + batch_size * 0.01, 0.95)

No GPU is asked, no model runs, and the length of the sequence, a column of its table, is in
neither. Its orders of growth are right: T d^2 for a recurrence, T^2 d + T d^2 for a Transformer.
Here the share of the machine's fastest matrix product is measured, on the processor that is
there.

    python examples/texts/gpu_usage.py
"""

from typing import NamedTuple

import seqarena as sa

BATCHES, LENGTHS = (8, 16, 32, 64), (50, 100, 200)  # of the program
MEASURED_BATCHES, MEASURED_LENGTHS = (1, 8), (64, 256)


class Finding(NamedTuple):
    drawn: dict[int, tuple[float, float]]  # batch size -> RNN, Transformer
    depends_on_length: bool
    squares_lead_from: int  # the length at which T^2 d passes T d^2, for d of 512
    measured: dict[tuple[str, int], dict[int, float]]  # architecture and batch -> length -> share


def drawn(batch_size: int, length: int) -> tuple[float, float]:
    """The program's two numbers; `length` is not used there either."""
    return min(0.3 + batch_size * 0.01, 0.6), min(0.7 + batch_size * 0.01, 0.95)


def squares_lead_from(width: int) -> int:
    return next(length for length in range(1, 10_000) if length**2 * width > length * width**2)


def measured(runs: str) -> dict[tuple[str, int], dict[int, float]]:
    found = sa.measure(
        "utilisation", models="lstm,attention", batches=MEASURED_BATCHES, lengths=MEASURED_LENGTHS,
        runs=runs, verbose=False,
    )  # fmt: skip
    return {
        (s.architecture, int(s.settings["batch_size"])): {
            int(point.x): max(point.repeats) for point in s.points
        }
        for s in found.measurements
    }


def main(runs: str = "runs") -> Finding:
    found = Finding(
        {batch: drawn(batch, LENGTHS[0]) for batch in BATCHES},
        any(
            drawn(batch, a) != drawn(batch, b)
            for batch in BATCHES
            for a in LENGTHS
            for b in LENGTHS
        ),
        squares_lead_from(512),
        measured(runs),
    )
    said = "; ".join(f"{rnn:.2f} and {other:.2f} at {b}" for b, (rnn, other) in found.drawn.items())
    print(f"drawn, RNN and Transformer by batch: {said}")
    print(f"the length changes them: {'yes' if found.depends_on_length else 'no'}")
    print(f"T^2 d passes T d^2, width 512: from {found.squares_lead_from} tokens")
    for (name, batch), shares in found.measured.items():
        said = ", ".join(f"{share:.0%} at {length}" for length, share in shares.items())
        print(f"measured: share of this processor's fastest product, {name}, batch {batch}: {said}")
    return found


if __name__ == "__main__":
    main()
