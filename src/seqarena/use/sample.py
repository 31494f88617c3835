"""Sampling: which token comes next, given the logits.

greedy       temperature 0
temperature  logits / temperature
top-k        the k likeliest tokens alone
top-p        the smallest set of likeliest tokens that holds probability p (Holtzman et al. 2020)
"""

import math
from typing import Self

import torch
from pydantic import model_validator
from torch import Tensor

from seqarena.core.config import Config
from seqarena.core.errors import UserError


class Sampling(Config):
    """How the next token is drawn. top_k and top_p narrow the choice in this order."""

    temperature: float = 0.8
    top_k: int | None = None
    top_p: float | None = None

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        if not 0 <= self.temperature < math.inf:
            raise UserError(f"temperature {self.temperature} must be a number, 0 (greedy) or more")
        if self.top_k is not None and self.top_k < 1:
            raise UserError(f"top-k {self.top_k} must be at least 1")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise UserError(f"top-p {self.top_p} must be above 0 and at most 1")
        return self


def next_token(logits_BV: Tensor, sampling: Sampling, generator: torch.Generator) -> Tensor:
    """One token for each row: [B], int64.

    Raises UserError where a row has no likeliest token: a NaN in it, or no finite number.
    """
    if not logits_BV.amax(dim=-1).isfinite().all():  # the maximum of a row with a NaN is NaN
        raise UserError("the model's answers are no numbers: train it again, at a lower rate")
    if sampling.temperature == 0:
        return logits_BV.argmax(dim=-1)
    probabilities_BV = allowed_probabilities(logits_BV, sampling)
    return torch.multinomial(probabilities_BV, 1, generator=generator).squeeze(-1)


def allowed_probabilities(logits_BV: Tensor, sampling: Sampling) -> Tensor:
    """The distribution that is drawn from: float32, rows sum to one."""
    logits_BV = _divided(logits_BV, sampling.temperature)
    if sampling.top_k is not None and sampling.top_k < logits_BV.shape[-1]:
        least_B1 = logits_BV.topk(sampling.top_k, dim=-1).values[:, -1:]
        logits_BV = logits_BV.masked_fill(logits_BV < least_B1, -torch.inf)
    probabilities_BV = logits_BV.softmax(dim=-1)
    if sampling.top_p is not None:
        sorted_BV, order_BV = probabilities_BV.sort(dim=-1, descending=True)
        too_much_BV = sorted_BV.cumsum(dim=-1) - sorted_BV >= sampling.top_p
        too_much_BV[..., 0] = False  # a top-p below the smallest float32 still keeps one
        sorted_BV = sorted_BV.masked_fill(too_much_BV, 0.0)
        probabilities_BV = torch.zeros_like(sorted_BV).scatter(-1, order_BV, sorted_BV)
        probabilities_BV = probabilities_BV / probabilities_BV.sum(dim=-1, keepdim=True)
    return probabilities_BV


def _divided(logits_BV: Tensor, temperature: float) -> Tensor:
    """Logits over the temperature, float32, the greatest of each row 0. Double precision and the
    shift keep the quotients in range: as the temperature falls, only the greatest is left."""
    below_BV = (logits_BV - logits_BV.amax(dim=-1, keepdim=True)).double()
    return (below_BV / max(temperature, torch.finfo(torch.float64).tiny)).float()
