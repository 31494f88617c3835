"""Ladders with a known truth, for the tests of forecasts."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from seqarena.core.results.forecasts import Ladder, LadderCell, LadderRung
from seqarena.forecast.evidence import Evidence, evidence_of
from seqarena.forecast.scales import scale_of

SIZES = (6_000, 12_000, 25_000, 50_000, 100_000)
TOKENS_PER_PARAMETER = 10


class Law(NamedTuple):
    """loss(scale) = floor + amount * (scale / 1e9) ^ -exponent, with scale parameters * tokens."""

    amount: float
    exponent: float
    floor: float = 1.2

    def at(self, params: float) -> float:
        scale = TOKENS_PER_PARAMETER * params**2
        return self.floor + self.amount * (scale / 1e9) ** -self.exponent


LAWS = {
    "gru": Law(1.60, 0.10),
    "lstm": Law(1.70, 0.10),
    "attention": Law(1.72, 0.16),  # worse below, better above
    "mamba": Law(1.55, 0.12),
    "conv": Law(1.90, 0.09),
    "mingru": Law(1.80, 0.11),
}


def planted(
    laws: Mapping[str, Law] = LAWS,
    *,
    seed: int = 0,
    noise: float = 0.004,
    seeds: int = 3,
    sizes: tuple[int, ...] = SIZES,
    metric: str = "bits_per_byte",
) -> Ladder:
    """The rungs of these laws, each run with seed noise of this deviation."""
    draw = np.random.default_rng(seed)
    rungs = []
    for params in sizes:
        cells = [
            cell(name, params, law.at(params) + noise * draw.standard_normal(seeds), draw)
            for name, law in laws.items()
        ]
        rungs.append(
            LadderRung(
                name=f"rung-{params}",
                params=params,
                tokens=TOKENS_PER_PARAMETER * params,
                cells=tuple(cells),
            )
        )
    return Ladder(
        task="language",
        data="planted",
        metric=metric,
        lower_is_better=metric == "bits_per_byte",
        architectures=tuple(laws),
        rungs=tuple(rungs),
    )


def cell(name: str, params: int, values: np.ndarray, draw: np.random.Generator) -> LadderCell:
    """A cell with these values; seconds go with the scale, bytes with its square root."""
    tokens = TOKENS_PER_PARAMETER * params
    chunks = float(values.mean()) + 0.01 * draw.standard_normal(20)
    return LadderCell(
        architecture=name,
        parameters=params,
        tokens=tokens,
        flops=6.0 * params * tokens,
        learning_rate=0.006,
        learning_rate_at_edge=False,
        seeds=tuple(range(len(values))),
        values=tuple(values.tolist()),
        chunk_values=tuple((chunks - chunks.mean() + values.mean()).tolist()),
        training_seconds=tuple(1e-8 * params * tokens for _ in values),
        peak_training_bytes=100.0 * params,
    )


def evidence(ladder: Ladder) -> Evidence:
    return evidence_of(ladder, scale_of(ladder))
