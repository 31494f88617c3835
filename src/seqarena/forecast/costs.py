"""What a training at the target costs: powers of the scale through the rungs; and its rate."""

import math
import statistics
from typing import Literal

import numpy as np
from scipy import stats

from seqarena.core.results.forecasts import ForecastTarget, Ladder, Span


def power_span(
    ladder: Ladder, architecture: str, what: Literal["seconds", "bytes"], scale: float
) -> tuple[Span | None, Span | None]:
    """The cost of one training at a scale and the exponent of cost ~ scale^p, with 80 % intervals
    of the fit. The three highest rungs count, where fixed costs no longer hide the growth. None
    where fewer have the cost."""
    points = []
    for rung in ladder.rungs:
        cell = rung.cell(architecture)
        if cell is None:
            continue
        value = (
            statistics.median(cell.training_seconds) if what == "seconds" and cell.training_seconds
            else cell.peak_training_bytes if what == "bytes" else None
        )  # fmt: skip
        if value is not None and value > 0:
            points.append((math.log(rung.scale), math.log(value)))
    points = points[-3:]
    if len(points) < 3:
        return None, None
    x, y = np.array(points).T
    slope, height = np.polyfit(x - x.mean(), y, 1)
    residual = y - height - slope * (x - x.mean())
    variance = float(residual @ residual) / (len(x) - 2)
    spread = float(((x - x.mean()) ** 2).sum())
    t = float(stats.t.ppf(0.9, len(x) - 2))
    away = math.log(scale) - float(x.mean())
    half = t * math.sqrt(variance * (1 + 1 / len(x) + away**2 / spread))
    at = float(height + slope * away)
    slope_half = t * math.sqrt(variance / spread)
    return (
        Span(value=math.exp(at), low=math.exp(at - half), high=math.exp(at + half)),
        Span(value=float(slope), low=float(slope) - slope_half, high=float(slope) + slope_half),
    )


def carried_rate(ladder: Ladder, architecture: str, target: ForecastTarget) -> float | None:
    """The learning rate at the target: that of the two highest rungs, changed by a power of the
    parameters which is the same for all architectures and is measured over all rungs.

    The power is kept between -1 and 0: rates do not grow with the size.
    """
    logs, levels = [], {}
    for name in ladder.architectures:
        cells = [rung.cell(name) for rung in ladder.rungs]
        rates = np.log([cell.learning_rate for cell in cells if cell is not None])
        sizes = np.log([rung.params for rung in ladder.rungs])
        logs.append((rates - rates.mean(), sizes - sizes.mean()))
        levels[name] = float(rates[-2:].mean()), float(sizes[-2:].mean())
    if architecture not in levels:
        return None
    moved = sum(float(rates @ sizes) for rates, sizes in logs)
    power = moved / sum(float(sizes @ sizes) for _, sizes in logs)
    rate, size = levels[architecture]
    return float(
        f"{math.exp(rate + min(0.0, max(-1.0, power)) * (math.log(target.params) - size)):.2g}"
    )
