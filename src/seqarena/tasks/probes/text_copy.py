"""The copying exercise of introductory texts: symbols, noise, a delimiter, and the symbols again.

    inputs    s_1 .. s_n    noise * (L - 2 n - 1)    delimiter    0 * n
    targets   -                                      -            s_1 .. s_n

    L  seq_lens, the whole length          n  copy_len, symbols to repeat
    s  uniform over 1 .. vocab_size - 1    noise  the same        delimiter  vocab_size

As written there, the target is 0 ahead of the answer and the score takes the last n positions; here
these alone are asked, in training too. The noise is of the same alphabet as the symbols: nothing
but its position tells the one from the other, and a model has to know where it is or when to stop
taking in. Slices: `distance D`, where D = L - 2 n - 1 is the noise between the last symbol and the
delimiter.
"""

import math

import numpy as np

from seqarena.core.batch import Problem
from seqarena.tasks.base import IGNORE, Batch
from seqarena.tasks.probes.configs import TextCopyConfig
from seqarena.tasks.probes.probe import ProbeTask


class TextCopyTask(ProbeTask[int]):
    """A cell is a whole length. Answers are 0 .. vocab_size - 1, of which 0 is never right."""

    name = "text_copy"

    def __init__(self, config: TextCopyConfig) -> None:
        self.config = config
        self.cells = config.seq_lens
        self.num_symbols = config.copy_len
        self.delimiter = config.vocab_size
        self.vocab_size = config.vocab_size + 1
        self.sequence_length = max(config.seq_lens)
        self.evaluation_examples = config.evaluation_examples

    @property
    def problem(self) -> Problem:
        return Problem(
            num_outputs=self.delimiter,
            vocab_size=self.vocab_size,
            max_length=self.sequence_length,
        )

    @property
    def mean_length(self) -> float:
        return sum(self.cells) / len(self.cells)

    def generate(
        self, generator: np.random.Generator, cell: int, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        n = self.num_symbols
        inputs = np.zeros((num_examples, cell), dtype=np.int64)
        drawn = generator.integers(1, self.delimiter, size=(num_examples, cell - n - 1))
        inputs[:, : cell - n - 1] = drawn  # the symbols and the noise
        inputs[:, cell - n - 1] = self.delimiter
        targets = np.full_like(inputs, IGNORE)
        targets[:, cell - n :] = drawn[:, :n]
        return inputs, targets

    def conditions(self, batch: Batch) -> list[str]:
        distance = batch.inputs_BT.shape[1] - 2 * self.num_symbols - 1
        return [f"distance {distance}"] * batch.inputs_BT.shape[0]

    def baseline(self) -> dict[str, float]:
        symbols = self.delimiter - 1
        return {"accuracy": 1 / symbols, "loss_nats": math.log(symbols)}
