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
_FAR = 20.0  # spreads from the mean: beyond, the tail's own series is exact enough
_ROOT_TWO_PI = math.log(2 * math.pi) / 2
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
    """ln of the standard normal's probability between a < b, exact in both tails, with gradients
    that are finite everywhere."""
    # the upper tail is the lower one mirrored, where small probabilities are exact; a form that is
    # not taken is given numbers at which its gradient is finite, since 0 times infinity is none
    mirrored = a > 0
    a, b = torch.where(mirrored, -b, a), torch.where(mirrored, -a, b)
    narrow = b - a < _NARROW
    far = (b < -_FAR) & ~narrow
    near_log = _between_near(torch.where(narrow, -2.0, a.clamp(min=-2 * _FAR)), b.clamp(min=-_FAR))
    far_log = _between_far(torch.where(far, a, -2 * _FAR), torch.where(far, b, -_FAR))
    narrow_log = _between_narrow(torch.where(narrow, a, b - _NARROW), b)
    return torch.where(narrow, narrow_log, torch.where(far, far_log, near_log))


def _between_near(a: Tensor, b: Tensor) -> Tensor:
    """ln(N(b) - N(a)) by the distribution function's logarithm."""
    low, high = torch.special.log_ndtr(a), torch.special.log_ndtr(b)
    return high + (-torch.expm1((low - high).clamp(max=-1e-6))).log()


def _between_far(a: Tensor, b: Tensor) -> Tensor:
    """For a < b < -20: N(x) = n(x) / |x| (1 - 1 / x^2 ...), n the density."""
    ratio = b / a * (1 - a.square().reciprocal()) / (1 - b.square().reciprocal())
    less = torch.exp((b.square() - a.square()) / 2) * ratio
    tail = -b.square() / 2 - _ROOT_TWO_PI - (-b).log() + torch.log1p(-b.square().reciprocal())
    return tail + torch.log1p(-less)


def _between_narrow(a: Tensor, b: Tensor) -> Tensor:
    """The density in the middle m, times the mean of exp(-m u) over the interval, sinh(x) / x."""
    middle, width = (a + b) / 2, (b - a).clamp(min=1e-12)
    tilt = (middle * width / 2).abs()
    steep = 2 * tilt.clamp(min=0.05)
    sinh_log = tilt + torch.log1p(-torch.exp(-steep)) - steep.log()
    mean_log = torch.where(tilt < 0.1, tilt.square() / 6, sinh_log)
    return width.log() + mean_log - (middle.square() + width.square() / 12) / 2 - _ROOT_TWO_PI
