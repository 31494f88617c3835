"""n-grams with interpolated modified Kneser-Ney smoothing, by sorting: no loop over tokens.

Chen & Goodman 1998, "An Empirical Study of Smoothing Techniques for Language Modeling", section 3:

    P_n(w | h) = (c(h w) - D(c(h w))) / c(h) + g(h) P_{n-1}(w | h'),    P_0(w) = 1 / V

    h    the n - 1 tokens before w             h'   the same without the oldest of them
    c    at the highest order how often h w occurs; below it how many different tokens h w follows
    D    D_1, D_2, D_3 for counts of 1, 2, 3 and more, from the counts of counts of each order:
         D_i = i - (i + 1) Y N_{i+1} / N_i,  Y = N_1 / (N_1 + 2 N_2)
    g    what the discounts took from h, so that P_n sums to one; 1 where training lacks h

The text's own start counts as one more token that its first n-gram follows. Where fewer than n - 1
tokens are known, at the start of a window, the order is that of what is known, and that order
counts occurrences: its distribution is asked for itself and not as a fallback.

A context is a number: that of its newest j - 1 tokens times V plus the token before them, among
those of its order. Time and memory are those of sorting the training tokens once an order.

    N  training tokens    V  vocabulary    B  windows    T  positions
    C  contexts of an order    G  n-grams of an order
"""

from dataclasses import dataclass

import numpy as np

_USUAL = (0.5, 1.0, 1.5)  # D_1, D_2, D_3 where the counts of counts give none (as KenLM)
_ABSENT = -1


@dataclass(frozen=True)
class _Table:
    """The discounted shares of an order's n-grams, and what is left to lower orders."""

    shares_G: np.ndarray
    left_C: np.ndarray


@dataclass
class _Order:
    """What follows contexts of one length. `context_keys_C` and `gram_keys_G` are sorted."""

    context_keys_C: np.ndarray
    gram_keys_G: np.ndarray
    occurrences: _Table
    continuations: _Table | None  # known once the next order is


