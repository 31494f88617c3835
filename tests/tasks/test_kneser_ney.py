"""Kneser-Ney by sorting against the formulas with dictionaries, and what must hold of any model."""

import math
from collections import Counter

import numpy as np
import pytest

from seqarena.tasks.baselines.kneser_ney import KneserNey, discounts
from seqarena.tasks.baselines.language import choose_order

TEXTS = {
    "words": "the cat sat on the mat and the dog sat on the cat ",
    "repeats": "abababababcabab",
    "short": "ab",
    "one letter": "aaaaaaaaaa",
}


def tokens_of(text: str) -> tuple[np.ndarray, int]:
    letters = sorted(set(text))
    return np.array([letters.index(letter) for letter in text]), len(letters) + 1  # one is unseen


def random_text(seed: int, length: int = 3000, size: int = 6) -> tuple[np.ndarray, int]:
    """Letters that depend on the two before them."""
    draw = np.random.default_rng(seed)
    weights = draw.dirichlet(np.full(size, 0.3), size=(size, size))
    found = [0, 1]
    for _ in range(length):
        found.append(int(draw.choice(size, p=weights[found[-2], found[-1]])))
    return np.array(found), size + 2


def model_of(tokens_N: np.ndarray, size: int, order: int) -> KneserNey:
    model = KneserNey(tokens_N, size)
    for _ in range(order - 1):
        assert model.raise_order()
    return model


class Slow:
    """The formulas of Chen & Goodman as they are written, over dictionaries."""

    def __init__(self, tokens: list[int], size: int) -> None:
        self.tokens, self.size = tokens, size

    def occurrences(self, order: int) -> Counter[tuple[int, ...]]:
        places = range(len(self.tokens) - order + 1)
        return Counter(tuple(self.tokens[k : k + order]) for k in places)

    def continuations(self, order: int) -> Counter[tuple[int, ...]]:
        """How many different tokens come before each n-gram; the start of the text is one."""
        before: dict[tuple[int, ...], set[int]] = {}
        for k in range(len(self.tokens) - order + 1):
            gram = tuple(self.tokens[k : k + order])
            before.setdefault(gram, set()).add(self.tokens[k - 1] if k else -1)
        return Counter({gram: len(found) for gram, found in before.items()})

    def probability(self, context: tuple[int, ...], word: int, *, top: bool = True) -> float:
        order = len(context) + 1
        counts = self.occurrences(order) if top else self.continuations(order)
        lower = self.probability(context[1:], word, top=False) if context else 1 / self.size
        follows = {gram[-1]: n for gram, n in counts.items() if gram[:-1] == context}
        if not follows:
            return lower
        d = discounts(np.array(list(counts.values())))
        total = sum(follows.values())
        left = sum(d[min(n, 3)] for n in follows.values()) / total
        n = follows.get(word, 0)
        return max(n - d[min(n, 3)], 0) / total + left * lower


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["words", "repeats", "one letter"])
def test_every_probability_is_that_of_the_formulas(name: str, order: int) -> None:
    tokens_N, size = tokens_of(TEXTS[name])
    model, slow = model_of(tokens_N, size, order), Slow(tokens_N.tolist(), size)
    inputs_BT = np.random.default_rng(0).integers(size, size=(40, 5))
    inputs_BT[:10] = np.stack([tokens_N[k % 5 : k % 5 + 5] for k in range(10)])
    targets_BT = np.random.default_rng(1).integers(size, size=inputs_BT.shape)
    targets_BT[:10] = np.stack([tokens_N[k % 5 + 1 : k % 5 + 6] for k in range(10)])
    found_BT = np.exp(-model.nats(inputs_BT, targets_BT))
    for row, (inputs_T, targets_T) in enumerate(zip(inputs_BT.tolist(), targets_BT.tolist())):
        for place, word in enumerate(targets_T):
            context = tuple(inputs_T[max(0, place + 2 - order) : place + 1]) if order > 1 else ()
            wanted = slow.probability(context, word)
            assert found_BT[row, place] == pytest.approx(wanted, rel=1e-12), (row, place)


