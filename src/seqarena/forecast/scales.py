"""The scale on which a metric is forecast: z, in which lower is always better.

    losses   z = log(y)             bits per byte, nats, squared errors: ratios are carried on
    shares   z = log((1 - y) / y)   accuracy and the like: log odds of being wrong
    others   none: a metric without a natural zero is not forecast

Shares are kept between .002 and .998, so that one that is all right or all wrong has odds. A ladder
on whose top rung fewer than two architectures lie inside is saturated, and is refused.
"""

import numpy as np

from seqarena.core.errors import UserError
from seqarena.core.results.forecasts import Ladder

SHARES = ("accuracy", "exact", "span_f1", "f1", "rouge_l")
_CLIP = 0.002  # from 0 and from 1, of shares


class MetricScale:
    """z of a metric and back, elementwise."""

    def __init__(self, metric: str, lower_is_better: bool) -> None:
        """Raises UserError for a metric that has no such scale."""
        self.is_share = metric in SHARES
        if not self.is_share and not lower_is_better:
            raise UserError(
                f"{metric} is not forecast: it is neither a loss nor a share of answers"
            )
        self.lower_is_better = lower_is_better

    def z(self, y: np.ndarray | float) -> np.ndarray:
        y = self._inside(y)
        return np.log1p(-y) - np.log(y) if self.is_share else np.log(y)

    def y(self, z: np.ndarray | float) -> np.ndarray:
        z = np.asarray(z, dtype=float)
        return 1 / (1 + np.exp(z)) if self.is_share else np.exp(z)

    def slope(self, y: np.ndarray | float) -> np.ndarray:
        """|dz / dy|."""
        y = self._inside(y)
        return 1 / (y * (1 - y)) if self.is_share else 1 / y

    def _inside(self, y: np.ndarray | float) -> np.ndarray:
        y = np.asarray(y, dtype=float)
        return np.clip(y, _CLIP, 1 - _CLIP) if self.is_share else y

    def worse_by(self, z_one: np.ndarray | float, z_other: np.ndarray | float) -> np.ndarray:
        """How much worse one is than the other, in the metric's unit: positive for worse."""
        gap = self.y(z_one) - self.y(z_other)
        return gap if self.lower_is_better else -gap


def scale_of(ladder: Ladder) -> MetricScale:
    """Of a ladder's metric. Raises UserError where its values have no z: a loss that is not
    positive, or shares that are saturated."""
    scale = MetricScale(ladder.metric, ladder.lower_is_better)
    inside = 0
    for name in ladder.architectures:
        for rung in ladder.rungs:
            cell = rung.cell(name)
            assert cell is not None
            if not scale.is_share and not min(cell.values) > 0:
                raise UserError(
                    f"{ladder.metric} is not forecastable here: {name} has {min(cell.values):g} on "
                    f"rung {rung.name}, and only positive losses have ratios"
                )
        top = ladder.top.cell(name)
        assert top is not None
        inside += _CLIP < top.mean < 1 - _CLIP
    if scale.is_share and inside < 2:
        raise UserError(
            f"{ladder.metric} is not forecastable here: on the top rung all architectures but "
            f"{inside} are all right or all wrong; take a harder task, or other rungs"
        )
    return scale
