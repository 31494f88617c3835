"""Strings in, strings out: reversing, running a stack, and sorting.

Deletang et al. 2023, "Neural Networks and the Chomsky Hierarchy", arXiv:2207.02098, appendix A.
Reversing and the stack are deterministic context-free, sorting is context-sensitive; what is asked
is whether training on short strings (up to 40) finds the algorithm. All follow length_probe.py.

    inputs    x_1 .. x_n  ? .. ?           reverse: n answers, sort: n, stack: up to n + 1
    targets   -           y_1 .. y_m

    reverse string       0 1 1 0 1                    ->  1 0 1 1 0
    bucket sort          1 0 2 0 4 1 1 2              ->  0 0 1 1 1 2 2 4
    stack manipulation   0 1 1 0 PUSH1 POP POP        ->  1 1 0 end

A stack is given from its bottom to its top, then instructions; the answer is what is left, from the
top, and an end. Popping an empty stack does nothing. Of n tokens, 1 to n - 1 are the stack (one
token is a stack alone). What stands behind the end is not asked, in training too; the paper's
training has zeros to write there.

Chance is the best guesser that knows the length and where it stands in the answer, exactly.

    B  examples    n  length    M  answers    T = n + M  positions    O  different answers
"""

import math

import numpy as np

from seqarena.core.batch import Problem
from seqarena.tasks.base import IGNORE, Batch
from seqarena.tasks.probes.configs import BucketSortConfig, LengthProbeConfig, ReverseStringConfig
from seqarena.tasks.probes.length_probe import LengthProbeTask

_POP, _PUSH, _END = 2, 3, 2  # tokens; pushing a one is _PUSH + 1; _END is an answer