def test_with_discounts_of_its_own_too() -> None:
    """The short texts have too few counts for them."""
    tokens_N, size = random_text(0, 400, 4)
    model, slow = model_of(tokens_N, size, 4), Slow(tokens_N.tolist(), size)
    assert discounts(np.array(list(slow.occurrences(4).values())))[1] not in (0.5, 0.0)
    inputs_BT, targets_BT = tokens_N[None, 100:120], tokens_N[None, 101:121]
    found_T = np.exp(-model.nats(inputs_BT, targets_BT))[0]
    for place in range(20):
        context = tuple(tokens_N[100 + max(0, place - 2) : 101 + place].tolist())
        wanted = slow.probability(context, int(targets_BT[0, place]))
        assert found_T[place] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("order", [1, 2, 5, 8])
def test_probabilities_of_all_tokens_sum_to_one(order: int) -> None:
    tokens_N, size = random_text(1)
    model = model_of(tokens_N, size, order)
    contexts_BT = np.random.default_rng(2).integers(size, size=(60, 9))  # most are not in the text
    contexts_BT[:30] = np.stack([tokens_N[k : k + 9] for k in range(30)])
    each = [np.exp(-model.nats(contexts_BT, np.full_like(contexts_BT, w))) for w in range(size)]
    assert min(found.min() for found in each) > 0
    np.testing.assert_allclose(sum(each), 1.0, rtol=1e-12)


def test_a_text_bounds_the_order() -> None:
    tokens_N, size = tokens_of(TEXTS["short"])
    model = KneserNey(tokens_N, size)
    assert not model.raise_order()
    assert model.order == 1


def test_the_order_is_that_of_the_source() -> None:
    """Letters that depend on the two before them: a third one is noise."""
    tokens_N, size = random_text(3, 20_000)
    model = KneserNey(tokens_N[:15_000], size)
    held_out = tokens_N[15_000:19_801].reshape(1, -1)
    choose_order(model, held_out[:, :-1], held_out[:, 1:])
    assert model.order == 3
    nats = model.nats(held_out[:, :-1], held_out[:, 1:]).mean()
    lower, higher = (
        model_of(tokens_N[:15_000], size, order).nats(held_out[:, :-1], held_out[:, 1:]).mean()
        for order in (2, 4)
    )
    assert nats < lower
    assert nats < higher


def test_targets_below_zero_are_not_asked() -> None:
    """Where most targets are noise the lowest order is the best, unless they are left out."""
    tokens_N, size = random_text(3, 20_000)
    held_out = tokens_N[15_000:19_801].reshape(1, -1)
    noise_BT = np.random.default_rng(0).integers(size, size=(1, held_out.shape[1] - 1))
    noise_BT[:, ::4] = held_out[:, 1::4]
    orders = []
    for marked in (False, True):
        model = KneserNey(tokens_N[:15_000], size)
        left_out = np.full_like(noise_BT, -1)
        left_out[:, ::4] = noise_BT[:, ::4]
        choose_order(model, held_out[:, :-1], left_out if marked else noise_BT)
        orders.append(model.order)
    assert orders == [1, 3]


def test_discounts_of_the_paper() -> None:
    """N_1 .. N_4 = 8, 4, 2, 1: Y = 1/2, D = 1 - 1/2, 2 - 3/4, 3 - 1."""
    counts = np.repeat([1, 2, 3, 4, 9], [8, 4, 2, 1, 3])
    assert discounts(counts).tolist() == [0, 0.5, 1.25, 2.0]
    assert discounts(np.array([7, 8])).tolist() == [0, 0.5, 1.0, 1.5]
    assert math.isclose(discounts(np.repeat([1, 2, 3, 4], [1, 1, 1, 9]))[3], 1.5)  # below 0
