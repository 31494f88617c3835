"""Copying over a distance: hold symbols through a blank stretch, then repeat them.

After Hochreiter & Schmidhuber 1997 and the copy-memory task of Arjovsky et al. 2016, with a
stretch of variable length so that counting alone does not solve it:

    inputs    s_1 .. s_n   blank * d   marker   blank * n      blank * (d_max - d)
    targets   -            -           -        s_1 .. s_n     -

    n  num_symbols, each uniform over the alphabet
    d  the distance in blanks, uniform over min_distance .. max_distance

The input blank below s_k in the targets is the slot that asks for it; every other position is
ignored. All examples have the length 2 n + 1 + d_max; what follows the slots is plain blank.

With `all_positions` every other position asks for a blank, as in Arjovsky et al. 2016: there the
loss goes over all T + 20 positions for n = 10 (T = d + 1), and a guesser that counts
positions but remembers no symbol has n ln(alphabet) / length. Without it only the slots count and
the same guesser has ln(alphabet). The metric is the accuracy in the slots either way; with it the
slices `loss_nats`, over all positions, and `share of the memoryless loss`, which is 1 for that
guesser, say where a model stands.
"""

import math

import numpy as np
from torch import Tensor

from seqarena.tasks.base import IGNORE, Batch, Ratios
from seqarena.tasks.configs import CopyingConfig
from seqarena.tasks.probes.probe import ProbeTask

BLANK, MARKER, FIRST_SYMBOL = 0, 1, 2
_SLICES = 5


class CopyingTask(ProbeTask[None]):
    """Copying with slices by distance."""

    name = "copying"
    cells = (None,)

    def __init__(self, config: CopyingConfig) -> None:
        self.config = config
        self.num_symbols = config.num_symbols
        self.distances = (config.min_distance, config.max_distance)
        self.vocab_size = FIRST_SYMBOL + config.alphabet
        self.sequence_length = 2 * config.num_symbols + 1 + config.max_distance
        self.evaluation_examples = config.evaluation_examples
        self.all_positions = config.all_positions
        self._ranges = distance_ranges(*self.distances)

    def generate(
        self, generator: np.random.Generator, cell: None, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        n = self.num_symbols
        symbols = generator.integers(FIRST_SYMBOL, self.vocab_size, size=(num_examples, n))
        low, high = self.distances
        marker = n + generator.integers(low, high + 1, size=(num_examples, 1))
        inputs = np.full((num_examples, self.sequence_length), BLANK, dtype=np.int64)
        targets = np.full_like(inputs, BLANK if self.all_positions else IGNORE)
        inputs[:, :n] = symbols
        np.put_along_axis(inputs, marker, MARKER, axis=1)
        np.put_along_axis(targets, marker + 1 + np.arange(n), symbols, axis=1)
        return inputs, targets

    def ratios(self, logits_BTV: Tensor, batch: Batch) -> Ratios:
        if not self.all_positions:
            return super().ratios(logits_BTV, batch)
        slots_BT = batch.targets_BT.masked_fill(batch.targets_BT == BLANK, IGNORE)
        found = super().ratios(logits_BTV, batch._replace(targets_BT=slots_BT))
        nats = float(self.loss(logits_BTV, batch)) * batch.targets_BT.numel()
        count = float(batch.targets_BT.numel())
        share = nats / self.baseline()["loss_nats"]
        losses = {"loss_nats": (nats, count), "share of the memoryless loss": (share, count)}
        return found._replace(slices={**found.slices, **losses})

    def conditions(self, batch: Batch) -> list[str]:
        distances = (batch.inputs_BT == MARKER).int().argmax(1) - self.num_symbols
        ends = np.array([last for _, last in self._ranges])
        names = [f"distance {first}-{last}" for first, last in self._ranges]
        return [names[i] for i in np.searchsorted(ends, distances.cpu().numpy())]

    def baseline(self) -> dict[str, float]:
        alphabet = self.vocab_size - FIRST_SYMBOL
        asked = self.num_symbols / self.sequence_length if self.all_positions else 1.0
        return {"accuracy": 1 / alphabet, "loss_nats": asked * math.log(alphabet)}


def distance_ranges(low: int, high: int) -> list[tuple[int, int]]:
    """At most five ranges of nearly equal width that cover low .. high.

    >>> distance_ranges(1, 10)
    [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10)]
    """
    parts = np.array_split(np.arange(low, high + 1), min(_SLICES, high - low + 1))
    return [(int(part[0]), int(part[-1])) for part in parts]
