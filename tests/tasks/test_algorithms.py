"""Algorithms and running addition: every answer worked out again from the question alone."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.tasks import build_task, parse_task
from seqarena.tasks.base import IGNORE
from seqarena.tasks.configs import AlgorithmsConfig, RunningAdditionConfig
from seqarena.tasks.probes.algorithms import (
    BLANK,
    OPERATOR,
    PAIR,
    AlgorithmsCodec,
    to_digits,
    to_number,
)

PROBLEMS = ("addition", "multiplication", "sorting", "reversal", "copying")


def algorithm(problem, **fields):
    settings = {
        "max_bits": 6,
        "test_bits": (3, 9),
        "evaluation_examples": 20,
        "growing": 0,
    } | fields
    return build_task(AlgorithmsConfig(problem=problem, **settings))


def worked_out(problem, question):
    """The answer to a list of tokens, as a list of as many."""
    if problem in ("addition", "multiplication"):
        middle = question.index(OPERATOR)
        if question[0] >= PAIR:
            parts = [[1 + (token - PAIR) // d % 2 for token in question[:middle]] for d in (2, 1)]
            assert set(question[middle:]) == {OPERATOR}
        else:
            assert len(question) == 2 * middle + 1
            parts = [question[:middle], question[middle + 1 :]]
        a, b = (sum((token - 1) << place for place, token in enumerate(part)) for part in parts)
        length = middle + 1 if problem == "addition" else 2 * middle
        result = a + b if problem == "addition" else a * b
        assert result < 2**length
        digits = [1 + (result >> place) % 2 for place in range(length)]
        return digits + [BLANK] * (len(question) - length)
    zeros = question.count(1)
    return {
        "sorting": [1] * zeros + [2] * (len(question) - zeros),
        "reversal": question[::-1],
        "copying": question,
    }[problem]


def oracle(batch):
    logits_BTV = torch.zeros(*batch.inputs_BT.shape, 3)
    return logits_BTV.scatter(-1, batch.targets_BT.clamp(min=0)[..., None], 1.0)


@pytest.mark.parametrize(
    ("problem", "operands"),
    [*((problem, "in_row") for problem in PROBLEMS), *((p, "aligned") for p in PROBLEMS[:2])],
)
def test_every_answer_is_right(problem, operands):
    task = algorithm(problem, operands=operands)
    lengths = Counter()
    for index in range(20):
        batch = task.training_batch(index, 16, seed=5)
        assert batch.inputs_BT.max() < task.problem.vocab_size
        for question, answer, real in zip(batch.inputs_BT, batch.targets_BT, batch.mask_BT):
            length = int(real.sum())
            assert real[:length].all()
            assert (question[length:] == BLANK).all()
            assert (answer[length:] == IGNORE).all()
            assert answer[:length].tolist() == worked_out(problem, question[:length].tolist())
            lengths[length] += 1
    wanted = {
        "in_row": range(1, 7) if problem in PROBLEMS[2:] else range(3, 14, 2),
        "aligned": range(2, 8) if problem == "addition" else range(2, 13, 2),
    }[operands]
    assert set(lengths) == set(wanted)  # every length, none beyond
    mean = sum(length * count for length, count in lengths.items()) / lengths.total()
    assert mean == pytest.approx(task.mean_length, rel=0.1)
    for batch in task.evaluation_batches("test", 7):
        for question, answer in zip(batch.inputs_BT.tolist(), batch.targets_BT.tolist()):
            assert answer == worked_out(problem, question)


def test_lengths_grow_with_the_batch_number():
    task = algorithm("copying", growing=6)
    assert [task.longest_bits(index) for index in range(8)] == [3, 3, 3, 3, 4, 5, 6, 6]
    for index in (0, 3, 9):
        batch = task.training_batch(index, 64, seed=0)
        assert batch.inputs_BT.shape[1] == task.longest_bits(index)
    assert algorithm("copying", growing=6, max_bits=2).longest_bits(0) == 2


def test_digits_and_numbers():
    for number in (0, 1, 5, 2**70 + 3):
        assert to_number(to_digits(number, 80)) == number


def test_batches_follow_from_seed_and_index():
    task = algorithm("addition")
    first, again, other = (task.training_batch(i, 8, seed=1) for i in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first[:3], again[:3]))
    assert first.inputs_BT.shape != other.inputs_BT.shape or not torch.equal(
        first.inputs_BT, other.inputs_BT
    )


def test_the_metric_counts_digits_and_the_slices_whole_answers():
    task = algorithm("addition")
    assert task.evaluate(oracle, "test", 8).value == 1.0

    def last_digit_wrong(batch):
        """The last digit wrong in the first half of each row's batch, and one blank besides."""
        logits = oracle(batch)
        length = (batch.inputs_BT.shape[1] + 1) // 2
        rows = slice(0, len(logits) // 2)
        logits[rows, length - 1] = 1.0 - logits[rows, length - 1]
        logits[rows, length - 1, BLANK] = 2.0
        logits[len(logits) // 2, -1, 1] = 5.0  # a blank called zero in one more row
        return logits

    scores = task.evaluate(last_digit_wrong, "test", 20)
    assert scores.slices == pytest.approx(
        {
            "digits right at 3 bits": 1 - 0.5 / 4,
            "digits right at 9 bits": 1 - 0.5 / 10,
            "whole right at 3 bits": 9 / 20,
            "whole right at 9 bits": 9 / 20,
        }
    )
    assert scores.value == pytest.approx(1 - 20 / (20 * 4 + 20 * 10))


def test_logits_that_are_not_numbers_are_wrong():
    task = algorithm("copying")
    found = task.evaluate(lambda batch: oracle(batch) * float("nan"), "test", 8)
    assert found.value == 0.0


def test_nothing_is_chosen_on_long_numbers():
    task = algorithm("addition")
    shapes = {batch.inputs_BT.shape[1] for batch in task.evaluation_batches("validation", 7)}
    assert shapes == {2 * 6 + 1}
    assert task.num_evaluation_examples("validation") == 20
    assert task.num_evaluation_examples("test") == 40
    assert task.problem.max_length == 2 * 9 + 1


def test_guessing_scores_a_half():
    task = algorithm("multiplication", evaluation_examples=200)
    draw = torch.Generator().manual_seed(0)

    def guess(batch):
        logits = torch.rand(*batch.inputs_BT.shape, 3, generator=draw)
        logits[..., BLANK] = -1.0
        return logits

    assert task.evaluate(guess, "test", 50).value == pytest.approx(
        task.baseline()["accuracy"], abs=0.02
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"problem": "division"}, "problem = 'division'"),
        ({"test_bits": [0, 5]}, "at least 1 bit"),
        ({"test_bits": [5, 5]}, "twice"),
        ({"max_bits": 0}, "max_bits = 0"),
    ],
)
def test_bad_settings_of_algorithms(fields, words):
    with pytest.raises(UserError, match=words):
        parse_task({"kind": "algorithms", **fields})


