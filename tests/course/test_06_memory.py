"""Answers to the exercises of the course's lesson on memory."""

from math import comb

import numpy as np


def test_1_two_hops_by_hand() -> None:
    """m of a sentence holds whom or what it is about, c what it tells: the first hop turns "lamp"
    into "anna", the second "anna" into a place. One hop stops at the person."""
    words = ["anna", "boris", "lamp", "map", "attic", "cellar"]
    of = dict(zip(words, np.eye(6), strict=True))
    story = [
        ("boris", "attic"),
        ("map", "boris"),
        ("anna", "cellar"),
        ("lamp", "anna"),
    ]  # about, tells
    m = 10 * np.array([of[about] for about, _ in story])
    c = np.array([of[tells] for _, tells in story])

    def answer(asked: str, hops: int) -> str:
        u = of[asked]
        for _ in range(hops):
            scores = np.exp(m @ u)
            u = scores / scores.sum() @ c  # without u +: what was asked is done with
        return words[int(u.argmax())]

    assert answer("anna", 1) == "cellar"
    assert answer("boris", 1) == "attic"
    assert answer("lamp", 1) == "anna"  # one look finds who has it, and no place
    assert answer("lamp", 2) == "cellar"
    assert answer("map", 2) == "attic"


def test_2_a_stack_of_bits_in_one_number() -> None:
    """Halves are exact in a float, as long as the significand has room: 53 bits. With one more, the
    first that was pushed is rounded away, unless it is 0."""

    def push(h: float, bit: int) -> float:
        return (h + bit) / 2

    def pop(h: float) -> tuple[float, int]:
        bit = int(h >= 0.5)
        return 2 * h - bit, bit

    def comes_back(bits: list[int]) -> bool:
        h = 0.0
        for bit in bits:
            h = push(h, bit)
        found = []
        for _ in bits:
            h, bit = pop(h)
            found.append(bit)
        return found == bits[::-1]

    draw = np.random.default_rng(0)
    assert all(comes_back(draw.integers(2, size=53).tolist()) for _ in range(200))
    assert np.finfo(np.float64).nmant + 1 == 53
    assert not comes_back([1] + [0] * 52 + [1])  # the 54th


def test_3_blunt_shares_smear() -> None:
    """The value sinks k times in nine pushes and rises k times in nine pops, each binomial:
    0.9 times the sum over k of both chances together, less than a third of it."""

    def moved(stack: np.ndarray, value: float, push: float, pop: float) -> np.ndarray:
        down, up = np.r_[value, stack[:-1]], np.r_[stack[1:], 0.0]
        return push * down + pop * up + (1 - push - pop) * stack

    def back_on_top(share: float) -> float:
        stack = moved(np.zeros(32), 1.0, share, 0.0)
        for _ in range(9):
            stack = moved(stack, 0.0, share, 0.0)
        for _ in range(9):
            stack = moved(stack, 0.0, 0.0, share)
        return float(stack[0])

    for share in (0.9, 0.99, 1.0):
        chances = [comb(9, k) * share**k * (1 - share) ** (9 - k) for k in range(10)]
        assert abs(back_on_top(share) - share * sum(c * c for c in chances)) < 1e-12
    assert back_on_top(0.9) < 1 / 3 < 0.8 < back_on_top(0.99) < back_on_top(1.0) == 1.0
