"""Buckets: every example once an epoch, near-equal lengths together, a function of the index."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from seqarena.data.buckets import BucketSampler, pad

LENGTHS = np.random.default_rng(0).integers(1, 60, size=500)


def epoch(sampler: BucketSampler, number: int, *, seed: int = 0) -> list[np.ndarray]:
    count = sampler.batches_per_epoch(16)
    return [sampler.batch(number * count + k, 16, seed=seed) for k in range(count)]


def test_an_epoch_shows_every_example_once() -> None:
    sampler = BucketSampler(LENGTHS)
    for number in range(3):
        seen = np.concatenate(epoch(sampler, number))
        np.testing.assert_array_equal(np.sort(seen), np.arange(500))


def test_a_batch_is_a_function_of_its_index() -> None:
    late, early = BucketSampler(LENGTHS), BucketSampler(LENGTHS)
    for _ in range(100):
        early.batch(0, 16, seed=3)
    np.testing.assert_array_equal(late.batch(97, 16, seed=3), early.batch(97, 16, seed=3))
    assert not np.array_equal(np.concatenate(epoch(late, 0)), np.concatenate(epoch(late, 1)))
    assert not np.array_equal(
        np.concatenate(epoch(late, 0)), np.concatenate(epoch(late, 0, seed=1))
    )


def test_little_of_a_batch_is_padding() -> None:
    sampler = BucketSampler(LENGTHS)
    held = [LENGTHS[batch].max() * len(batch) for batch in epoch(sampler, 0)]
    assert LENGTHS.sum() / sum(held) > 0.85
    # about as many positions in each, whatever the length; a jittered order may go a little over
    assert max(held) < 1.35 * 16 * sampler.mean_length


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 200), min_size=1, max_size=60), st.integers(1, 9))
def test_any_lengths_make_whole_epochs(lengths: list[int], batch_size: int) -> None:
    sampler = BucketSampler(np.array(lengths))
    count = sampler.batches_per_epoch(batch_size)
    batches = [sampler.batch(k, batch_size, seed=0) for k in range(count)]
    assert all(len(batch) for batch in batches)
    np.testing.assert_array_equal(np.sort(np.concatenate(batches)), np.arange(len(lengths)))


def test_pad() -> None:
    rows, mask = pad([np.array([5, 6]), np.array([7])], value=9)
    assert rows.tolist() == [[5, 6], [7, 9]]
    assert mask.tolist() == [[True, True], [True, False]]