class KneserNey:
    """A model of what follows at most `order - 1` tokens. It begins with order 1."""

    def __init__(self, tokens_N: np.ndarray, vocab_size: int) -> None:
        """`tokens_N`: the training text, in order, each below `vocab_size`."""
        self.vocab_size = vocab_size
        self._tokens_N = tokens_N.astype(np.int64)
        self._orders: list[_Order] = []
        self._context_N = np.zeros(len(tokens_N), dtype=np.int64)  # of the highest order
        self._add(np.zeros(1, dtype=np.int64))

    @property
    def order(self) -> int:
        return len(self._orders)

    def raise_order(self) -> bool:
        """Adds one order. False, and nothing is added, where the text is too short for it."""
        known = len(self._orders) - 1  # tokens of a context, until now
        if len(self._tokens_N) < known + 3:
            return False
        older_N = self._tokens_N[: len(self._context_N) - 1]
        keys_N = self._context_N[1:] * self.vocab_size + older_N
        context_keys_C, inverse_N = np.unique(keys_N, return_inverse=True)
        below, first = self._orders[-1], int(self._context_N[0])
        self._context_N = inverse_N.astype(np.int64)
        self._add(context_keys_C)
        below.continuations = self._continuations(below, first, known)
        return True

    def lower_order(self) -> None:
        """Takes the highest order away. Orders can then no longer be added."""
        self._orders.pop()

    def walk(self, inputs_BT: np.ndarray, targets_BT: np.ndarray) -> "Walk":
        """The probabilities of the targets, order by order."""
        return Walk(self, inputs_BT, targets_BT)

    def nats(self, inputs_BT: np.ndarray, targets_BT: np.ndarray) -> np.ndarray:
        """-ln P of each target [B, T], given the inputs of its row up to its own position."""
        walk = self.walk(inputs_BT, targets_BT)
        for _ in range(self.order):
            walk.step()
        return -np.log(walk.probabilities_BT)

    def _add(self, context_keys_C: np.ndarray) -> None:
        words_N = self._tokens_N[len(self._tokens_N) - len(self._context_N) :]
        keys_N = self._context_N * self.vocab_size + words_N
        gram_keys_G, counts_G = np.unique(keys_N, return_counts=True)
        table = _table(gram_keys_G // self.vocab_size, counts_G, len(context_keys_C))
        self._orders.append(_Order(context_keys_C, gram_keys_G, table, None))

    def _continuations(self, below: _Order, first: int, known: int) -> _Table:
        """By the n-grams of the highest order: each is a different token before one of `below`.
        `first` is the context behind the text's first tokens, which nothing precedes."""
        above, size = self._orders[-1], self.vocab_size
        context_G, word_G = np.divmod(above.gram_keys_G, size)
        keys_G = above.context_keys_C[context_G] // size * size + word_G
        keys_G = np.append(keys_G, first * size + self._tokens_N[known])
        places_G = np.searchsorted(below.gram_keys_G, keys_G)
        counts_G = np.bincount(places_G, minlength=len(below.gram_keys_G))
        return _table(below.gram_keys_G // size, counts_G, len(below.context_keys_C))


class Walk:
    """Goes up the orders of a model for fixed targets. `probabilities_BT` are those of the order
    that it has come to, and before the first step the uniform ones."""

    def __init__(self, model: KneserNey, inputs_BT: np.ndarray, targets_BT: np.ndarray) -> None:
        self._model = model
        self._inputs_BT = inputs_BT.astype(np.int64)
        self._targets_BT = targets_BT.astype(np.int64)
        self._length = 0  # of the context, at the next step
        self._context_BT = np.zeros_like(self._targets_BT)
        self._fallback_BT = np.full(targets_BT.shape, 1 / model.vocab_size)
        self.probabilities_BT = self._fallback_BT

    def step(self) -> None:
        """To the next order of the model, which must have it."""
        length, order = self._length, self._model._orders[self._length]
        if length:
            below = self._model._orders[length - 1]
            assert below.continuations is not None
            self._fallback_BT = self._interpolated(below, below.continuations)
            self._context_BT = self._longer(order)
        found_BT = self._interpolated(order, order.occurrences)
        known_T = np.arange(found_BT.shape[1]) + 1 >= length
        self.probabilities_BT = np.where(known_T, found_BT, self.probabilities_BT)
        self._length += 1

    def _longer(self, order: _Order) -> np.ndarray:
        """The number of each context with one token more; absent where training lacks it."""
        older = self._length - 1  # positions back from the newest input
        context_BT = np.full_like(self._context_BT, _ABSENT)
        if older < context_BT.shape[1]:
            shorter_BT = self._context_BT[:, older:]
            tokens_BT = self._inputs_BT[:, : context_BT.shape[1] - older]
            keys_BT = shorter_BT * self._model.vocab_size + tokens_BT
            found_BT = _find(order.context_keys_C, keys_BT)
            context_BT[:, older:] = np.where(shorter_BT == _ABSENT, _ABSENT, found_BT)
        return context_BT

    def _interpolated(self, order: _Order, table: _Table) -> np.ndarray:
        context_BT, fallback_BT = self._context_BT, self._fallback_BT
        keys_BT = context_BT * self._model.vocab_size + self._targets_BT
        gram_BT = _find(order.gram_keys_G, keys_BT)
        share_BT = np.where(gram_BT == _ABSENT, 0.0, table.shares_G[gram_BT])
        met_BT = share_BT + table.left_C[context_BT] * fallback_BT
        return np.where(context_BT == _ABSENT, fallback_BT, met_BT)


def discounts(counts_G: np.ndarray) -> np.ndarray:
    """D for a count of 0, 1, 2, 3 and more: [4]."""
    ones, twos, threes, fours = (int((counts_G == k).sum()) for k in (1, 2, 3, 4))
    found = np.array((0.0, *_USUAL))
    if min(ones, twos, threes, fours):
        share = ones / (ones + 2 * twos)
        ratios = (twos / ones, threes / twos, fours / threes)
        own = [k - (k + 1) * share * ratio for k, ratio in enumerate(ratios, start=1)]
        if all(0 <= one <= k for k, one in enumerate(own, start=1)):
            found[1:] = own
    return found


def _table(context_G: np.ndarray, counts_G: np.ndarray, num_contexts: int) -> _Table:
    taken_G = discounts(counts_G)[np.minimum(counts_G, 3)]
    total_C = np.bincount(context_G, weights=counts_G, minlength=num_contexts)
    left_C = np.bincount(context_G, weights=taken_G, minlength=num_contexts) / total_C
    return _Table((counts_G - taken_G) / total_C[context_G], left_C)


def _find(sorted_K: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The place of each wanted number among sorted ones."""
    places = np.minimum(np.searchsorted(sorted_K, wanted), len(sorted_K) - 1)
    return np.where(sorted_K[places] == wanted, places, _ABSENT)
