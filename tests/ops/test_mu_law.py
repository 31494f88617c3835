"""mu-law: levels survive the round trip, and the curve is the standard's."""

import math

import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.ops.mu_law import mu_law_decode, mu_law_encode


@pytest.mark.parametrize("levels", [2, 16, 255, 256])
def test_every_level_comes_back(levels: int) -> None:
    every = torch.arange(levels)
    samples = mu_law_decode(every, levels)
    torch.testing.assert_close(samples[[0, -1]], torch.tensor([-1.0, 1.0]))
    assert (samples.diff() > 0).all()
    torch.testing.assert_close(mu_law_encode(samples, levels), every)


def test_encoding_is_the_formula_and_fine_near_zero() -> None:
    x = -0.03
    companded = -math.log(1 + 255 * 0.03) / math.log(256)
    expected = math.floor((companded + 1) / 2 * 255 + 0.5)
    assert int(mu_law_encode(torch.tensor(x))) == expected
    # half a level on the companded scale is at most this far at x (derivative of the inverse)
    samples = torch.linspace(-1, 1, 4001, dtype=torch.float64)
    error = (mu_law_decode(mu_law_encode(samples)) - samples).abs()
    bound = (1 + 255 * samples.abs()) * math.log(256) / 255 / 255
    assert (error <= 1.02 * bound).all()
    assert error[1995:2006].max() < 0.02 * error.max()


def test_samples_beyond_full_scale_are_told() -> None:
    with pytest.raises(UserError, match="between -1 and 1"):
        mu_law_encode(torch.tensor([0.5, -300.0]))
    with pytest.raises(UserError, match="between -1 and 1"):
        mu_law_encode(torch.tensor([math.nan]))
    with pytest.raises(UserError, match="at least 2 levels"):
        mu_law_decode(torch.tensor([0]), levels=1)
