"""Copying and recall: every answer checked by a slow scan, every stream apart."""

import math
from collections import Counter

import numpy as np
import pytest
import torch

from seqarena.data.streams import Stream, philox
from seqarena.tasks import CopyingConfig, MQARConfig, build_task
from seqarena.tasks.base import IGNORE
from seqarena.tasks.probes.copying import BLANK, FIRST_SYMBOL, MARKER, distance_ranges
from seqarena.tasks.probes.mqar import draw_distinct

COPYING = CopyingConfig(
    num_symbols=4, alphabet=5, min_distance=2, max_distance=9, evaluation_examples=60
)
MQAR = MQARConfig(vocab_size=64, grid=((32, 4), (32, 8), (48, 4)), evaluation_examples=40)
CONFIGS = {"copying": COPYING, "mqar": MQAR}


def examples(task):
    batches = [task.training_batch(index, 16, seed=index % 3) for index in range(12)]
    batches += [*task.evaluation_batches("validation", 7), *task.evaluation_batches("test", 7)]
    for batch in batches:
        assert batch.inputs_BT.dtype == batch.targets_BT.dtype == torch.int64
        assert batch.inputs_BT.min() >= 0
        assert batch.inputs_BT.max() < task.vocab_size
        yield from zip(batch.inputs_BT.tolist(), batch.targets_BT.tolist())


def oracle(task):
    """Logits that are right everywhere."""

    def predict(batch):
        logits_BTV = torch.zeros(*batch.inputs_BT.shape, task.vocab_size)
        return logits_BTV.scatter(-1, batch.targets_BT.clamp(min=0)[..., None], 1.0)

    return predict


def test_copying_answers_by_a_slow_scan():
    seen = Counter()
    for inputs, targets in examples(build_task(COPYING)):
        assert len(inputs) == 4 + 9 + 1 + 4
        marker = inputs.index(MARKER)
        pattern = inputs[:4]
        assert all(symbol >= FIRST_SYMBOL for symbol in pattern)
        rest = [token for i, token in enumerate(inputs) if i >= 4 and i != marker]
        assert set(rest) == {BLANK}
        expected = [IGNORE] * len(inputs)
        expected[marker + 1 : marker + 5] = pattern
        assert targets == expected
        seen[marker - 4] += 1
    assert set(seen) == set(range(2, 10))


@pytest.mark.parametrize("random_non_queries", [True, False])
def test_mqar_answers_by_a_slow_scan(random_non_queries):
    config = MQAR.model_copy(update={"random_non_queries": random_non_queries})
    shapes = set()
    for inputs, targets in examples(build_task(config)):
        asked = [i for i, target in enumerate(targets) if target != IGNORE]
        pairs = len(asked)
        shapes.add((len(inputs), pairs))
        value_of = dict(zip(inputs[0 : 2 * pairs : 2], inputs[1 : 2 * pairs : 2]))
        assert len(value_of) == len(set(value_of.values())) == pairs
        assert all(1 <= key < 32 <= value < 64 for key, value in value_of.items())
        assert sorted(inputs[i] for i in asked) == sorted(value_of)
        for i in asked:
            assert i >= 2 * pairs
            assert i % 2 == 0
            assert targets[i] == value_of[inputs[i]]
        free = [t for i, t in enumerate(inputs) if i >= 2 * pairs and i not in asked]
        assert free == [] or random_non_queries == any(free)
    assert shapes == set(MQAR.grid)


def test_mqar_free_positions_are_uniform_over_the_vocabulary():
    task = build_task(MQARConfig(vocab_size=64, grid=((64, 1),)))
    batch = task.training_batch(0, 2_000, seed=0)
    free = batch.inputs_BT[:, 2:][batch.targets_BT[:, 2:] == IGNORE].numpy()
    counts = np.bincount(free, minlength=64)
    expected = len(free) / 64
    # chi-squared with 63 degrees of freedom: beyond 120 once in 60,000
    assert ((counts - expected) ** 2 / expected).sum() < 120


def test_mqar_gaps_follow_the_power_law():
    weights = np.arange(1.0, 9.0) ** (0.01 - 1)
    drawn = draw_distinct(philox(0, Stream.TRAIN, 0), weights, 20_000, 3)
    assert all(len(set(row)) == 3 for row in drawn.tolist())
    expected = weights / weights.sum()
    first = np.bincount(drawn[:, 0], minlength=8) / 20_000
    np.testing.assert_allclose(first, expected, atol=5 * math.sqrt(0.25 / 20_000))
    # the second draw given the first: the same weights without what is gone
    given_zero = drawn[drawn[:, 0] == 0][:, 1]
    second = np.bincount(given_zero, minlength=8) / len(given_zero)
    remaining = np.where(np.arange(8) == 0, 0, weights)
    tolerance = 5 * math.sqrt(0.25 / len(given_zero))
    np.testing.assert_allclose(second, remaining / remaining.sum(), atol=tolerance)


def test_draws_equal_the_full_sort():
    weights = np.linspace(1, 30, 2_000)  # too long for a partition to sort by chance
    clocks = philox(3, Stream.TRAIN, 0).exponential(size=(50, 2_000)) / weights
    drawn = draw_distinct(philox(3, Stream.TRAIN, 0), weights, 50, 600)
    np.testing.assert_array_equal(drawn, clocks.argsort(axis=1)[:, :600])


