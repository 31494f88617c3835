"""The order of training windows: pure, complete, fresh in each epoch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqarena.core.errors import UserError
from seqarena.data.batches import (
    WindowSampler,
    count_evaluation_windows,
    spread,
    windows_at,
)
from seqarena.data.streams import Stream, philox


@given(st.integers(2, 400), st.integers(1, 40), st.integers(0, 3), st.integers(0, 5))
def test_an_epoch_visits_every_window_once_and_no_token_twice(num_tokens, length, seed, epoch):
    if num_tokens <= length:
        return
    starts = WindowSampler(np.arange(num_tokens), length).window_starts(seed, epoch)
    ordered = np.sort(starts)
    assert (np.diff(ordered) == length).all()
    assert ordered[0] >= 0
    assert ordered[-1] + length < num_tokens
    # fewer than 2 T tokens are left out, at both ends together
    assert num_tokens - 1 - len(starts) * length < 2 * length


def test_batches_are_pure_functions_in_any_order():
    tokens = np.arange(1_000, dtype=np.uint16)
    in_order = WindowSampler(tokens, 7)
    expected = [in_order.batch(index, 5, seed=3) for index in range(90)]  # three epochs
    for index in np.random.default_rng(0).permutation(90):
        fresh = WindowSampler(tokens, 7).batch(int(index), 5, seed=3)
        again = in_order.batch(int(index), 5, seed=3)
        np.testing.assert_array_equal(fresh, expected[index])
        np.testing.assert_array_equal(again, expected[index])


@pytest.mark.parametrize("batch_size", [1, 5, 64, 500])
def test_batches_walk_through_the_epochs_whatever_their_size(batch_size):
    sampler = WindowSampler(np.arange(1_000), 7)
    epochs = np.concatenate([sampler.window_starts(1, epoch) for epoch in range(5)])
    num_batches = len(epochs) // batch_size
    seen = np.concatenate([sampler.batch(i, batch_size, seed=1)[:, 0] for i in range(num_batches)])
    np.testing.assert_array_equal(seen, epochs[: len(seen)])


def test_windows_are_the_tokens_with_targets_one_further():
    tokens = np.arange(500, dtype=np.uint16)
    batch = WindowSampler(tokens, 10).batch(4, 3, seed=0)
    assert batch.shape == (3, 11)
    assert batch.dtype == np.int64
    assert (np.diff(batch, axis=1) == 1).all()


def test_epochs_and_seeds_differ_in_phase_and_order():
    sampler = WindowSampler(np.arange(5_000), 16)
    phases = {int(sampler.window_starts(0, epoch).min()) for epoch in range(200)}
    assert phases == set(range(16))
    orders = [sampler.window_starts(0, epoch).argsort().tolist() for epoch in range(3)]
    assert sorted(orders[0]) not in orders
    assert orders[0] != orders[1] != orders[2]
    assert sampler.window_starts(0, 0).tolist() != sampler.window_starts(0, 1).tolist()
    assert sampler.window_starts(0, 0).tolist() != sampler.window_starts(1, 0).tolist()


def test_evaluation_windows_cover_all_but_a_partial_last_one():
    tokens = np.arange(103)
    count = count_evaluation_windows(len(tokens), 10)
    windows = windows_at(tokens, 10 * np.arange(count), 10)
    assert windows[:, 1:].ravel().tolist() == list(range(1, 101))
    assert count_evaluation_windows(10, 10) == 0
    assert count_evaluation_windows(11, 10) == 1


@given(st.integers(1, 1_000), st.integers(1, 1_000))
def test_spread_is_even(total, limit):
    chosen = spread(total, limit)
    assert len(chosen) == min(total, limit)
    assert chosen[0] == 0
    assert chosen[-1] < total
    steps = np.diff(np.append(chosen, total))
    assert steps.max() - steps.min() <= 1


def test_streams_never_share_a_number():
    drawn = [
        philox(seed, stream, index).integers(2**63, size=200)
        for seed in (0, 1, 2**64 - 1)
        for stream in Stream
        for index in (0, 1, 2**40)
    ]
    assert len(np.unique(np.concatenate(drawn))) == 200 * len(drawn)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_bad_seed(seed):
    with pytest.raises(UserError, match="it must be at least 0"):
        philox(seed, Stream.TRAIN, 0)
