"""The chain against all of its paths written out, and against another implementation."""

import itertools

import numpy as np
import pytest
import torch
import torchcrf
from torch import Tensor

from seqarena.ops.crf import CRFWeights, log_partition, max_marginals, sentence_score

LENGTHS = [5, 1, 3, 4]
TAGS = 3


def drawn(seed: int, tags: int = TAGS) -> tuple[Tensor, CRFWeights, Tensor]:
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return 2 * torch.randn(*shape, generator=draw, dtype=torch.float64)

    weights = CRFWeights(normal(tags), normal(tags), normal(tags, tags))
    return normal(len(LENGTHS), max(LENGTHS), tags), weights, torch.tensor(LENGTHS)


def every_path(emissions_TK: np.ndarray, weights: CRFWeights) -> dict[tuple[int, ...], float]:
    """The score of each tag sequence, from the definition."""
    start, end, transitions = (np.asarray(part) for part in weights)
    length, tags = emissions_TK.shape
    scores = {}
    for path in itertools.product(range(tags), repeat=length):
        score = start[path[0]] + end[path[-1]]
        score += sum(emissions_TK[t, k] for t, k in enumerate(path))
        score += sum(transitions[j, k] for j, k in itertools.pairwise(path))
        scores[path] = float(score)
    return scores


@pytest.mark.parametrize("seed", range(4))
def test_all_paths_written_out(seed: int) -> None:
    emissions, weights, lengths = drawn(seed)
    whole = log_partition(emissions, weights, lengths)
    marginals = max_marginals(emissions, weights, lengths)
    for row, length in enumerate(LENGTHS):
        scores = every_path(emissions[row, :length].numpy(), weights)
        expected = np.logaddexp.reduce(list(scores.values()))
        assert float(whole[row]) == pytest.approx(expected, rel=1e-12)
        for t, k in itertools.product(range(length), range(TAGS)):
            best = max(score for path, score in scores.items() if path[t] == k)
            assert float(marginals[row, t, k]) == pytest.approx(best, rel=1e-12)
        found = tuple(marginals[row, :length].argmax(-1).tolist())
        assert found == max(scores, key=scores.__getitem__)


def test_the_score_of_given_tags_is_that_of_their_path() -> None:
    emissions, weights, lengths = drawn(7)
    tags = torch.randint(TAGS, emissions.shape[:2], generator=torch.Generator().manual_seed(1))
    found = sentence_score(emissions, tags, weights, lengths)
    for row, length in enumerate(LENGTHS):
        scores = every_path(emissions[row, :length].numpy(), weights)
        expected = scores[tuple(tags[row, :length].tolist())]
        assert float(found[row]) == pytest.approx(expected, rel=1e-12)


def test_another_implementation_agrees_in_loss_gradients_and_best_paths() -> None:
    emissions, weights, lengths = drawn(3, tags=6)
    tags = torch.randint(6, emissions.shape[:2], generator=torch.Generator().manual_seed(2))
    mask = torch.arange(max(LENGTHS)) < lengths[:, None]
    theirs = torchcrf.CRF(6, batch_first=True).double()
    with torch.no_grad():
        theirs.start_transitions.copy_(weights.start_K)
        theirs.end_transitions.copy_(weights.end_K)
        theirs.transitions.copy_(weights.transitions_JK)
    leaves = [emissions, *weights]
    for leaf in leaves:
        leaf.requires_grad_()

    expected = -theirs(emissions, tags, mask=mask, reduction="none")
    found = log_partition(emissions, weights, lengths)
    found = found - sentence_score(emissions, tags, weights, lengths)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)

    (emission_gradient,) = torch.autograd.grad(expected.sum(), emissions, retain_graph=True)
    weight_gradients = torch.autograd.grad(expected.sum(), list(theirs.parameters()))
    for mine, other in zip(
        torch.autograd.grad(found.sum(), leaves), (emission_gradient, *weight_gradients)
    ):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)

    with torch.no_grad():
        best = max_marginals(emissions, weights, lengths).argmax(-1)
        for row, path in enumerate(theirs.decode(emissions, mask)):
            assert best[row, : LENGTHS[row]].tolist() == path


def test_the_gradient_by_the_emissions_is_a_distribution_at_each_position() -> None:
    emissions, weights, lengths = drawn(5)
    emissions.requires_grad_()
    (gradient,) = torch.autograd.grad(log_partition(emissions, weights, lengths).sum(), emissions)
    real = torch.arange(max(LENGTHS)) < lengths[:, None]
    torch.testing.assert_close(gradient.sum(-1), real.double())
    assert (gradient >= 0).all()


def test_the_largest_max_marginal_is_the_same_at_every_position() -> None:
    emissions, weights, lengths = drawn(6)
    best = max_marginals(emissions, weights, lengths).amax(-1)
    for row, length in enumerate(LENGTHS):
        torch.testing.assert_close(best[row, :length], best[row, :1].expand(length))


def test_padding_and_lengths_left_out() -> None:
    emissions, weights, _ = drawn(8)
    full = torch.full((len(LENGTHS),), max(LENGTHS))
    tags = torch.zeros(emissions.shape[:2], dtype=torch.int64)
    for function in (log_partition, max_marginals):
        torch.testing.assert_close(
            function(emissions, weights), function(emissions, weights, full), rtol=0, atol=0
        )
    empty = torch.zeros(len(LENGTHS), dtype=torch.int64)
    assert not log_partition(emissions, weights, empty).any()
    assert not sentence_score(emissions, tags, weights, empty).any()


def test_impossible_tags_leave_finite_gradients() -> None:
    """Minus infinity in the emissions forbids a tag: the partition is that of the other paths."""
    emissions, weights, lengths = drawn(9)
    blocked = torch.zeros(emissions.shape, dtype=torch.bool)
    blocked[:, 0, 1:] = True  # the first tag is 0
    emissions.requires_grad_()
    partition = log_partition(emissions.masked_fill(blocked, -torch.inf), weights, lengths)
    scores = every_path(emissions[0].detach().numpy(), weights)
    expected = np.logaddexp.reduce([s for path, s in scores.items() if path[0] == 0])
    assert float(partition[0].detach()) == pytest.approx(expected, rel=1e-12)
    (gradient,) = torch.autograd.grad(partition.sum(), emissions)
    assert torch.isfinite(gradient).all()
    assert not gradient[blocked].any()
