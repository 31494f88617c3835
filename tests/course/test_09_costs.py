"""Answers to the exercises of the course's lesson on costs."""

import numpy as np

import seqarena as sa


def test_1_softmax_in_constant_memory() -> None:
    """When a larger score comes, all earlier weights were too large by the same factor, that of
    exp(old maximum - new maximum): one number corrects the sum, and the weighted sum as well."""
    draw = np.random.default_rng(0)
    query, keys, values = (
        draw.normal(size=8),
        draw.normal(size=(1000, 8)),
        draw.normal(size=(1000, 3)),
    )
    keys[700] *= 50  # a score that makes all before it small

    most, total, weighted = -np.inf, 0.0, np.zeros(3)
    for block in range(0, 1000, 64):
        scores = keys[block : block + 64] @ query
        larger = max(most, scores.max())
        weights, correction = np.exp(scores - larger), np.exp(most - larger)
        total = correction * total + weights.sum()
        weighted = correction * weighted + weights @ values[block : block + 64]
        most = larger

    scores = keys @ query
    softmax = np.exp(scores - scores.max())
    softmax /= softmax.sum()
    np.testing.assert_allclose(weighted / total, softmax @ values, rtol=1e-12)


def test_2_what_a_cache_saves() -> None:
    """With a cache the token t asks t keys: n (n + 1) / 2 scores. Without it all t tokens ask
    again, t (t + 1) / 2 scores at t: n (n + 1) (n + 2) / 6 in all. The ratio is (n + 2) / 3."""

    def scores(n: int, cache: bool) -> int:
        count = 0
        for t in range(1, n + 1):
            asking = [t] if cache else range(1, t + 1)
            count += sum(asking)  # a causal query at position q asks q keys
        return count

    for n in (1, 2, 10, 300):
        assert scores(n, cache=True) == n * (n + 1) // 2
        assert scores(n, cache=False) == n * (n + 1) * (n + 2) // 6
        assert 3 * scores(n, cache=False) == (n + 2) * scores(n, cache=True)


def test_3_when_a_cache_outgrows_a_matrix() -> None:
    """The cache has 2 D numbers a token. The state has H matrices of (D / H) by (D / H), and D
    sums of keys for the divisor: D^2 / H + D. They are equal at D / (2 H) + 1/2 tokens."""
    for width, heads in ((64, 4), (128, 4), (128, 8)):
        options = {"num_heads": heads}
        size = {"vocab_size": 4, "width": width, "depth": 1, "options": options}
        cache, matrix = sa.build("attention", **size), sa.build("linear_attention", **size)
        equal = width / (2 * heads) + 0.5
        below, above = int(equal), int(equal) + 1
        assert cache.state_bytes(below) <= matrix.state_bytes(below)
        assert cache.state_bytes(above) > matrix.state_bytes(above)
