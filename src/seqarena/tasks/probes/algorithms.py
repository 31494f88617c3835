"""Algorithms on binary numbers, learned from short ones and tested on long ones.

The tasks of Kaiser & Sutskever 2016 ("Neural GPUs Learn Algorithms"). Numbers are written with
the least significant digit first; the answer stands at the positions of the question, from the
first on, and what it leaves free is to be called blank. For N bits:

    addition         a_1 .. a_N + b_1 .. b_N  ->  N + 1 digits    "Long addition"
    multiplication   a_1 .. a_N * b_1 .. b_N  ->  2 N digits      "Long multiplication"
    sorting          a_1 .. a_N               ->  N digits, zeros first ("counting by sorting")
    reversal         a_1 .. a_N               ->  N digits
    copying          a_1 .. a_N               ->  N digits

Both numbers have N digits and the answer always as many as it can need, zeros in front included.
The papers drop those zeros, so that a model has to find the end of a sum as well.

With operands "aligned", digit i of both numbers stands at position i as one token (Price, Zaremba &
Sutskever 2016, "Extensions and Limitations of the Neural GPU", found that this alone decides what
can be learned); operators fill the rest of the answer's length. A carry still has to travel as far
as there are digits, but nothing has to be brought from the other number first.

A training batch mixes lengths, uniform from 1 bit to a longest that grows from 3 bits in batch 0 to
`max_bits` in batch `growing`, slowly at first, and is padded to the longest row in it. (The papers
lengthen when the model has learned the shorter ones; here a batch follows from its index alone.)
Validation asks for `max_bits` bits alone, so that nothing is ever chosen on longer numbers; the
test split goes through `test_bits`.

The metric is the share of the digits that are right, over all test lengths; blanks count in the
loss and in "whole right", where every position of an answer has to be right.

    B  examples    T  positions    V  answers: blank, 0, 1    N  bits
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor

from seqarena.core.batch import Problem
from seqarena.core.errors import UserError
from seqarena.data.buckets import pad
from seqarena.data.streams import Stream, philox
from seqarena.tasks.base import IGNORE, Answer, Batch, Codec, Ratios, Split
from seqarena.tasks.configs import AlgorithmsConfig
from seqarena.tasks.probes.probe import ProbeTask

BLANK, ZERO, ONE, OPERATOR = 0, 1, 2, 3  # OPERATOR stands between two numbers; no answer has it
PAIR = 4  # the first of the four tokens for two digits at once
FIRST_BITS = 3  # the longest numbers of the first training batch


class AlgorithmsTask(ProbeTask[int]):
    """One algorithm; a cell is a length in bits."""

    name = "algorithms"
    config: AlgorithmsConfig

    def __init__(self, config: AlgorithmsConfig) -> None:
        self.config = config
        self.algorithm = config.problem
        self.aligned = config.operands == "aligned"
        self.max_bits = config.max_bits
        self.cells = config.test_bits
        self.vocab_size = PAIR + 4 if self.aligned else PAIR
        self.sequence_length = self._positions(self.max_bits)
        self.evaluation_examples = config.evaluation_examples

    @property
    def problem(self) -> Problem:
        longest = max(self.max_bits, *self.cells)
        return Problem(
            num_outputs=3,
            vocab_size=self.vocab_size,
            max_length=self._positions(longest),
        )

    def _positions(self, bits: int) -> int:
        return num_positions(self.algorithm, bits, aligned=self.aligned)

    @property
    def mean_length(self) -> float:
        """Positions that a training example fills on average once lengths have grown, padding
        aside."""
        lengths = [self._positions(n) for n in range(1, self.max_bits + 1)]
        return sum(lengths) / len(lengths)

    def longest_bits(self, index: int) -> int:
        """Of training batch number `index`."""
        if index >= self.config.growing:
            return self.max_bits
        first = min(FIRST_BITS, self.max_bits)
        done = (index / self.config.growing) ** 2
        return first + int((self.max_bits - first) * done)

    def training_batch(self, index: int, batch_size: int, *, seed: int) -> Batch:
        generator = philox(seed, Stream.TRAIN, index)
        bits_B = generator.integers(1, self.longest_bits(index) + 1, size=batch_size)
        questions, answers = zip(*(self._example(generator, int(bits)) for bits in bits_B))
        inputs, mask = pad(list(questions), BLANK)
        targets, _ = pad(list(answers), IGNORE)
        return Batch(*(torch.from_numpy(x) for x in (inputs, targets, mask)))

    def cells_of(self, split: Split) -> tuple[int, ...]:
        return (self.max_bits,) if split == "validation" else self.cells

    def generate(
        self, generator: np.random.Generator, cell: int, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        rows = [self._example(generator, cell) for _ in range(num_examples)]
        questions, answers = zip(*rows)
        return np.stack(questions), np.stack(answers)

    def _example(self, generator: np.random.Generator, bits: int) -> tuple[np.ndarray, np.ndarray]:
        """Question and answer, int64 [num_positions] each."""
        a_N = generator.integers(2, size=bits)
        if self.algorithm not in _OF_TWO:
            return ZERO + a_N, ZERO + _OF_ONE[self.algorithm](a_N)
        b_N = generator.integers(2, size=bits)
        question = written(self.algorithm, a_N, b_N, aligned=self.aligned)
        result = _OF_TWO[self.algorithm](to_number(a_N), to_number(b_N))
        answer = np.full_like(question, BLANK)
        length = answer_digits(self.algorithm, bits)
        answer[:length] = ZERO + to_digits(result, length)
        return question, answer

    def ratios(self, logits_BTV: Tensor, batch: Batch) -> Ratios:
        targets_BT = batch.targets_BT.cpu()
        logits_BTV = logits_BTV.cpu()
        right_BT = (logits_BTV.argmax(-1) == targets_BT) & ~logits_BTV.isnan().any(-1)
        right_B = (right_BT & (targets_BT > BLANK)).sum(1).double().numpy()
        asked_B = (targets_BT > BLANK).sum(1).double().numpy()
        whole_B = (right_BT | (targets_BT == IGNORE)).all(1).double().numpy()
        slices: dict[str, tuple[float, float]] = {}
        names = np.array(self.conditions(batch))
        for name in np.unique(names):
            here = names == name
            slices[f"digits right at {name}"] = (right_B[here].sum(), asked_B[here].sum())
            slices[f"whole right at {name}"] = (whole_B[here].sum(), float(here.sum()))
        return Ratios(right_B, asked_B, slices)

    def conditions(self, batch: Batch) -> list[str]:
        positions = {self._positions(bits): bits for bits in (self.max_bits, *self.cells)}
        bits_B = [positions[n] for n in (batch.targets_BT != IGNORE).sum(1).tolist()]
        return [f"{bits} bits" for bits in bits_B]

    def baseline(self) -> dict[str, float]:
        """Of a guesser that knows which positions are blank."""
        share = answer_digits(self.algorithm, self.max_bits) / self.sequence_length
        return {"accuracy": 0.5, "loss_nats": share * math.log(2)}


class AlgorithmsCodec(Codec):
    """1011+110 -> 10001, written as people do; a single row of digits is read from its left."""

    def __init__(self, config: AlgorithmsConfig) -> None:
        self.algorithm = config.problem
        self.aligned = config.operands == "aligned"
        self.sign = {"addition": "+", "multiplication": "*"}.get(self.algorithm)
        self.prompt = f"two binary numbers, 1011{self.sign}110" if self.sign else "binary digits"

    @classmethod
    def from_artifacts(cls, config: AlgorithmsConfig, artifacts: Mapping[str, str]) -> Self:
        return cls(config)

    def encode(self, items: Sequence[str]) -> Batch:
        """Raises UserError for what is not binary digits, or not as many numbers as are asked."""
        inputs, mask = pad([self._question(item) for item in items], BLANK)
        mask_BT = torch.from_numpy(mask)
        return Batch(torch.from_numpy(inputs), torch.full(mask_BT.shape, IGNORE), mask_BT)

    def decode(self, outputs: Tensor, batch: Batch) -> list[Answer]:
        assert batch.mask_BT is not None
        best_BT = outputs.float().log_softmax(-1).max(-1)
        answers = []
        for tokens, sure, real in zip(best_BT.indices, best_BT.values, batch.mask_BT):
            text = "".join("_01"[token] for token in tokens[real].tolist())
            if self.sign:
                if not self.aligned:  # an aligned question is as long as its answer
                    text = text[: answer_digits(self.algorithm, len(text) // 2)]
                text = text[::-1].lstrip("0") or "0"
            answers.append(Answer(text, float(sure[real].sum().exp())))
        return answers

    def _question(self, item: str) -> np.ndarray:
        numbers = ["".join(part.split()) for part in item.split(self.sign)]
        if self.sign is None:
            numbers = ["".join(item.split())]
        if len(numbers) != (2 if self.sign else 1) or any(set(n) - set("01") for n in numbers):
            raise UserError(f"{item!r}: {self.prompt} are needed")
        if not all(numbers):
            raise UserError(f"{item!r}: a number without a digit: {self.prompt} are needed")
        if self.sign is None:
            return np.array([ZERO + int(digit) for digit in numbers[0]])
        length = max(map(len, numbers))
        a_N, b_N = (to_digits(int(number, 2), length) for number in numbers)
        return written(self.algorithm, a_N, b_N, aligned=self.aligned)


def answer_digits(algorithm: str, bits: int) -> int:
    """Digits of the answer, zeros in front included."""
    return {"addition": bits + 1, "multiplication": 2 * bits}.get(algorithm, bits)


def num_positions(algorithm: str, bits: int, *, aligned: bool) -> int:
    """Positions of a question about numbers of that many bits."""
    if algorithm not in _OF_TWO:
        return bits
    return answer_digits(algorithm, bits) if aligned else 2 * bits + 1


def written(algorithm: str, a_N: np.ndarray, b_N: np.ndarray, *, aligned: bool) -> np.ndarray:
    """The question about two numbers, as tokens [num_positions]."""
    if not aligned:
        return np.concatenate((ZERO + a_N, [OPERATOR], ZERO + b_N))
    question = np.full(answer_digits(algorithm, len(a_N)), OPERATOR)
    question[: len(a_N)] = PAIR + 2 * a_N + b_N
    return question


def to_number(digits_N: np.ndarray) -> int:
    """The number with these binary digits, the least significant first.

    >>> to_number(np.array([0, 1, 1]))
    6
    """
    return int("".join(map(str, digits_N[::-1])), 2)


def to_digits(number: int, length: int) -> np.ndarray:
    """Its binary digits, the least significant first.

    >>> to_digits(6, 4).tolist()
    [0, 1, 1, 0]
    """
    return np.array([int(digit) for digit in f"{number:0{length}b}"[::-1]])


_OF_TWO: dict[str, Callable[[int, int], int]] = {
    "addition": lambda a, b: a + b,
    "multiplication": lambda a, b: a * b,
}
_OF_ONE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sorting": np.sort,
    "reversal": lambda a_N: a_N[::-1],
    "copying": lambda a_N: a_N,
}
