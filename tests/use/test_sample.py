"""Sampling against distributions worked out by hand."""

import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.use.sample import Sampling, allowed_probabilities, next_token

PROBABILITIES = torch.tensor([[0.5, 0.25, 0.15, 0.1]])
LOGITS = PROBABILITIES.log()


def allowed(**settings: float) -> list[float]:
    return allowed_probabilities(LOGITS, Sampling(temperature=1.0, **settings))[0].tolist()


def test_no_limits() -> None:
    assert allowed() == pytest.approx([0.5, 0.25, 0.15, 0.1])


def test_top_k() -> None:
    assert allowed(top_k=2) == pytest.approx([2 / 3, 1 / 3, 0.0, 0.0])
    assert allowed(top_k=9) == pytest.approx([0.5, 0.25, 0.15, 0.1])


def test_top_p_keeps_the_token_that_crosses_it() -> None:
    assert allowed(top_p=0.6) == pytest.approx([2 / 3, 1 / 3, 0.0, 0.0])
    assert allowed(top_p=0.01) == pytest.approx([1.0, 0.0, 0.0, 0.0])


def test_both() -> None:
    assert allowed(top_k=3, top_p=0.8) == pytest.approx([2 / 3, 1 / 3, 0.0, 0.0])


def test_temperature_sharpens() -> None:
    cold = allowed_probabilities(LOGITS, Sampling(temperature=0.5))[0]
    assert cold.tolist() == pytest.approx((PROBABILITIES**2 / (PROBABILITIES**2).sum())[0].tolist())


def test_greedy_and_drawn() -> None:
    generator = torch.Generator().manual_seed(0)
    logits_BV = LOGITS.expand(20_000, 4)
    assert next_token(logits_BV, Sampling(temperature=0.0), generator).unique().tolist() == [0]
    drawn = next_token(logits_BV, Sampling(temperature=1.0), generator)
    shares = torch.bincount(drawn, minlength=4) / 20_000
    # three standard deviations of a share of one half over 20,000 draws are 0.011
    assert shares.tolist() == pytest.approx(PROBABILITIES[0].tolist(), abs=0.011)


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1}, {"temperature": float("nan")}, {"temperature": float("inf")},
        {"top_k": 0}, {"top_p": 0}, {"top_p": 1.1}, {"top_p": float("nan")},
    ],
)  # fmt: skip
def test_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError, match="must be"):
        Sampling(**wrong)


@pytest.mark.parametrize("temperature", [1e-6, 1e-38, 1e-40, 1e-300, 5e-324])
@pytest.mark.parametrize("largest", [1.0, 1e-4, 1e30])
def test_a_temperature_near_zero_is_greedy(temperature: float, largest: float) -> None:
    logits_BV = largest * torch.tensor([[3.0, 1.0, -torch.inf, 2.0], [-9.0, -1.0, -2.0, -1.5]])
    drawn = next_token(logits_BV, Sampling(temperature=temperature), torch.Generator())
    assert (
        drawn.tolist() == next_token(logits_BV, Sampling(temperature=0), torch.Generator()).tolist()
    )


def test_a_top_p_below_every_number_keeps_the_likeliest() -> None:
    assert allowed(top_p=1e-300) == [1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("bad", [[1.0, float("nan")], [float("inf"), 1.0], [float("-inf")] * 2])
def test_logits_without_a_likeliest_are_refused(bad: list[float], temperature: float) -> None:
    logits_BV = torch.tensor([[1.0, 2.0], bad])
    with pytest.raises(UserError, match="answers are no numbers"):
        next_token(logits_BV, Sampling(temperature=temperature), torch.Generator())
