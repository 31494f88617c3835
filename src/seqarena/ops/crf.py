"""Linear-chain conditional random field (Lafferty et al. 2001): a tag depends on its neighbours.

    s(y) = start[y_1] + sum_t e_t[y_t] + sum_t A[y_t, y_{t+1}] + end[y_T]
    p(y) = exp s(y) / Z,    Z = sum over all tag sequences of exp s

The emissions e come from a network; start, end and A are learned. Everything below walks along time
once: sums of exponentials give log Z (the forward algorithm), maxima give the best sequence.

    max-marginal  m_t[k] = max of s(y) over the sequences with y_t = k

is the best prefix that ends in k plus the best suffix behind it. Its largest entry is the best
score of all at every t, so that the argmax at each position spells the Viterbi sequence wherever
that is unique.

Letters: K tags, J and K the tags before and after. Rows are right-padded: row b has `lengths_B[b]`
real positions (None: all are), and what comes after them changes nothing.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class CRFWeights(NamedTuple):
    """What a tag scores as the first, as the last, and behind another."""

    start_K: Tensor
    end_K: Tensor
    transitions_JK: Tensor


def log_partition(
    emissions_BTK: Tensor, weights: CRFWeights, lengths_B: Tensor | None = None
) -> Tensor:
    """log Z of each row, in nats [B]; 0 for a row without real positions. Its gradient by the
    emissions is the probability of each tag at each position."""
    *_, last_BK = _prefixes(emissions_BTK, weights, lengths_B, torch.logsumexp)
    total_B = torch.logsumexp(last_BK + weights.end_K, 1)
    return total_B if lengths_B is None else total_B.masked_fill(lengths_B == 0, 0.0)


def sentence_score(
    emissions_BTK: Tensor, tags_BT: Tensor, weights: CRFWeights, lengths_B: Tensor | None = None
) -> Tensor:
    """s(y) of the given tags, [B]; 0 for a row without real positions. Beyond a row's end any tag
    in [0, K) is allowed."""
    length = emissions_BTK.shape[1]
    if lengths_B is None:
        lengths_B = torch.full_like(tags_BT[:, 0], length)
    steps_T = torch.arange(length, device=tags_BT.device)
    real_BT = steps_T < lengths_B[:, None]
    emitted_BT = emissions_BTK.gather(2, tags_BT[..., None])[..., 0]
    moved_BT = weights.transitions_JK[tags_BT[:, :-1], tags_BT[:, 1:]]
    last_B1 = tags_BT.gather(1, (lengths_B - 1).clamp(min=0)[:, None])
    score_B = (
        weights.start_K[tags_BT[:, 0]]
        + emitted_BT.masked_fill(~real_BT, 0.0).sum(1)
        + moved_BT.masked_fill(~real_BT[:, 1:], 0.0).sum(1)
        + weights.end_K[last_B1[:, 0]]
    )
    return score_B.masked_fill(lengths_B == 0, 0.0)


def max_marginals(
    emissions_BTK: Tensor, weights: CRFWeights, lengths_B: Tensor | None = None
) -> Tensor:
    """m_t[k] at every real position, [B, T, K]; behind a row's end the values are free."""
    prefixes = _prefixes(emissions_BTK, weights, lengths_B, torch.amax)
    suffix_BK = weights.end_K.expand_as(prefixes[0])
    suffixes = [suffix_BK]
    for t in range(len(prefixes) - 1, 0, -1):
        behind_BK = emissions_BTK[:, t] + suffix_BK
        longer_BJ = (weights.transitions_JK + behind_BK[:, None, :]).amax(2)
        suffix_BK = _where_real(t, lengths_B, longer_BJ, suffix_BK)
        suffixes.append(suffix_BK)
    return torch.stack(prefixes, 1) + torch.stack(suffixes[::-1], 1)


def _prefixes(
    emissions_BTK: Tensor,
    weights: CRFWeights,
    lengths_B: Tensor | None,
    reduce: Callable[[Tensor, int], Tensor],
) -> list[Tensor]:
    """For each t the score [B, K] of all prefixes that end in k there, sums or maxima; behind a
    row's end, that of its last real position."""
    first_BK, *others = emissions_BTK.unbind(1)  # not e[:, t]: its backward is quadratic in T
    prefix_BK = weights.start_K + first_BK
    prefixes = [prefix_BK]
    for t, emission_BK in enumerate(others, start=1):
        longer_BK = reduce(prefix_BK[:, :, None] + weights.transitions_JK, 1) + emission_BK
        prefix_BK = _where_real(t, lengths_B, longer_BK, prefix_BK)
        prefixes.append(prefix_BK)
    return prefixes


def _where_real(t: int, lengths_B: Tensor | None, new_BK: Tensor, old_BK: Tensor) -> Tensor:
    if lengths_B is None:
        return new_BK
    return torch.where((t < lengths_B)[:, None], new_BK, old_BK)
