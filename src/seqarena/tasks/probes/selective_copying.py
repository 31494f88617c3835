"""Selective copying: symbols lie scattered among blanks, and are then repeated in their order.

After Jing et al. 2019 (a denoising variant of copy memory) and Gu & Dao 2023, "Mamba", section 4.1:
since the gaps are random, a filter with fixed delays cannot do it, and what is read has to be kept
or dropped by what it is.

    inputs    blank s_1 blank blank s_2 .. s_n blank    marker * n
    targets   -                                         s_1 .. s_n

The stretch ahead of the markers has `distance` positions, of which n, uniform without replacement,
hold symbols that are uniform over the alphabet. Slices: `distance D`.
"""

import math

import numpy as np

from seqarena.tasks.base import IGNORE, Batch
from seqarena.tasks.probes.configs import SelectiveCopyingConfig
from seqarena.tasks.probes.probe import ProbeTask

BLANK, MARKER, FIRST_SYMBOL = 0, 1, 2


class SelectiveCopyingTask(ProbeTask[int]):
    """A cell is a distance."""

    name = "selective_copying"

    def __init__(self, config: SelectiveCopyingConfig) -> None:
        self.config = config
        self.cells = config.distances
        self.num_symbols = config.num_symbols
        self.vocab_size = FIRST_SYMBOL + config.alphabet
        self.sequence_length = max(config.distances) + config.num_symbols
        self.evaluation_examples = config.evaluation_examples

    @property
    def mean_length(self) -> float:
        return sum(self.cells) / len(self.cells) + self.num_symbols

    def generate(
        self, generator: np.random.Generator, cell: int, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        n = self.num_symbols
        symbols = generator.integers(FIRST_SYMBOL, self.vocab_size, size=(num_examples, n))
        order = generator.random((num_examples, cell)).argsort(1)
        places = np.sort(order[:, :n], axis=1)
        inputs = np.full((num_examples, cell + n), BLANK, dtype=np.int64)
        np.put_along_axis(inputs, places, symbols, axis=1)
        inputs[:, cell:] = MARKER
        targets = np.full_like(inputs, IGNORE)
        targets[:, cell:] = symbols
        return inputs, targets

    def conditions(self, batch: Batch) -> list[str]:
        distance = batch.inputs_BT.shape[1] - self.num_symbols
        return [f"distance {distance}"] * batch.inputs_BT.shape[0]

    def baseline(self) -> dict[str, float]:
        alphabet = self.vocab_size - FIRST_SYMBOL
        return {"accuracy": 1 / alphabet, "loss_nats": math.log(alphabet)}
