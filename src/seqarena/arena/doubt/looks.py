"""Looks: how many seeds have run when a comparison is judged, and what each look may spend.

A comparison that is judged again after more seeds has more than one chance to be wrong. The error
of 5 % is shared among the looks (alpha spending, Lan and DeMets 1983) so that the sum over all of
them stays at 5 %, which holds whatever the looks have in common and however many follow (Bonferroni
over looks, as in the confidence sequences of Darling and Robbins 1967). The first look, at the
seeds of all, spends a fifth: it stops a comparison only where the winner is plain. Each later one
spends half of what is left, the last one all of it:

    3 and 5 seeds (default)         .2 .8
    until decided, 3 5 8 12 18 ...  .2 .4 .2 .1 .05 ...

The numbers of seeds are fixed beforehand and grow by a half from look to look, so that looks are
few. A boundary of group-sequential tests would spend a little less; it wants normal scores and
known variances, and three seeds have neither.
"""

import math
from collections.abc import Sequence

from seqarena.arena.requests import SearchRequest

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
MOST_SEEDS = 64  # of an architecture, until it is decided
_GROWTH = 1.5
_FIRST_SHARE = 0.2


def seed_counts(search: SearchRequest) -> tuple[int, ...]:
    """The number of seeds at each look: first of all architectures, then of those that tie."""
    counts = [search.num_seeds]
    if search.further_seeds:
        counts.append(search.num_seeds + len(search.further_seeds))
    while search.until_decided and (more := math.ceil(_GROWTH * counts[-1])) <= MOST_SEEDS:
        counts.append(more)
    return tuple(counts)


def share_spent(counts: Sequence[int], seeds: int, *, endless: bool) -> float:
    """The share of the error that is spent at the look after so many `seeds`. `endless`: more looks
    may follow the last of `counts`, so that none spends all that is left."""
    look = next((k for k, count in enumerate(counts) if count >= seeds), len(counts) - 1)
    if look == 0:
        return _FIRST_SHARE if len(counts) > 1 or endless else 1.0
    left = (1 - _FIRST_SHARE) / 2 ** (look - 1)
    return left if look == len(counts) - 1 and not endless else left / 2
