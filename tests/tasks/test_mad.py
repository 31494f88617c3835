"""MAD: each task's answers by a slow scan, its fixed training set, compression's single vector."""

import collections

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.tasks import build_task, parse_task
from seqarena.tasks.base import IGNORE
from seqarena.tasks.probes.mad.task import MADTask

SKILLS = {
    "recall": {"length": 32},
    "noisy_recall": {"length": 32},
    "fuzzy_recall": {"length": 48},
    "selective_copying": {"length": 32, "num_symbols": 5},
    "compression": {"length": 8},
    "memorization": {"length": 16, "vocab_size": 16},
}


def task_of(skill, **settings) -> MADTask:
    fields = {"training_examples": 230, "evaluation_examples": 40, **SKILLS[skill], **settings}
    task = build_task(parse_task({"kind": "mad", "skill": skill, **fields}))
    assert isinstance(task, MADTask)
    return task


def evaluation_of(task):
    return [*task.evaluation_batches("test", 16), *task.evaluation_batches("validation", 16)]


def rows_of(batches):
    for batch in batches:
        yield from zip(batch.inputs_BT.tolist(), batch.targets_BT.tolist())


def training_of(task, epochs=1):
    return [task.training_batch(index, 23, seed=3) for index in range(10 * epochs)]


@pytest.mark.parametrize("skill", ["recall", "noisy_recall"])
def test_a_value_is_asked_where_its_key_was_shown(skill):
    task = task_of(skill, noise=0.5)
    noise = 16 if skill == "noisy_recall" else task.vocab_size
    half = min(noise, task.vocab_size) // 2
    noisy = 0
    for inputs, targets in rows_of(evaluation_of(task)):
        known = {}
        assert targets[-1] != IGNORE
        for place in range(0, len(inputs) - 1, 2):
            key, value = inputs[place], inputs[place + 1]
            if key >= noise:
                noisy += 1
                assert value >= noise
                assert targets[place : place + 2] == [IGNORE, IGNORE]
                continue
            assert key < half <= value < noise
            assert targets[place] == (value if key in known else IGNORE)
            assert known.setdefault(key, value) == value
            assert targets[place + 1] == IGNORE
        assert targets[-1] == known[inputs[-1]]
    assert (noisy > 0) == (skill == "noisy_recall")


def test_fuzzy_keys_are_three_long_where_they_are_scored():
    task = task_of("fuzzy_recall")
    padding, half = 15, 7
    for inputs, targets in rows_of(evaluation_of(task)):
        tokens = [token for token in inputs if token != padding]
        answers = targets[len(inputs) - len(tokens) :]
        known, place, final = {}, 0, False
        while place < len(tokens):
            key = tuple(tokens[place : place + 3])
            assert max(key) < half
            end = place + 3
            while end < len(tokens) and tokens[end] >= half:
                end += 1
            value = tuple(tokens[place + 3 : end])
            asked = answers[place + 2 : end - 1] if end < len(tokens) else answers[place + 2 :]
            final = end == len(tokens)
            if final:  # the last token of the value is a target alone
                assert tuple(asked) == known[key]
                assert known[key][: len(value)] == value
            elif key in known:
                assert known[key] == value == tuple(asked)
            else:
                assert asked == [IGNORE] * len(value)
                known[key] = value
            place = end
        assert final


@pytest.mark.parametrize("skill", ["recall", "noisy_recall", "fuzzy_recall"])
def test_recall_trains_on_every_next_token(skill):
    for inputs, targets in rows_of(training_of(task_of(skill))):
        assert targets[:-1] == inputs[1:]


def test_fuzzy_keys_of_training_have_all_lengths():
    sizes = collections.Counter()
    for inputs, _ in rows_of(training_of(task_of("fuzzy_recall"))):
        run = 0
        for token in inputs:
            if token < 7:
                run += 1
            else:
                sizes[run] += run > 0
                run = 0
    assert set(sizes) - {0} == {1, 2, 3}


def test_selective_copying_repeats_what_is_not_blank():
    task = task_of("selective_copying")
    for inputs, targets in rows_of([*evaluation_of(task), *training_of(task)]):
        stretch, mark, rest = inputs[:26], inputs[26], inputs[27:]
        assert (mark, rest) == (15, [14] * 5)
        assert targets[27:] == [token for token in stretch if token != 14]
        assert targets[:27] == [IGNORE] * 27


def test_memorization_has_one_map():
    task, known = task_of("memorization"), {}
    for inputs, targets in rows_of([*training_of(task), *evaluation_of(task)]):
        assert inputs[1::2] == [15] * 8
        assert targets[0::2] == [IGNORE] * 8
        for key, value in zip(inputs[0::2], targets[1::2]):
            assert known.setdefault(key, value) == value
    assert sorted(known) == list(range(7))
    assert len(set(known.values())) == 7


@pytest.mark.parametrize("skill", SKILLS)
def test_an_epoch_visits_every_training_example_once(skill):
    task = task_of(skill)
    assert task.steps_per_epoch(23) == 10
    first, second = (
        [inputs for inputs, _ in rows_of(batches)]
        for batches in (training_of(task), training_of(task, epochs=2)[10:])
    )
    assert first != second
    assert sorted(first) == sorted(second) == sorted(task.training_examples[0].tolist())
    again = task_of(skill).training_batch(4, 23, seed=3)
    assert torch.equal(again.inputs_BT, task.training_batch(4, 23, seed=3).inputs_BT)
    fewer = task_of(skill, training_examples=120).training_examples[0]
    assert np.array_equal(fewer, task.training_examples[0][:120])


def test_compression_answers_everything_from_one_vector():
    task = task_of("compression")
    assert (task.problem.form, task.problem.num_outputs) == ("label", 8 * 16)
    batch = task.training_batch(0, 6, seed=0)
    assert torch.equal(batch.inputs_BT, batch.targets_BT)
    assert set(batch.inputs_BT[:, -1].tolist()) == {15}
    logits = 20.0 * torch.nn.functional.one_hot(batch.targets_BT, 16).float().view(6, 1, -1)
    assert float(task.loss(logits, batch)) < 1e-6
    assert task.ratios(logits, batch).numerators_B.tolist() == [8.0] * 6
    assert float(task.loss(-logits, batch)) > 1


@pytest.mark.parametrize("skill", SKILLS)
def test_baselines_score_every_skill(skill):
    task = task_of(skill)
    for baseline in task.baselines():
        assert 0 < baseline.result(task).test.value < 0.7


def test_mistakes():
    with pytest.raises(UserError, match="skill"):
        build_task(parse_task({"kind": "mad", "skill": "juggling"}))
    with pytest.raises(UserError, match="even number of at least 12"):
        task_of("selective_copying", length=10)
    with pytest.raises(UserError, match="at least 8"):
        task_of("recall", vocab_size=4)
