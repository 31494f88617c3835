"""What the probes of length share: trained on short examples, asked about longer ones.

    inputs    x_1 .. x_n   question
    targets   -            answer

Every training batch draws one length n, uniform over what the task allows up to `train_length`;
validation has examples of `train_length`, and the test goes through `test_lengths`. The answer
stands at the last position alone, unless a task says otherwise.

Slices: `length N` is the accuracy there, and `length N, of the way from chance` says how far that
is from guessing to perfect: (accuracy - chance) / (1 - chance), where chance is the best that one
constant answer can have. Where test lengths exceed the training's, `longer than trained` and
`longer than trained, of the way from chance` take these together.

    B  examples    n  length    T = n + 1  positions    V  tokens
"""

from abc import abstractmethod

import numpy as np
from torch import Tensor

from seqarena.core.batch import Problem
from seqarena.data.streams import Stream, philox
from seqarena.tasks.base import IGNORE, Batch, Ratios, Split
from seqarena.tasks.probes.configs import LengthProbeConfig
from seqarena.tasks.probes.probe import ProbeTask, as_batch


class LengthProbeTask(ProbeTask[int]):
    """Abstract; a cell is a length. A subclass sets `vocab_size` and `num_outputs`."""

    config: LengthProbeConfig
    num_outputs: int
    shortest = 1

    def __init__(self, config: LengthProbeConfig) -> None:
        self.config = config
        self.cells = (config.train_length,)
        self.sequence_length = config.train_length + 1
        self.evaluation_examples = config.evaluation_examples

    @abstractmethod
    def examples(
        self, generator: np.random.Generator, length: int, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Inputs int64 [num_examples, T], the question included, and answers [num_examples] (or
        [num_examples, length] where `generate` places so many)."""

    @abstractmethod
    def answer_probabilities(self, length: int) -> np.ndarray:
        """How often each answer is right at that length: [num_outputs]."""

    def chance(self, length: int) -> float:
        """Accuracy of the best constant answer at that length."""
        return float(self.answer_probabilities(length).max())

    @property
    def problem(self) -> Problem:
        return Problem(
            num_outputs=self.num_outputs,
            vocab_size=self.vocab_size,
            max_length=max(self.config.train_length, *self.config.test_lengths) + 1,
        )

    @property
    def mean_length(self) -> float:
        return (self.shortest + self.config.train_length) / 2 + 1

    def training_batch(self, index: int, batch_size: int, *, seed: int) -> Batch:
        generator = philox(seed, Stream.TRAIN, index)
        length = int(generator.integers(self.shortest, self.config.train_length + 1))
        return as_batch(self.generate(generator, length, batch_size))

    def cells_of(self, split: Split) -> tuple[int, ...]:
        return self.cells if split == "validation" else self.config.test_lengths

    def generate(
        self, generator: np.random.Generator, cell: int, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        inputs_BT, answers_B = self.examples(generator, cell, num_examples)
        targets_BT = np.full_like(inputs_BT, IGNORE)
        targets_BT[:, -1] = answers_B
        return inputs_BT, targets_BT

    def conditions(self, batch: Batch) -> list[str]:
        return [f"length {self.length_of(batch)}"] * batch.inputs_BT.shape[0]

    def length_of(self, batch: Batch) -> int:
        """The length n of the batch's examples."""
        return batch.inputs_BT.shape[1] - 1

    def ratios(self, logits_BTV: Tensor, batch: Batch) -> Ratios:
        found = super().ratios(logits_BTV, batch)
        length = self.length_of(batch)
        names = [f"length {length}"]
        if length > self.config.train_length:
            names.append("longer than trained")
        right, asked = found.slices[names[0]]
        chance = self.chance(length)
        slices = {}
        for name in names:
            slices[name] = (right, asked)
            slices[f"{name}, of the way from chance"] = (
                (right - chance * asked) / (1 - chance),
                asked,
            )
        return found._replace(slices=slices)

    def baseline(self) -> dict[str, float]:
        """Of the best guesser that has read nothing, over all test lengths together."""
        lengths = self.config.test_lengths
        mean = np.mean([self.answer_probabilities(length) for length in lengths], axis=0)
        known = mean[mean > 0]
        return {"accuracy": float(mean.max()), "loss_nats": float(-(known * np.log(known)).sum())}