class StringTask(LengthProbeTask):
    """Abstract: `examples` gives the strings [B, n] and their answers [B, M], IGNORE where nothing
    is asked; `answer_probabilities` how often each answer is right at each place, [M, O], whose
    rows sum to how often the place is asked. The question is the last token."""

    more_answers = 0  # M - n

    def __init__(self, config: LengthProbeConfig) -> None:
        super().__init__(config)
        self.sequence_length = self._positions(config.train_length)

    def _positions(self, length: int) -> int:
        return 2 * length + self.more_answers

    @property
    def problem(self) -> Problem:
        longest = max(self.config.train_length, *self.config.test_lengths)
        return super().problem.model_copy(update={"max_length": self._positions(longest)})

    @property
    def mean_length(self) -> float:
        return self.shortest + self.config.train_length + self.more_answers

    def length_of(self, batch: Batch) -> int:
        return (batch.inputs_BT.shape[1] - self.more_answers) // 2

    def generate(
        self, generator: np.random.Generator, cell: int, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        strings_Bn, answers_BM = self.examples(generator, cell, num_examples)
        inputs_BT = np.pad(
            strings_Bn, ((0, 0), (0, answers_BM.shape[1])), constant_values=self.vocab_size - 1
        )
        targets_BT = np.full_like(inputs_BT, IGNORE)
        targets_BT[:, cell:] = answers_BM
        return inputs_BT, targets_BT

    def chance(self, length: int) -> float:
        table_MO = self.answer_probabilities(length)
        return float(table_MO.max(1).sum() / table_MO.sum())

    def baseline(self) -> dict[str, float]:
        table_MO = np.concatenate([self.answer_probabilities(n) for n in self.config.test_lengths])
        asked_M1 = table_MO.sum(1, keepdims=True)
        share_MO = np.divide(table_MO, asked_M1, where=table_MO > 0, out=np.ones_like(table_MO))
        return {
            "accuracy": float(table_MO.max(1).sum() / asked_M1.sum()),
            "loss_nats": float(-(table_MO * np.log(share_MO)).sum() / asked_M1.sum()),
        }


class ReverseStringTask(StringTask):
    """Tokens: the symbols, then the question."""

    name = "reverse_string"

    def __init__(self, config: ReverseStringConfig) -> None:
        super().__init__(config)
        self.num_outputs, self.vocab_size = config.alphabet, config.alphabet + 1

    def examples(
        self, generator: np.random.Generator, length: int, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        strings_Bn = generator.integers(self.num_outputs, size=(num_examples, length))
        return strings_Bn, strings_Bn[:, ::-1]

    def answer_probabilities(self, length: int) -> np.ndarray:
        return np.full((length, self.num_outputs), 1 / self.num_outputs)


class BucketSortTask(StringTask):
    """Tokens: the symbols in their order, then the question."""

    name = "bucket_sort"

    def __init__(self, config: BucketSortConfig) -> None:
        super().__init__(config)
        self.num_outputs, self.vocab_size = config.alphabet, config.alphabet + 1

    def examples(
        self, generator: np.random.Generator, length: int, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        strings_Bn = generator.integers(self.num_outputs, size=(num_examples, length))
        return strings_Bn, np.sort(strings_Bn, axis=1)

    def answer_probabilities(self, length: int) -> np.ndarray:
        """The symbol at place j is at most v where more than j of n symbols are."""
        at_most_MO = np.ones((length, self.num_outputs))
        for value in range(self.num_outputs - 1):
            share = (value + 1) / self.num_outputs
            counts = [
                math.comb(length, k) * share**k * (1 - share) ** (length - k)
                for k in range(length + 1)
            ]
            at_most_MO[:, value] = np.cumsum(counts[::-1])[::-1][1:]
        return np.diff(at_most_MO, axis=1, prepend=0.0).clip(min=0.0)


class StackManipulationTask(StringTask):
    """Tokens: 0 and 1, pop, push a 0, push a 1, the question. Answers: 0, 1 and the end."""

    name = "stack_manipulation"
    num_outputs, vocab_size = 3, 6
    more_answers = 1

    def examples(
        self, generator: np.random.Generator, length: int, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        given_B1 = generator.integers(1, max(2, length), size=(num_examples, 1))
        bits_Bn = generator.integers(2, size=(num_examples, length))
        actions_Bn = generator.integers(_POP, _PUSH + 2, size=(num_examples, length))
        strings_Bn = np.where(np.arange(length) < given_B1, bits_Bn, actions_Bn)
        rows_B, sizes_B = np.arange(num_examples), np.zeros(num_examples, dtype=np.int64)
        stacks_Bn = np.zeros((num_examples, length + 1), dtype=np.int64)
        for token_B in strings_Bn.T:
            pops_B = token_B == _POP
            # what a pop writes is above the top, where nothing is read before it is written again
            stacks_Bn[rows_B, sizes_B] = np.where(token_B >= _PUSH, token_B - _PUSH, token_B)
            sizes_B = np.where(pops_B, np.maximum(sizes_B - 1, 0), sizes_B + 1)
        place_M = np.arange(length + 1)
        below_BM = sizes_B[:, None] - 1 - place_M
        answers_BM = np.take_along_axis(stacks_Bn, np.maximum(below_BM, 0), axis=1)
        answers_BM = np.where(below_BM == -1, _END, answers_BM)
        return strings_Bn, np.where(below_BM < -1, IGNORE, answers_BM)

    def answer_probabilities(self, length: int) -> np.ndarray:
        """A bit is a 0 as often as a 1; the size of what is left is a random walk."""
        left_S = np.zeros(length + 1)
        for given in range(1, max(2, length)):
            size_S = np.zeros(length + 1)
            size_S[given] = 1 / max(1, length - 1)
            for _ in range(length - given):
                popped_S = np.append(size_S[1:], 0.0)
                popped_S[0] += size_S[0]
                size_S = popped_S / 3 + np.insert(size_S[:-1], 0, 0.0) * 2 / 3
            left_S += size_S
        longer_S = left_S[::-1].cumsum()[::-1] - left_S  # than each size
        return np.stack([longer_S / 2, longer_S / 2, left_S], axis=1)
