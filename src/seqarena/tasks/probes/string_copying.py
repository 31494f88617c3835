"""Copying a string, longer than any that was trained on.

Jelassi et al. 2024, "Repeat After Me: Transformers are Better than State Space Models at Copying",
arXiv:2402.01032, section 3: uniform strings, trained up to one length, asked at greater ones.

    inputs    x_1 .. x_n  end  x_1 .. x_(n-1)
    targets   -           x_1  x_2 .. x_n

The copy so far is among the inputs, so that a network which finds its last few symbols in the
string can read off the next. `length N` is the share of symbols, `length N, whole` that of strings
without a mistake: what the paper counts. A state of b bits holds b / log2(A) symbols.

    B  examples    n  length    T = 2 n  positions    A  symbols
"""

import numpy as np
from torch import Tensor

from seqarena.core.batch import Problem
from seqarena.tasks.base import IGNORE, Batch, Ratios
from seqarena.tasks.probes.configs import StringCopyingConfig
from seqarena.tasks.probes.length_probe import LengthProbeTask


class StringCopyingTask(LengthProbeTask):
    """Tokens: the symbols 0 .. A - 1, then the end of the string."""

    name = "string_copying"
    config: StringCopyingConfig

    def __init__(self, config: StringCopyingConfig) -> None:
        super().__init__(config)
        self.num_outputs, self.vocab_size = config.alphabet, config.alphabet + 1
        self.sequence_length = 2 * config.train_length

    @property
    def problem(self) -> Problem:
        return super().problem.model_copy(
            update={"max_length": 2 * max(self.config.train_length, *self.config.test_lengths)}
        )

    @property
    def mean_length(self) -> float:
        return self.shortest + self.config.train_length

    def length_of(self, batch: Batch) -> int:
        return batch.inputs_BT.shape[1] // 2

    def examples(
        self, generator: np.random.Generator, length: int, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        strings_Bn = generator.integers(self.config.alphabet, size=(num_examples, length))
        end_B1 = np.full((num_examples, 1), self.config.alphabet)
        return np.concatenate((strings_Bn, end_B1, strings_Bn[:, :-1]), axis=1), strings_Bn

    def generate(
        self, generator: np.random.Generator, cell: int, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        inputs_BT, strings_Bn = self.examples(generator, cell, num_examples)
        targets_BT = np.full_like(inputs_BT, IGNORE)
        targets_BT[:, cell:] = strings_Bn
        return inputs_BT, targets_BT

    def answer_probabilities(self, length: int) -> np.ndarray:
        """Uniform."""
        return np.full(self.num_outputs, 1 / self.num_outputs)

    def ratios(self, logits_BTV: Tensor, batch: Batch) -> Ratios:
        found = super().ratios(logits_BTV, batch)
        length = self.length_of(batch)
        whole = float((found.numerators_B == found.denominators_B).sum())
        found.slices[f"length {length}, whole"] = (whole, float(len(found.numerators_B)))
        return found
