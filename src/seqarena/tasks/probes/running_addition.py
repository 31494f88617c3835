"""Running addition: read numbers one at a time and say their sum so far.

The example by which introductory texts explain a recurrent state, 2, 5, 3, 7 -> 2, 7, 10, 17, with
4 numbers and with 1,000. Two things are claimed of it: that it can only be done one number after
the other, and that this is what stops a recurrent network at 1,000. Both can be measured here.

    inputs    x_1, x_2, x_3 ..                 digits, uniform over 0 .. 9
    targets   (x_1 + .. + x_t) mod M           one of M answers at every position

A sum that grows without end has no finite set of answers, and predicting it as a real number asks
for little: from 1,000 numbers on, the mean alone is right within a few per cent. Modulo M every
number read counts for as much as any other, at every length, and forgetting or misreading a single
one makes all later answers wrong.

Training batch k has examples of `train_lengths[k mod their number]` numbers; validation those of
the longest of them, and the test split goes through `test_lengths`. Slices by position say how far
the sum holds.

    B  examples    T  numbers    M  modulo
"""

import math

import numpy as np
from torch import Tensor

from seqarena.core.batch import Problem
from seqarena.tasks.base import Batch, Ratios, Split
from seqarena.tasks.configs import RunningAdditionConfig
from seqarena.tasks.probes.probe import ProbeTask

DIGITS = 10


class RunningAdditionTask(ProbeTask[int]):
    """The running sum of digits modulo M; a cell is a length."""

    name = "running_addition"
    causal = True
    config: RunningAdditionConfig

    def __init__(self, config: RunningAdditionConfig) -> None:
        self.config = config
        self.cells = config.train_lengths
        self.vocab_size = DIGITS
        self.sequence_length = max(config.train_lengths)
        self.evaluation_examples = config.evaluation_examples

    @property
    def problem(self) -> Problem:
        return Problem(
            num_outputs=self.config.modulo,
            vocab_size=DIGITS,
            causal=True,
            max_length=max(*self.config.train_lengths, *self.config.test_lengths),
        )

    @property
    def mean_length(self) -> float:
        return sum(self.cells) / len(self.cells)

    def cells_of(self, split: Split) -> tuple[int, ...]:
        return (self.sequence_length,) if split == "validation" else self.config.test_lengths

    def generate(
        self, generator: np.random.Generator, cell: int, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        numbers_BT = generator.integers(DIGITS, size=(num_examples, cell))
        return numbers_BT, np.cumsum(numbers_BT, axis=1) % self.config.modulo

    def ratios(self, logits_BTV: Tensor, batch: Batch) -> Ratios:
        """Every answer counts; slices by position, and whole examples by their length."""
        logits_BTV = logits_BTV.cpu()
        right_BT = logits_BTV.argmax(-1) == batch.targets_BT.cpu()
        right_BT &= ~logits_BTV.isnan().any(-1)
        size, length = right_BT.shape
        slices = {
            name: (float(right_BT[:, first:end].sum()), float(size * (end - first)))
            for name, first, end in position_ranges(length)
        }
        slices[f"all right of {length} numbers"] = (float(right_BT.all(1).sum()), float(size))
        return Ratios(right_BT.sum(1).double().numpy(), np.full(size, float(length)), slices)

    def conditions(self, batch: Batch) -> list[str]:
        return [f"{batch.inputs_BT.shape[1]} numbers"] * batch.inputs_BT.shape[0]

    def baseline(self) -> dict[str, float]:
        """Of a guesser that looks at nothing: with M = 10 every answer is equally likely."""
        return {"accuracy": 1 / self.config.modulo, "loss_nats": math.log(self.config.modulo)}


def position_ranges(length: int) -> list[tuple[str, int, int]]:
    """Name, first position and the one behind the last, each range four times as long as the last.

    >>> position_ranges(20)
    [('position 1-4', 0, 4), ('position 5-16', 4, 16), ('position 17-64', 16, 20)]
    """
    ranges, first, end = [], 0, 4
    while first < length:
        ranges.append((f"position {first + 1}-{end}", first, min(end, length)))
        first, end = end, 4 * end
    return ranges
