"""A ladder as numbers: scores z and their noise on a logarithmic scale of compute.

    x    log(parameters * tokens) minus that of the top rung: 0 there, negative below
    z    the score, lower is better (scales.py), mean over seeds
    d    z minus the mean of all architectures on the same rung: what gaps are made of
    v    variance of z from its seeds, and of what its architecture makes of the test examples

Seeds: the variances of a ranking (arena/statistics.py), few seeds shrunk to those of the others.
Test examples: the mean of all architectures cancels in every gap, so that only an architecture's
own profile over the chunks adds doubt.

Axes: K architectures, R rungs, S seeds, C test chunks.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from seqarena.arena.statistics import Sample, mean_of_chunks, seed_noise
from seqarena.core.results.forecasts import Ladder, LadderRung
from seqarena.forecast.scales import MetricScale

_PARTS = (0.5,)  # of a training, at which its validation curve is read


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a method sees. `early_*` are read inside of trainings that went on: on validation, with
    a learning rate that had not fallen yet, so that only their differences between architectures
    say something."""

    names: tuple[str, ...]
    x_R: np.ndarray
    z_KR: np.ndarray
    noise_KR: np.ndarray
    early_x_E: np.ndarray
    early_z_KE: np.ndarray
    early_noise_KE: np.ndarray

    @property
    def d_KR(self) -> np.ndarray:  # noqa: N802
        return self.z_KR - self.z_KR.mean(axis=0)

    def below(self, rung: int) -> "Evidence":
        """The rungs before this one, as if it and all above had never been trained. x starts anew
        at the highest that is left."""
        start = self.x_R[rung - 1]
        early_E = self.early_x_E <= start
        return replace(
            self,
            x_R=self.x_R[:rung] - start,
            z_KR=self.z_KR[:, :rung],
            noise_KR=self.noise_KR[:, :rung],
            early_x_E=self.early_x_E[early_E] - start,
            early_z_KE=self.early_z_KE[:, early_E],
            early_noise_KE=self.early_noise_KE[:, early_E],
        )


def evidence_of(ladder: Ladder, scale: MetricScale) -> Evidence:
    """The numbers of a ladder."""
    names = ladder.architectures
    x_R = np.log([rung.scale for rung in ladder.rungs])
    z_KR = np.array([[float(np.mean(scale.z(np.array(_cell(rung, name).values))))
                      for rung in ladder.rungs] for name in names])  # fmt: skip
    noise_KR = np.array([rung_noise(rung, names, scale) for rung in ladder.rungs]).T
    early = [_early(rung, names, scale, part) for rung in ladder.rungs for part in _PARTS]
    places = [x for rung in ladder.rungs for x in _early_x(rung)]
    kept = [(x, one, noise_KR[:, k // len(_PARTS)]) for k, (x, one) in enumerate(zip(places, early))
            if one is not None]  # fmt: skip
    empty = np.zeros((len(names), 0))
    return Evidence(
        names=names,
        x_R=x_R - x_R[-1],
        z_KR=z_KR,
        noise_KR=noise_KR,
        early_x_E=np.array([x for x, _, _ in kept]) - x_R[-1],
        early_z_KE=np.array([z for _, z, _ in kept]).T if kept else empty,
        early_noise_KE=np.array([v for _, _, v in kept]).T if kept else empty,
    )


def rung_noise(rung: LadderRung, names: tuple[str, ...], scale: MetricScale) -> np.ndarray:
    """The variance of each architecture's z on one rung, of its seeds and its test examples."""
    cells = [_cell(rung, name) for name in names]
    slope_K = np.array([float(scale.slope(cell.mean)) for cell in cells])
    samples = [
        Sample(
            seeds=cell.seeds,
            values_S=np.asarray(scale.z(np.array(cell.values))),
            chunks_SC=np.zeros((len(cell.seeds), 0)),
        )
        for cell in cells
    ]
    noise = seed_noise(samples)
    if noise is None:
        seeds_K = np.zeros(len(cells))
    else:
        spreads = [one.variance for one in noise.of_each]
        seeds_K = np.array(spreads) / np.array([len(cell.seeds) for cell in cells])
    counts = {len(cell.chunk_values) for cell in cells}
    if len(counts) > 1 or min(counts) < 3:
        return seeds_K
    profile_KC = np.array([cell.chunk_values for cell in cells])
    own_KC = profile_KC - profile_KC.mean(axis=0)
    # deviations from the mean of K are narrower than what an architecture adds by itself
    wider = len(cells) / (len(cells) - 1)
    tests_K = np.array([mean_of_chunks(own_C).variance for own_C in own_KC]) * wider
    return seeds_K + tests_K * slope_K**2


def _cell(rung: LadderRung, name: str):
    cell = rung.cell(name)
    assert cell is not None, f"{name} is not on rung {rung.name}"
    return cell


def _early_x(rung: LadderRung) -> list[float]:
    return [math.log(rung.scale * part) for part in _PARTS]


def _early(
    rung: LadderRung, names: tuple[str, ...], scale: MetricScale, part: float
) -> np.ndarray | None:
    """z on validation after a part of the tokens; None where a curve has no point near."""
    found = []
    for name in names:
        curve = _cell(rung, name).validation_curve
        tokens = [at for at, _ in curve]
        if len(curve) < 4 or not tokens[0] <= part * tokens[-1]:
            return None
        found.append(float(scale.z(np.interp(part * tokens[-1], tokens, [y for _, y in curve]))))
    return np.array(found)
