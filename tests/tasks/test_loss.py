"""The loss of a task: cross-entropy of classes, squared error of numbers, over what is asked."""

import math

import pytest
import torch

from seqarena.core.batch import IGNORE, Batch
from seqarena.core.errors import UserError
from seqarena.tasks.base import mean_loss


def batch(targets: torch.Tensor) -> Batch:
    return Batch(torch.zeros(targets.shape[:2], dtype=torch.int64), targets)


def test_numbers_have_the_mean_squared_error_of_those_that_are_asked() -> None:
    outputs = torch.tensor([[[1.0, 2.0], [3.0, 9.0]]], requires_grad=True)
    targets = torch.tensor([[[0.0, 4.0], [6.0, torch.nan]]])
    loss = mean_loss(outputs, batch(targets))
    assert float(loss.detach()) == pytest.approx((1 + 4 + 9) / 3)
    loss.backward()
    assert outputs.grad is not None
    assert outputs.grad[0, 1].tolist() == [-2.0, 0.0]  # what is not asked pulls nowhere


def test_one_number_a_position_needs_no_axis_of_its_own() -> None:
    outputs = torch.tensor([[[1.0], [2.0]]])
    assert float(mean_loss(outputs, batch(torch.tensor([[1.0, 4.0]])))) == 2.0


def test_classes_have_the_mean_cross_entropy_of_those_that_are_asked() -> None:
    outputs = torch.tensor([[[0.0, math.log(3.0)], [5.0, -5.0]]])
    assert float(mean_loss(outputs, batch(torch.tensor([[1, IGNORE]])))) == pytest.approx(
        -math.log(0.75)
    )


def test_numbers_cannot_be_smoothed() -> None:
    with pytest.raises(UserError, match="leave label smoothing at 0"):
        mean_loss(torch.zeros(1, 1, 1), batch(torch.zeros(1, 1)), label_smoothing=0.1)
