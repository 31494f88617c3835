"""Predictions beside trainings at the target."""

import itertools
from collections.abc import Sequence

from seqarena.core.results.forecasts import (
    LadderCell,
    LadderRung,
    PairForecast,
    Predictions,
    Verification,
    VerifiedPair,
)
from seqarena.forecast.evidence import rung_noise
from seqarena.forecast.scales import MetricScale
from seqarena.forecast.store import StoredPredictions


def verified(
    stored: StoredPredictions, rungs: Sequence[LadderRung], folders: Sequence[str] = ()
) -> Verification:
    """Scores every pair whose two architectures were trained at the target.

    Each interval is widened by the noise of the measured gap: it is of the true one.
    """
    predictions = stored.predictions
    cells = {cell.architecture: cell for rung in rungs for cell in rung.cells}
    named = {name for pair in predictions.pairs for name in (pair.better, pair.worse)}
    names = tuple(name for name in cells if name in named)
    scale = MetricScale(predictions.metric, predictions.lower_is_better)
    whole = LadderRung(
        name="target",
        params=predictions.target.params,
        tokens=predictions.target.tokens,
        cells=tuple(cells[name] for name in names),
    )
    noise = dict(zip(names, rung_noise(whole, names, scale), strict=True))
    found = []
    for one, other in itertools.combinations(names, 2):
        pair = next(p for p in predictions.pairs if {p.better, p.worse} == {one, other})
        found.append(_scored(pair, cells, noise, predictions, scale))
    return Verification(
        sha256=stored.sha256,
        written_at=predictions.written_at,
        folders=tuple(folders),
        scores={name: cells[name].mean for name in names},
        pairs=tuple(found),
    )


def _scored(
    pair: PairForecast,
    cells: dict[str, LadderCell],
    noise: dict[str, float],
    predictions: Predictions,
    scale: MetricScale,
) -> VerifiedPair:
    better, worse = cells[pair.better], cells[pair.worse]
    gap = worse.mean - better.mean if predictions.lower_is_better else better.mean - worse.mean
    variance = noise[pair.better] + noise[pair.worse]
    slope = float(scale.slope((better.mean + worse.mean) / 2))
    deviation = variance**0.5 / slope
    return VerifiedPair(
        prediction=pair,
        gap=gap,
        gap_noise=deviation,
        right=gap > 0,
        squared_error=(pair.probability - float(gap > 0)) ** 2,
        inside_80=_inside(gap, pair.gap, pair.gap_80, 1.2816 * deviation),
        inside_95=_inside(gap, pair.gap, pair.gap_95, 1.96 * deviation),
    )


def _inside(gap: float, middle: float, interval: tuple[float, float], more: float) -> bool:
    """Whether the measured gap lies in the interval, each side widened by noise as variances
    add."""
    low, high = interval
    below = ((middle - low) ** 2 + more**2) ** 0.5
    above = ((high - middle) ** 2 + more**2) ** 0.5
    return middle - below <= gap <= middle + above
