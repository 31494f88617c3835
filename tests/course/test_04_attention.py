"""Answers to the exercises of the course's lesson on attention."""

from collections import defaultdict

import numpy as np
import torch


def test_1_attention_knows_no_order() -> None:
    """The mean is of a set: shuffled, it stays the same, and the weights move with their vectors.
    A reader that is recurrent, or a vector for each position, puts the order into the vectors."""
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(4, generator=generator, dtype=torch.float64)
    a = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    order = torch.randperm(6, generator=generator)
    assert order.tolist() != list(range(6))

    def attend(memory: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        weights = torch.softmax(memory @ h, 0)
        return weights, weights @ memory

    weights, context = attend(a)
    moved, same = attend(a[order])
    torch.testing.assert_close(same, context)
    torch.testing.assert_close(moved, weights[order])

    # with a vector for each position in the keys, "the place behind the third" can be looked at
    places = 10 * torch.eye(6, dtype=torch.float64)
    behind_third = torch.softmax(places @ torch.roll(places[2], 1) / 10, 0)
    assert int(behind_third.argmax()) == 3

    reader = torch.nn.GRU(4, 4, batch_first=True).double()
    forwards, shuffled = reader(a[None])[0][0], reader(a[order][None])[0][0]
    assert not torch.allclose(attend(forwards)[1], attend(shuffled)[1])


def test_2_digits_in_one_float() -> None:
    """As many as keep strings farther apart than floats just below 1 are: 15 and 7."""

    def all_come_back(kind: type[np.floating], digits: int) -> bool:
        """Whether each of the largest strings of so many digits comes back from its float."""
        strings = 10**digits - np.arange(1, 20_001)
        stored = (strings / 10.0**digits).astype(kind).astype(np.longdouble)
        return bool((np.rint(stored * np.longdouble(10) ** digits) == strings).all())

    for kind, most in ((np.float64, 15), (np.float32, 7)):
        spacing = float(np.finfo(kind).epsneg)
        assert 10.0**-most > spacing > 10.0 ** -(most + 1)
        assert all_come_back(kind, most)
        assert not all_come_back(kind, most + 1)


def test_3_the_first_alignment_model() -> None:
    """Counting finds that "das" is "the", since it alone occurs where "the" does; "ein" is then
    left for "a"."""
    pairs = [("das Haus", "the house"), ("das Buch", "the book"), ("ein Buch", "a book")]
    sentences = [(german.split(), english.split()) for german, english in pairs]
    even = 1 / len({word for _, english in sentences for word in english})
    t: dict[tuple[str, str], float] = defaultdict(lambda: even)
    for _ in range(20):
        counts: dict[tuple[str, str], float] = defaultdict(float)
        for german, english in sentences:
            for e in english:
                whole = sum(t[e, f] for f in german)
                for f in german:
                    counts[e, f] += t[e, f] / whole
        sums: dict[str, float] = defaultdict(float)
        for (_, f), count in counts.items():
            sums[f] += count
        t = defaultdict(float, {(e, f): count / sums[f] for (e, f), count in counts.items()})
    words = {word for german, _ in sentences for word in german}
    found = {f: max((e for e, g in t if g == f), key=lambda e: t[e, f]) for f in words}
    assert found == {"das": "the", "Haus": "house", "Buch": "book", "ein": "a"}
    assert t["the", "das"] > 0.9 > even
