"""The time steps that state spaces begin with: log-uniform, so that memories differ in length."""

import math
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from seqarena.core.errors import UserError
from seqarena.mixers.base import MixerConfig


class TimeStepConfig(MixerConfig):
    """Abstract: the range of the steps. Raises UserError for one that is empty."""

    time_step_min: float = Field(default=0.001, gt=0)
    time_step_max: float = Field(default=0.1, gt=0)

    @model_validator(mode="after")
    def _range_is_in_order(self) -> Self:
        if self.time_step_min > self.time_step_max:
            raise UserError(
                f"time_step_min {self.time_step_min:g} is above time_step_max "
                f"{self.time_step_max:g}: swap them"
            )
        return self

    def draw_log_steps(self, count: int) -> Tensor:
        """The logarithms of so many steps."""
        low, high = math.log(self.time_step_min), math.log(self.time_step_max)
        return low + (high - low) * torch.rand(count)


def softplus_inverse(x: Tensor) -> Tensor:
    """What softplus makes x of; x > 0."""
    return x + torch.log(-torch.expm1(-x))
