"""Parity and modular arithmetic: a small state that every symbol may change.

Deletang et al. 2022, "Neural Networks and the Chomsky Hierarchy": both are regular, so that a
network of finite state can do them at any length, and what is asked is whether training on short
strings (up to 40) finds that state. Both follow length_probe.py.

    parity               1 0 1 1 ?              ->  1     whether the ones are odd in number
    modular arithmetic   3 - 2 * 4 ?            ->  0     digits below M, value modulo M
                         - 2 * 4 + 1 ?          ->  3

An expression alternates between digits and operators, each uniform; a product binds before a sum,
and there are no brackets. Of an even length it begins with a sign (the paper shortens it by one).

    B  examples    n  length    M  modulo
"""

from functools import lru_cache

import numpy as np

from seqarena.tasks.probes.configs import ModularArithmeticConfig, ParityConfig
from seqarena.tasks.probes.length_probe import LengthProbeTask

_PLUS, _MINUS, _TIMES, _QUESTION = 0, 1, 2, 3  # behind the M digits


class ParityTask(LengthProbeTask):
    """Tokens: 0, 1 and the question 2."""

    name = "parity"

    def __init__(self, config: ParityConfig) -> None:
        super().__init__(config)
        self.num_outputs, self.vocab_size = 2, 3

    def examples(
        self, generator: np.random.Generator, length: int, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        bits_Bn = generator.integers(2, size=(num_examples, length))
        return _asked(bits_Bn, question=2), bits_Bn.sum(1) % 2

    def answer_probabilities(self, length: int) -> np.ndarray:
        """Even and odd are equally likely."""
        return np.array([0.5, 0.5])


class ModularArithmeticTask(LengthProbeTask):
    """Tokens: the digits 0 .. M - 1, then plus, minus, times and the question."""

    name = "modular_arithmetic"
    config: ModularArithmeticConfig

    def __init__(self, config: ModularArithmeticConfig) -> None:
        super().__init__(config)
        self.num_outputs, self.vocab_size = config.modulo, config.modulo + 4

    def examples(
        self, generator: np.random.Generator, length: int, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        modulo = self.config.modulo
        signed = 1 - length % 2  # 1: the first token is a sign
        num_digits = (length + 1) // 2
        digits = generator.integers(modulo, size=(num_examples, num_digits))
        operators = generator.integers(3, size=(num_examples, num_digits - 1 + signed))
        if signed:
            operators[:, 0] = generator.integers(2, size=num_examples)
        tokens_Bn = np.empty((num_examples, length), dtype=np.int64)
        tokens_Bn[:, signed::2] = digits
        tokens_Bn[:, 1 - signed :: 2] = modulo + operators
        if not signed:
            operators = np.insert(operators, 0, _PLUS, axis=1)
        return _asked(tokens_Bn, question=modulo + _QUESTION), _values(digits, operators, modulo)

    def answer_probabilities(self, length: int) -> np.ndarray:
        """Not uniform: a product is 0 as soon as one of its factors is."""
        return value_probabilities((length + 1) // 2, self.config.modulo)


def _asked(tokens_Bn: np.ndarray, question: int) -> np.ndarray:
    return np.concatenate([tokens_Bn, np.full((len(tokens_Bn), 1), question)], axis=1)


def _values(digits: np.ndarray, operators: np.ndarray, modulo: int) -> np.ndarray:
    """Digits [B, K] and the operator ahead of each [B, K] -> values [B].

    `sums` holds the terms that are closed, `term` the product that may still grow.
    """
    sums, term = np.zeros((2, len(digits)), dtype=np.int64)
    for digit, operator in zip(digits.T, operators.T):
        grows = operator == _TIMES
        sums = np.where(grows, sums, sums + term)
        term = np.where(grows, term * digit, np.where(operator == _MINUS, -digit, digit)) % modulo
    return (sums + term) % modulo


@lru_cache(maxsize=256)
def value_probabilities(num_digits: int, modulo: int) -> np.ndarray:
    """The distribution of the value of an expression of so many uniform digits, exactly: [M].

    The pair (closed sum, open term) is a Markov chain: with probability 1/3 the term is multiplied
    by a fresh digit, with 2/3 it joins the sum and a fresh digit of either sign takes its place.
    """
    joint = np.zeros((modulo, modulo))  # [sum, term]
    joint[0] = 1 / modulo
    for _ in range(num_digits - 1):
        following = np.zeros_like(joint)
        for term in range(modulo):
            following += 2 / 3 / modulo * np.roll(joint[:, term], term)[:, None]
            for digit in range(modulo):
                following[:, term * digit % modulo] += joint[:, term] / 3 / modulo
        joint = following
    return sum(np.roll(joint[:, term], term) for term in range(modulo))  # pyright: ignore
