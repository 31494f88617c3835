"""CTC: its forms against enumeration and against torch, and the search against all transcripts."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from seqarena.ops.ctc import ctc, positions_needed
from seqarena.ops.ctc.reference import spelled
from seqarena.ops.ctc_search import best_path, prefix_beam

FORMS = ("enumerate", "forward_backward", "library")
# transcripts with what is hard about them; V is 4, symbols are 1 to 3
CASES = {
    "one symbol": ([2], 5),
    "repeats": ([1, 1, 2], 5),
    "just fits": ([1, 1, 1], 5),
    "no blank fits": ([1, 2, 3, 1], 4),
    "empty": ([], 4),
    "one position": ([3], 1),
    "empty, one position": ([], 1),
}


def as_batch(names: list[str], seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random logits in float64 and those cases as the rows of one batch, padded with nonsense."""
    draw = torch.Generator().manual_seed(seed)
    rows = [CASES[name] for name in names]
    longest = max(len(symbols) for symbols, _ in rows)
    targets_BU = torch.full((len(rows), longest + 1), -100)
    for row_U, (symbols, _) in zip(targets_BU, rows):
        row_U[: len(symbols)] = torch.tensor(symbols, dtype=torch.int64)
    logits_BTV = torch.randn(len(rows), 6, 4, generator=draw, dtype=torch.float64)
    lengths_B = torch.tensor([length for _, length in rows])
    return logits_BTV, targets_BU, lengths_B, torch.tensor([len(symbols) for symbols, _ in rows])


def gradient(loss_B: Tensor, logits_BTV: Tensor) -> Tensor:
    weights_B = torch.arange(1.0, len(loss_B) + 1, dtype=torch.float64)
    (found,) = torch.autograd.grad((loss_B * weights_B).sum(), logits_BTV)
    return found


@pytest.mark.parametrize("form", FORMS[1:])
def test_every_form_is_the_sum_over_all_paths(form: str) -> None:
    logits_BTV, *rest = as_batch(list(CASES))
    logits_BTV.requires_grad_()
    truth_B = ctc(logits_BTV, *rest, algorithm="enumerate")
    found_B = ctc(logits_BTV, *rest, algorithm=form)
    torch.testing.assert_close(found_B, truth_B, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        gradient(found_B, logits_BTV), gradient(truth_B, logits_BTV), rtol=1e-10, atol=1e-12
    )


def test_the_probabilities_of_all_transcripts_sum_to_one() -> None:
    logits_TV = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    total = 0.0
    for size in range(5):
        for symbols in itertools.product((1, 2), repeat=size):
            targets_1U = torch.tensor([symbols], dtype=torch.int64).reshape(1, size)
            loss_1 = ctc(
                logits_TV[None], targets_1U, torch.tensor([4]), torch.tensor([size]),
                algorithm="forward_backward",
            )  # fmt: skip
            total += math.exp(-float(loss_1))
    assert total == pytest.approx(1.0, abs=1e-12)


def test_long_rows_equal_torch() -> None:
    draw = torch.Generator().manual_seed(5)
    logits_BTV = torch.randn(3, 120, 30, generator=draw, dtype=torch.float64).requires_grad_()
    targets_BU = torch.randint(1, 30, (3, 25), generator=draw)
    lengths_B, counts_B = torch.tensor([120, 61, 90]), torch.tensor([25, 25, 0])
    found_B = ctc(logits_BTV, targets_BU, lengths_B, counts_B, algorithm="forward_backward")
    expected_B = torch.nn.CTCLoss(reduction="none")(
        logits_BTV.log_softmax(-1).transpose(0, 1), targets_BU, lengths_B, counts_B
    )
    torch.testing.assert_close(found_B, expected_B, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(
        gradient(found_B, logits_BTV), gradient(expected_B, logits_BTV), rtol=1e-9, atol=1e-11
    )


@pytest.mark.parametrize("form", FORMS)
def test_what_does_not_fit_is_infinite_and_without_gradient(form: str) -> None:
    logits_BTV = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    targets_BU = torch.tensor([[1, 1, 0], [2, 2, 2]])
    assert positions_needed(targets_BU).tolist() == [3, 5]
    loss_B = ctc(logits_BTV, targets_BU, torch.tensor([3, 3]), torch.tensor([2, 3]), algorithm=form)
    assert torch.isfinite(loss_B).tolist() == [True, False]
    (found,) = torch.autograd.grad(loss_B[torch.isfinite(loss_B)].sum(), logits_BTV)
    assert torch.isfinite(found).all()
    assert found[0].abs().sum() > 0
    assert found[1].abs().sum() == 0


@pytest.mark.parametrize("form", FORMS[1:])
def test_autocast_sums_in_float32(form: str) -> None:
    logits_BTV, *rest = as_batch(list(CASES))
    logits_BTV = logits_BTV.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found_B = ctc(logits_BTV, *rest, algorithm=form)
    assert found_B.dtype == torch.float32
    expected_B = ctc(logits_BTV.double(), *rest, algorithm="enumerate")
    torch.testing.assert_close(found_B.double(), expected_B, rtol=1e-5, atol=1e-5)


def test_auto_is_a_form_that_was_measured() -> None:
    assert ctc.resolve("auto", "cpu", torch.float32) == "library"


def log_probs(seed: int, length: int, size: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    logits_TV = 2 * draw.standard_normal((length, size))
    return logits_TV - np.log(np.exp(logits_TV).sum(1, keepdims=True))


@pytest.mark.parametrize("seed", range(6))
def test_a_wide_beam_finds_the_likeliest_transcript(seed: int) -> None:
    log_probs_TV = log_probs(seed, 5, 3)
    by_transcript: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(3), repeat=5):
        symbols = tuple(spelled(path))
        p = math.exp(sum(log_probs_TV[t, symbol] for t, symbol in enumerate(path)))
        by_transcript[symbols] = by_transcript.get(symbols, 0.0) + p
    best = max(by_transcript, key=lambda symbols: by_transcript[symbols])
    found = prefix_beam(log_probs_TV, width=1000)
    assert found.symbols == best
    assert math.exp(found.log_p) == pytest.approx(by_transcript[best], rel=1e-12)
    assert prefix_beam(log_probs_TV, width=3).log_p <= found.log_p + 1e-12


def test_the_beam_sums_paths_where_the_best_path_does_not() -> None:
    # Graves 2006, figure 2: at both positions a blank is the likeliest, and yet "a" is
    log_probs_TV = np.log(np.array([[0.6, 0.4], [0.6, 0.4]]))
    assert best_path(log_probs_TV).symbols == ()
    assert math.exp(best_path(log_probs_TV).log_p) == pytest.approx(0.36)
    found = prefix_beam(log_probs_TV, width=2)
    assert found.symbols == (1,)
    assert math.exp(found.log_p) == pytest.approx(0.64)


def test_the_best_path_is_spelled() -> None:
    path = (0, 1, 1, 0, 1, 2, 2, 0)
    log_probs_TV = np.log(np.full((8, 3), 0.1) + 0.7 * np.eye(3)[list(path)])
    assert best_path(log_probs_TV).symbols == (1, 1, 2) == tuple(spelled(path))
    assert prefix_beam(log_probs_TV, width=4).symbols == (1, 1, 2)
    assert best_path(np.zeros((0, 3))).symbols == () == prefix_beam(np.zeros((0, 3)), 2).symbols