def test_uniform_draws_have_no_favoured_place():
    drawn = draw_distinct(philox(0, Stream.TRAIN, 1), np.ones(10), 20_000, 5)
    for place in range(5):
        counts = np.bincount(drawn[:, place], minlength=10)
        # chi-squared with 9 degrees of freedom: beyond 40 once in 100,000
        assert ((counts - 2_000) ** 2 / 2_000).sum() < 40


@pytest.mark.parametrize("name", CONFIGS)
def test_batches_are_pure_functions(name):
    one, other = build_task(CONFIGS[name]), build_task(CONFIGS[name])
    expected = [one.training_batch(index, 8, seed=1) for index in range(6)]
    for index in (5, 0, 3, 1, 4, 2):
        again = other.training_batch(index, 8, seed=1)
        assert torch.equal(again.inputs_BT, expected[index].inputs_BT)
        assert torch.equal(again.targets_BT, expected[index].targets_BT)
    different = one.training_batch(0, 8, seed=2)
    assert not torch.equal(different.inputs_BT, expected[0].inputs_BT)


@pytest.mark.parametrize("name", CONFIGS)
def test_splits_do_not_meet(name):
    task = build_task(CONFIGS[name])
    rows = {
        split: [
            tuple(row) for b in task.evaluation_batches(split, 9) for row in b.inputs_BT.tolist()
        ]
        for split in ("validation", "test")
    }
    # seed 0 is the one that the evaluation streams use too
    trained = {
        tuple(row)
        for index in range(30)
        for row in task.training_batch(index, 8, seed=0).inputs_BT.tolist()
    }
    assert rows["validation"] != rows["test"]
    if name == "mqar":  # copying has too few patterns at this size for chance never to repeat one
        assert not trained & (set(rows["validation"]) | set(rows["test"]))


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("max_batches", [None, 2])
def test_evaluation_does_not_depend_on_the_batch_size(name, max_batches):
    task = build_task(CONFIGS[name])

    def predict(batch):  # right for the even answers
        return oracle(task)(batch) * (batch.targets_BT % 2 == 0)[..., None]

    one = task.evaluate(predict, "test", 12, max_batches)
    other = task.evaluate(predict, "test", 6, max_batches and 2 * max_batches)
    assert one == other
    assert 0.2 < one.value < 0.8


@pytest.mark.parametrize("name", CONFIGS)
def test_right_wrong_and_broken_logits(name):
    task = build_task(CONFIGS[name])
    right = task.evaluate(oracle(task), "test", 16)
    asked = sum(int((b.targets_BT != IGNORE).sum()) for b in task.evaluation_batches("test", 16))
    assert right.value == 1
    assert right.num_scored == asked
    assert set(right.slices.values()) == set(right.chunk_values) == {1}
    assert task.evaluate(lambda batch: -oracle(task)(batch), "test", 16).value == 0
    # argmax takes a NaN for the greatest: one in the right place must not count as right
    broken = task.evaluate(
        lambda b: oracle(task)(b).masked_fill(oracle(task)(b) > 0, math.nan), "test", 16
    )
    assert broken.value == 0


def test_slices_name_the_condition():
    mqar = build_task(MQAR)
    scores = mqar.evaluate(oracle(mqar), "test", 16)
    assert set(scores.slices) == {f"length {t}, pairs {n}" for t, n in MQAR.grid}
    # wrong at length 48 alone
    half = mqar.evaluate(
        lambda b: oracle(mqar)(b) * (1 if b.inputs_BT.shape[1] == 32 else -1), "test", 16
    )
    assert half.slices["length 48, pairs 4"] == 0
    assert half.slices["length 32, pairs 8"] == 1
    assert half.value == pytest.approx(12 / 16)

    copying = build_task(COPYING)
    names = {f"distance {first}-{last}" for first, last in distance_ranges(2, 9)}
    assert set(copying.evaluate(oracle(copying), "test", 16).slices) == names


def test_copying_slice_holds_exactly_its_distances():
    task = build_task(COPYING)
    batch = task.training_batch(0, 64, seed=0)
    for row, name in zip(batch.inputs_BT.tolist(), task.conditions(batch)):
        first, last = map(int, name.removeprefix("distance ").split("-"))
        assert first <= row.index(MARKER) - 4 <= last


@pytest.mark.parametrize("name", CONFIGS)
def test_memoryless_guesser_has_the_baseline(name):
    task = build_task(CONFIGS[name])
    batches = [task.training_batch(index, 200, seed=0) for index in range(12)]
    answers = torch.cat([b.targets_BT[b.targets_BT != IGNORE] for b in batches])
    counts = torch.bincount(answers, minlength=task.vocab_size).double()
    baseline = task.baseline()
    # the best constant answer, and the entropy of the answers
    assert (counts.max() / counts.sum()).item() == pytest.approx(baseline["accuracy"], rel=0.2)
    frequencies = counts[counts > 0] / counts.sum()
    entropy = -(frequencies * frequencies.log()).sum().item()
    assert entropy == pytest.approx(baseline["loss_nats"], rel=0.01)


def test_distance_ranges_cover_everything_once():
    for low, high in ((0, 0), (1, 3), (1, 100), (7, 1_000)):
        covered = [d for first, last in distance_ranges(low, high) for d in range(first, last + 1)]
        assert covered == list(range(low, high + 1))


@pytest.mark.parametrize("name", CONFIGS)
def test_description_and_digest(name):
    task = build_task(CONFIGS[name])
    assert task.describe()["settings"]["kind"] == name
    assert task.digest() == build_task(CONFIGS[name]).digest()
    changed = CONFIGS[name].model_copy(update={"evaluation_examples": 61})
    assert build_task(changed).digest() != task.digest()
