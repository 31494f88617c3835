"""Accuracies of a task that no model was given.

The longest text, "Long-Range Dependency Test". It makes sequences, prints one, and then

    rnn_accuracy = max(0.1, 0.9 * np.exp(-distance / 30))
    transformer_accuracy = max(0.85, 0.95 - distance * 0.0005)

The sequences reach no model. By the formula no network is ever always right, and a recurrent one
is worse than guessing where it is far. The task is a good one, and here it is asked: first of a
recurrence whose weights are set by hand, at the program's largest distance, then of networks that
are trained.

    python examples/texts/copy_task.py
"""

import math
from typing import NamedTuple

import numpy as np

import seqarena as sa

SYMBOLS, TO_COPY = 9, 5  # of the program: 1 .. 9, five of them
DISTANCES = (9, 39, 89, 189)  # its four lengths less what is copied, twice, and the delimiter


class Finding(NamedTuple):
    drawn_rnn: dict[int, float]
    drawn_transformer: dict[int, float]
    depends_on_data: bool  # whether other sequences change what is printed
    guessing: float
    by_hand: float  # accuracy of the recurrence with set weights at distance 189
    measured: dict[str, dict[int, float]]  # trained: architecture -> distance -> accuracy


def drawn(distance: int) -> tuple[float, float]:
    return max(0.1, 0.9 * math.exp(-distance / 30)), max(0.85, 0.95 - distance * 0.0005)


def sequence(distance: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The program's task: symbols, noise of the same alphabet, a delimiter, zeros to fill."""
    draw = np.random.default_rng(seed)
    wanted = draw.integers(1, SYMBOLS + 1, TO_COPY)
    noise = draw.integers(1, SYMBOLS + 1, distance)
    return np.concatenate([wanted, noise, [SYMBOLS + 1], np.zeros(TO_COPY, int)]), wanted


def report(distance: int, seed: int) -> tuple[float, float]:
    """What the program prints of a distance: it makes a sequence and does not look at it."""
    sequence(distance, seed)
    return drawn(distance)


def by_hand(inputs: np.ndarray) -> list[int]:
    """A recurrence of constant size: five registers, how many are filled, how many are written."""
    registers, filled, written, answers = [0] * TO_COPY, 0, 0, []
    for symbol in inputs:
        if symbol == 0:  # after the delimiter: write
            answers.append(registers[written])
            written += 1
        elif filled < TO_COPY:  # a gate that closes once five are kept
            registers[filled] = int(symbol)
            filled += 1
    return answers


def accuracy_by_hand(distance: int, count: int = 50) -> float:
    pairs = [sequence(distance, seed) for seed in range(count)]
    return float(np.mean([np.array(by_hand(inputs)) == wanted for inputs, wanted in pairs]))


def trained(runs: str, steps: int, distances: tuple[int, ...]) -> dict[str, dict[int, float]]:
    found = sa.measure(
        "recall", models="gru,attention", task="text_copy", distances=distances, steps=steps,
        runs=runs, verbose=False,
    )  # fmt: skip
    return {
        s.architecture: {int(point.x): point.repeats[0] for point in s.points}
        for s in found.measurements
    }


def main(runs: str = "runs", steps: int = 600, distances: tuple[int, ...] = (9, 39)) -> Finding:
    found = Finding(
        {distance: drawn(distance)[0] for distance in DISTANCES},
        {distance: drawn(distance)[1] for distance in DISTANCES},
        any(report(d, seed=0) != report(d, seed=1) for d in DISTANCES),
        1 / SYMBOLS,
        accuracy_by_hand(DISTANCES[-1]),
        trained(runs, steps, distances),
    )
    print(f"other sequences change the accuracies: {'yes' if found.depends_on_data else 'no'}")
    print(f"guessing: {found.guessing:.3f}")
    for name, curve in (("RNN", found.drawn_rnn), ("Transformer", found.drawn_transformer)):
        said = ", ".join(f"{accuracy:.3f} at {distance}" for distance, accuracy in curve.items())
        print(f"drawn, {name}: {said}")
    print(f"five registers and a gate, set by hand, at {DISTANCES[-1]}: {found.by_hand:.3f}")
    for name, curve in found.measured.items():
        said = ", ".join(f"{accuracy:.3f} at {distance}" for distance, accuracy in curve.items())
        print(f"measured: {name}, {steps} steps: {said}")
    return found


if __name__ == "__main__":
    main()
