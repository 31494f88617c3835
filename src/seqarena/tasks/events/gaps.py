"""The law of the time to the next event: a mixture of log-normal laws (Shchur et al. 2020,
"Intensity-Free Learning of Temporal Point Processes", section 3.2), of a recorded time.

    p(gap) = sum_k w_k LogNormal(gap; m_k, s_k)
    P(n)   = integral of p over [(n - 1/2) r, (n + 1/2) r], from 0 where n = 0

Times are recorded in steps of a resolution r, so that what is scored is the probability of the
recorded step n: a density of rounded numbers could grow without bound, on gaps of nothing above
all. Where r is small, -ln P(n) is the density's score less ln r, for every model alike.

A model's numbers are ln w_k up to a constant, then m_k, then s_k before softplus, all for ln gap
less the training mean and over its spread.

    K  components    ...  any axes
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

_NARROW = 0.02  # of an interval over a spread: below, the density in its middle is exact enough
_ONE = math.log(math.e - 1)  # softplus of it is 1
_SMALLEST_SPREAD = 1e-3
_NEVER = -1e4  # the lower end of the first step, for ln 0


class GapScale(NamedTuple):
    """Mean and spread of ln gap in training, gaps in steps of the resolution (0: half a one)."""

    mean: float
    std: float
    resolution: float  # in the unit of the times

    def standardised(self, steps: Tensor) -> Tensor:
        """ln gap of gaps in steps, less the mean and over the spread."""
        return (steps.clamp(min=0.5).log() - self.mean) / self.std

    def time_of(self, value: Tensor) -> Tensor:
        """The gap, in the unit of the times, of a standardised ln gap."""
        return (value * self.std + self.mean).exp() * self.resolution


def gap_log_probability(law: Tensor, steps: Tensor, scale: GapScale) -> Tensor:
    """ln P(n), [...], of numbers [..., 3 K] and recorded gaps [...] in steps."""
    logits, mean, spread = components(law)
    upper = ((steps + 0.5).log() - scale.mean) / scale.std
    lower = ((steps - 0.5).clamp(min=0.5).log() - scale.mean) / scale.std
    lower = torch.where(steps < 0.5, _NEVER, lower)
    inside = log_normal_between(
        (lower[..., None] - mean) / spread, (upper[..., None] - mean) / spread
    )
    return (logits.log_softmax(-1) + inside).logsumexp(-1)


def components(law: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, means and spreads, [..., K] each, of numbers [..., 3 K]."""
    logits, mean, spread = law.chunk(3, dim=-1)
    return logits, mean, F.softplus(spread + _ONE) + _SMALLEST_SPREAD


def median_gap(law: Tensor, scale: GapScale) -> Tensor:
    """The time that half of the law's probability lies below, [...], by bisection."""
    logits, mean, spread = components(law.double())
    weight = logits.softmax(-1)
    low, high = (mean - 8 * spread).amin(-1), (mean + 8 * spread).amax(-1)
    for _ in range(60):
        middle = (low + high) / 2
        below = (weight * torch.special.ndtr((middle[..., None] - mean) / spread)).sum(-1)
        low, high = torch.where(below < 0.5, middle, low), torch.where(below < 0.5, high, middle)
    return scale.time_of((low + high) / 2)


def log_normal_between(a: Tensor, b: Tensor) -> Tensor:
    """ln of the standard normal's probability between a < b, exact in both tails."""
    # the upper tail is the lower one mirrored, where small probabilities are exact
    mirrored = a > 0
    a, b = torch.where(mirrored, -b, a), torch.where(mirrored, -a, b)
    width = b - a
    narrow = width < _NARROW
    # a wide interval: ln(N(b) - N(a))
    far = torch.where(narrow, b - 1.0, a)
    low, high = torch.special.log_ndtr(far), torch.special.log_ndtr(b)
    wide_log = high + (-torch.expm1((low - high).clamp(max=-1e-6))).log()
    # a narrow one: the density in the middle, times the mean of exp(-middle u) over the interval
    middle = torch.where(narrow, (a + b) / 2, 0.0)
    small = torch.where(narrow, width, _NARROW).clamp(min=1e-12)
    tilt = (middle * small / 2).abs()
    mean_log = torch.where(
        tilt < 0.1,
        tilt.square() / 6,
        tilt
        + torch.log1p(-torch.exp(-2 * tilt.clamp(min=0.05)))
        - (2 * tilt.clamp(min=0.05)).log(),
    )
    density_log = -(middle.square() + small.square() / 12) / 2 - math.log(2 * math.pi) / 2
    return torch.where(narrow, density_log + small.log() + mean_log, wide_log)
