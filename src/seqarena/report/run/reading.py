"""What the report draws, picked out of a RunView: order, chosen rate, mean curves, slices."""

import re
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np

from seqarena.core.results.records import RunView, TrialSummary


class Curve(NamedTuple):
    """A mean over seeds with its range, at common numbers of tokens."""

    tokens: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


class SliceGroup(NamedTuple):
    """Slices of one kind ("position"), in natural order; values are means over seeds."""

    name: str
    slices: tuple[str, ...]
    values: dict[str, tuple[float | None, ...]]  # architecture -> one a slice


def architectures(view: RunView) -> list[str]:
    """Every architecture of the run: the ranked ones by place, then the others as they were run."""
    ranked = [row.architecture for row in view.ranking.rows] if view.ranking else []
    return list(dict.fromkeys([*ranked, *(trial.architecture for trial in view.trials)]))


def family(view: RunView, architecture: str) -> str:
    """The family that the catalog gives an architecture ("other" where it gives none)."""
    return str(view.catalog.get(architecture, {}).get("family") or "other")


def title(view: RunView, architecture: str) -> str:
    """Its plain name, as it reads within a sentence; of a user's own mixer, the name they gave."""
    return str(view.catalog.get(architecture, {}).get("title") or architecture)


def chosen_rate(view: RunView, architecture: str) -> float | None:
    """The learning rate of the ranking; before there is one, the best so far on validation."""
    for row in view.ranking.rows if view.ranking else ():
        if row.architecture == architecture:
            return row.learning_rate
    sign = 1 if view.lower_is_better else -1
    scored = [
        (sign * trial.validation_value, trial.learning_rate)
        for trial in view.trials
        if trial.architecture == architecture and trial.validation_value is not None
    ]
    if scored:
        return min(scored)[1]
    started = (t for t in view.trials if t.architecture == architecture and t.training_curve)
    return next((trial.learning_rate for trial in started), None)


def chosen_trials(view: RunView, architecture: str) -> list[TrialSummary]:
    """One trial a seed at the chosen rate: the finished ones, or all while none is finished.

    A repeat of a seed and a diverged trial are left out, as they are from the ranking.
    """
    learning_rate = chosen_rate(view, architecture)
    trials = [
        trial
        for trial in view.trials
        if trial.architecture == architecture
        and trial.learning_rate == learning_rate
        and trial.role != "repeat"
        and trial.status != "diverged"
    ]
    return [trial for trial in trials if trial.status == "finished"] or trials


def mean_curve(curves: Sequence[Sequence[tuple[int, float]]], points: int = 160) -> Curve | None:
    """Mean, lowest and highest of several curves over the tokens that all of them reached.

    A curve of more than `points` values is first averaged in as many equal groups of neighbours,
    so that a noisy training loss stays readable. Where the curves were sampled at different
    tokens they are interpolated linearly. None where no curve has a point.
    """
    thinned = [_thin(curve, points) for curve in curves if curve]
    if not thinned:
        return None
    start = max(xs[0] for xs, _ in thinned)
    stop = min(xs[-1] for xs, _ in thinned)
    grid = np.unique(np.concatenate([xs for xs, _ in thinned]))
    grid = grid[(grid >= start) & (grid <= stop)]
    if grid.size == 0:
        return None
    values = np.stack([np.interp(grid, xs, ys) for xs, ys in thinned])
    columns = (grid, values.mean(0), values.min(0), values.max(0))
    return Curve(*(tuple(column.tolist()) for column in columns))


def _thin(curve: Sequence[tuple[int, float]], points: int) -> tuple[np.ndarray, np.ndarray]:
    xs, ys = np.asarray(sorted(curve), dtype=float).T
    if len(xs) <= points:
        return xs, ys
    groups = np.array_split(np.arange(len(xs)), points)
    return (
        np.array([xs[group].mean() for group in groups]),
        np.array([ys[group].mean() for group in groups]),
    )


def slice_groups(view: RunView) -> list[SliceGroup]:
    """The slices of the test metric, grouped by the words before their numbers.

    "position 0-7" and "position 8-31" make the group "position"; a slice without a number is a
    group of its own, since it may be in another unit.
    """
    means = {name: _mean_slices(chosen_trials(view, name)) for name in architectures(view)}
    means = {name: slices for name, slices in means.items() if slices}
    grouped: dict[str, list[str]] = {}
    for name in dict.fromkeys(key for slices in means.values() for key in slices):
        grouped.setdefault(_slice_kind(name), []).append(name)
    return [
        SliceGroup(
            kind,
            tuple(sorted(names, key=_numbers)),
            {
                architecture: tuple(slices.get(name) for name in sorted(names, key=_numbers))
                for architecture, slices in means.items()
            },
        )
        for kind, names in grouped.items()
    ]


def _mean_slices(trials: Sequence[TrialSummary]) -> dict[str, float]:
    names = dict.fromkeys(name for trial in trials for name in trial.test_slices)
    return {
        name: fmean(trial.test_slices[name] for trial in trials if name in trial.test_slices)
        for name in names
    }


def _slice_kind(name: str) -> str:
    return re.split(r"[\d(]", name, maxsplit=1)[0].strip(" _:=,") or name


def _numbers(name: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", name)]
