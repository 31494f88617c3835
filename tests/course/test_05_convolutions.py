"""Answers to the exercises of the course's lesson on convolutions."""

import itertools
from collections import deque
from math import comb

import numpy as np


def test_1_paths_from_each_distance() -> None:
    """A layer of two taps is the polynomial 1 + z^gap; a stack is their product, whose coefficient
    of z^n counts the paths from n positions back."""

    def paths(gaps: tuple[int, ...]) -> list[int]:
        found = np.array([1])
        for gap in gaps:
            layer = np.zeros(gap + 1, dtype=int)
            layer[[0, gap]] = 1
            found = np.convolve(found, layer)
        return found.tolist()

    assert paths((1, 2, 4, 8)) == [1] * 16  # the binary digits of the distance are the path
    plain = paths((1,) * 15)
    assert plain == [comb(15, n) for n in range(16)]  # as many layers as it takes to reach as far
    assert sum(plain[4:12]) > 0.9 * sum(plain)  # half of the distances have nearly all paths


def test_2_a_queue_for_each_layer() -> None:
    """Layers of two taps, gaps 1, 2, 4, 8: the naive loop reads the whole reach for each sample."""
    draw = np.random.default_rng(0)
    gaps, samples = (1, 2, 4, 8), draw.normal(size=40)
    weights = draw.normal(size=(len(gaps), 2))
    products = {"naive": 0, "queue": 0}

    def whole(x: list[float]) -> float:
        for gap, (now, before) in zip(gaps, weights, strict=True):
            x = [
                float(np.tanh(now * x[t] + before * (x[t - gap] if t >= gap else 0.0)))
                for t in range(len(x))
            ]
            products["naive"] += 2 * len(x)
        return x[-1]

    queues = [deque([0.0] * gap, maxlen=gap) for gap in gaps]

    def step(x: float) -> float:
        for queue, (now, before) in zip(queues, weights, strict=True):
            old = queue[0]
            queue.append(x)
            x = float(np.tanh(now * x + before * old))
            products["queue"] += 2
        return x

    reach = sum(gaps)
    written = [step(x) for x in samples.tolist()]
    for t in range(reach, len(samples)):
        assert abs(whole(samples[t - reach : t + 1].tolist()) - written[t]) < 1e-12
    assert products["queue"] == 2 * len(gaps) * len(samples)
    assert products["naive"] == 2 * len(gaps) * (reach + 1) * (len(samples) - reach)
    assert sum(len(queue) for queue in queues) == reach  # what writing keeps is the reach


def test_3_three_taps_without_holes() -> None:
    """A distance is a number whose digits are taps: base three has a digit for each of three."""

    def seen(gaps: tuple[int, ...]) -> set[int]:
        return {sum(one) for one in itertools.product(*((0, g, 2 * g) for g in gaps))}

    assert seen((1, 3, 9, 27)) == set(range(81))
    holes = set(range(171)) - seen((1, 4, 16, 64))

    def digits(n: int) -> set[int]:
        return {n // 4**k % 4 for k in range(4)}

    assert holes == {n for n in range(171) if 3 in digits(n)}
    # 3^4 sums cannot be more than 81 distances, so that no gaps of four layers do better
    complete = (1, 3, 9, 27)
    for last in range(1, 60):
        if last != complete[-1]:
            found = seen((*complete[:-1], last))
            assert not set(range(81)) <= found