@pytest.mark.parametrize(
    ("problem", "items", "answers"),
    [
        ("addition", ["1011 + 110", "1+1", "0+0"], ["10001", "10", "0"]),
        ("multiplication", ["1011*110", "1*1"], ["1000010", "1"]),
        ("sorting", ["0110"], ["0011"]),
        ("reversal", ["110", "01"], ["011", "10"]),
    ],
)
@pytest.mark.parametrize("operands", ["in_row", "aligned"])
def test_a_users_numbers(problem, items, answers, operands):
    codec = AlgorithmsCodec(AlgorithmsConfig(problem=problem, operands=operands))
    batch = codec.encode(items)
    targets_BT = torch.zeros_like(batch.inputs_BT)
    for row, real in enumerate(batch.mask_BT):
        question = batch.inputs_BT[row, real].tolist()
        targets_BT[row, real] = torch.tensor(worked_out(problem, question))
    logits_BTV = 50.0 * torch.nn.functional.one_hot(targets_BT, 3)
    found = codec.decode(logits_BTV, batch)
    assert [answer.text for answer in found] == answers
    assert [answer.confidence for answer in found] == pytest.approx([1.0] * len(items))


@pytest.mark.parametrize("item", ["1+1+1", "12+1", "101", "1+", ""])
def test_numbers_that_cannot_be_read(item):
    with pytest.raises(UserError, match=r"two binary numbers, 1011\+110 are needed"):
        AlgorithmsCodec(AlgorithmsConfig()).encode([item])


def running(**fields):
    settings = {"train_lengths": (4, 7), "test_lengths": (4, 20), "evaluation_examples": 6}
    return build_task(RunningAdditionConfig(**settings | fields))


def test_running_sums_are_right_in_every_split():
    task = running()
    shapes = []
    for batch in (
        *(task.training_batch(index, 3, seed=2) for index in range(4)),
        *task.evaluation_batches("validation", 4),
        *task.evaluation_batches("test", 6),
    ):
        shapes.append(batch.inputs_BT.shape[1])
        for numbers, sums in zip(batch.inputs_BT.tolist(), batch.targets_BT.tolist()):
            assert 0 <= min(numbers) <= max(numbers) <= 9
            assert sums[0] == numbers[0] % 10
            assert all(
                after == (before + number) % 10
                for (before, after), number in zip(pairwise(sums), numbers[1:])
            )
    assert shapes == [4, 7, 4, 7, 7, 7, 4, 20]
    assert task.problem.causal
    assert task.problem.max_length == 20


def test_slices_by_position_say_where_the_sum_is_lost():
    task = running(modulo=100)

    def right_for_eight(batch):
        logits = torch.nn.functional.one_hot(batch.targets_BT, 100).float()
        logits[:, 8:] = logits[:, 8:].roll(1, -1)
        return logits

    scores = task.evaluate(right_for_eight, "test", 6)
    assert scores.slices == {
        "position 1-4": 1.0,
        "position 5-16": 4 / 12,
        "position 17-64": 0.0,
        "all right of 4 numbers": 1.0,
        "all right of 20 numbers": 0.0,
    }
    assert scores.value == pytest.approx((4 + 8) / (4 + 20))
    assert len(scores.chunk_values) == 12
    assert np.isfinite(scores.chunk_values).all()


def test_bad_settings_of_running_addition():
    with pytest.raises(UserError, match="test_lengths"):
        parse_task({"kind": "running_addition", "test_lengths": []})
    with pytest.raises(UserError, match="modulo = 1"):
        parse_task({"kind": "running_addition", "modulo": 1})
