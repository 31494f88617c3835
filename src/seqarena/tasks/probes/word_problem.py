"""The word problem of a group: the product so far of a sequence of its elements.

Merrill et al. 2024, "The Illusion of State in State-Space Models", arXiv:2404.08819, section 5;
asked beyond the trained length as in Siems et al. 2025, "DeltaProduct", arXiv:2502.10297.

    inputs    start  x_1  x_2        ..  x_n
    targets   -      x_1  x_2 x_1    ..  x_n .. x_2 x_1

Elements are uniform, so every product is too. A product is the permutation that does its right
factor first. Who follows it keeps one of |G| states; S3 and A4 are solvable, A5 and S5 are not, and
their word problem is as hard as any that a recurrent network of finite state can do (NC1).

    B  examples    n  length    T = n + 1  positions    G  elements    P  points that are permuted
"""

import itertools

import numpy as np

from seqarena.tasks.base import IGNORE
from seqarena.tasks.probes.configs import WordProblemConfig
from seqarena.tasks.probes.length_probe import LengthProbeTask


class WordProblemTask(LengthProbeTask):
    """Tokens: the elements 0 .. |G| - 1, then the start."""

    name = "word_problem"
    config: WordProblemConfig

    def __init__(self, config: WordProblemConfig) -> None:
        super().__init__(config)
        self.table_GG = multiplication_table(config.group)
        self.num_outputs = len(self.table_GG)
        self.vocab_size = self.num_outputs + 1

    def examples(
        self, generator: np.random.Generator, length: int, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        elements_Bn = generator.integers(self.num_outputs, size=(num_examples, length))
        products_Bn = elements_Bn.copy()
        for t in range(1, length):
            products_Bn[:, t] = self.table_GG[elements_Bn[:, t], products_Bn[:, t - 1]]
        start_B1 = np.full((num_examples, 1), self.num_outputs)
        return np.concatenate((start_B1, elements_Bn), axis=1), products_Bn

    def generate(
        self, generator: np.random.Generator, cell: int, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        inputs_BT, products_Bn = self.examples(generator, cell, num_examples)
        targets_BT = np.full_like(inputs_BT, IGNORE)
        targets_BT[:, 1:] = products_Bn
        return inputs_BT, targets_BT

    def answer_probabilities(self, length: int) -> np.ndarray:
        """Uniform, as the elements are."""
        return np.full(self.num_outputs, 1 / self.num_outputs)


def multiplication_table(group: str) -> np.ndarray:
    """int64 [G, G]: entry (a, b) is the number of a b. S or A and the points, as in "s3"."""
    points = range(int(group[1:]))
    elements = [p for p in itertools.permutations(points) if group[0] == "s" or _is_even(p)]
    number = {element: index for index, element in enumerate(elements)}
    return np.array([[number[tuple(a[b[i]] for i in points)] for b in elements] for a in elements])


def _is_even(permutation: tuple[int, ...]) -> bool:
    pairs = itertools.combinations(permutation, 2)
    return sum(first > second for first, second in pairs) % 2 == 0
