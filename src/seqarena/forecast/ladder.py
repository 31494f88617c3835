"""Run folders, read as the rungs of a ladder."""

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqarena.arena.entries import RankingEntry, enter
from seqarena.arena.folder import RunFolder, without_places
from seqarena.arena.view import read_run
from seqarena.core import words
from seqarena.core.errors import UserError
from seqarena.core.results.forecasts import Ladder, LadderCell, LadderRung
from seqarena.core.results.quantities import CostTable, quantity
from seqarena.core.results.records import RunView, TrialSummary

LEAST_RUNGS = 3
_SAME = 0.02  # relative: sizes that count as one rung


class RungFolder(NamedTuple):
    """One run folder of a ladder: the rung that it holds, and the run it was read from."""

    path: Path
    view: RunView
    rung: LadderRung
    reasons: dict[str, str]  # architecture -> why it has no score here

    @property
    def is_open(self) -> bool:
        """Whether a trial has not ended."""
        return any(trial.status in ("planned", "running") for trial in self.view.trials)


def read_ladder(folders: Sequence[str | Path]) -> Ladder:
    """The ladder whose rungs are these run folders, in any order. Folders with the same size and
    tokens are one rung.

    Raises UserError for folders of different questions, and for fewer than three rungs.
    """
    read = [read_rung(Path(folder)) for folder in folders]
    if not read:
        raise UserError("a ladder has no rungs: name its run folders")
    _check_one_question(read)
    rungs = merged([one.rung for one in read])
    if len(rungs) < LEAST_RUNGS:
        raise UserError(
            f"a forecast needs at least {LEAST_RUNGS} rungs, and better four or more: here are "
            f"{len(rungs)} ({words.listed([rung.name for rung in rungs])})"
        )
    every = dict.fromkeys(cell.architecture for rung in rungs for cell in rung.cells)
    left_out: dict[str, str] = {}
    for name in dict.fromkeys([*every, *(name for one in read for name in one.reasons)]):
        missing = [rung.name for rung in rungs if rung.cell(name) is None]
        if missing:
            why = next((one.reasons[name] for one in read if name in one.reasons), "not trained")
            left_out[name] = f"not on {words.listed(missing, most=3)}: {why}"
    names = tuple(name for name in every if name not in left_out)
    if len(names) < 2:
        why = "; ".join(f"{name} is {reason}" for name, reason in left_out.items())
        raise UserError(f"a forecast compares two architectures or more on every rung: {why}")
    view = read[0].view
    return Ladder(
        task=view.task,
        data=str(view.data.get("name", view.task)),
        metric=view.metric,
        lower_is_better=view.lower_is_better,
        architectures=names,
        rungs=tuple(rungs),
        left_out=left_out,
        unfinished=tuple(one.rung.name for one in read if one.is_open),
        titles={name: str(view.catalog.get(name, {}).get("title", name)) for name in names},
        families={name: str(view.catalog.get(name, {}).get("family", "")) for name in names},
    )


def read_rung(folder: Path) -> RungFolder:
    """What one run folder says of each architecture. Raises UserError where nothing is finished."""
    view = read_run(RunFolder(folder))
    excluded = dict(view.ranking.excluded if view.ranking else view.plan["excluded"])
    entries, reasons = enter(view.trials, view.plan["excluded"], view.lower_is_better, view.metric)
    if not entries:
        raise UserError(f"{folder}: {'. '.join(words.unranked(view))}")
    costs = CostTable(view.costs)
    cells = [_cell(entry, _trials_of(entry, view.trials), costs) for entry in entries]
    params = view.plan["size"].get("params")
    return RungFolder(
        path=folder,
        view=view,
        rung=LadderRung(
            name=view.name,
            params=params or round(statistics.median(cell.parameters for cell in cells)),
            tokens=round(statistics.median(cell.tokens for cell in cells)),
            cells=tuple(cells),
        ),
        reasons=excluded | reasons,
    )


def merged(rungs: Iterable[LadderRung]) -> list[LadderRung]:
    """Rungs of one size and one number of tokens become one, in ascending order of scale.

    Raises UserError for an architecture that is twice on a rung, and for two rungs of one scale.
    """
    found: list[LadderRung] = []
    for rung in sorted(rungs, key=lambda one: (one.scale, one.name)):
        before = found[-1] if found else None
        if before is None or not _near(before.scale, rung.scale):
            found.append(rung)
            continue
        if not (_near(before.params, rung.params) and _near(before.tokens, rung.tokens)):
            raise UserError(
                f"{before.name} and {rung.name} have other sizes and the same parameters times "
                "tokens: a ladder grows from rung to rung"
            )
        twice = {c.architecture for c in before.cells} & {c.architecture for c in rung.cells}
        if twice:
            raise UserError(f"{min(twice)} is in {before.name} and in {rung.name} at one size")
        found[-1] = before.model_copy(update={"cells": before.cells + rung.cells})
    return found


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= _SAME * max(one, other)


def _check_one_question(read: Sequence[RungFolder]) -> None:
    first = read[0]
    for other in read[1:]:
        sides = [side.view.plan for side in (first, other)]
        digests = [plan["task_digest"] for plan in sides]
        settings = [without_places("task", plan["task"]) for plan in sides]
        for (one, two), what in ((digests, "data"), (settings, "settings of the task")):
            if one != two:
                raise UserError(
                    f"{first.path} and {other.path} are no rungs of one ladder: they have other "
                    f"{what}"
                )


def _trials_of(entry: RankingEntry, trials: Sequence[TrialSummary]) -> list[TrialSummary]:
    """The trials of the entry's seeds at its rate, in their order."""
    found = {
        trial.seed: trial
        for trial in trials
        if trial.architecture == entry.architecture
        and trial.learning_rate == entry.learning_rate.value
        and trial.role != "repeat"
    }
    return [found[seed] for seed in entry.sample.seeds]


def _cell(entry: RankingEntry, trials: Sequence[TrialSummary], costs: CostTable) -> LadderCell:
    order = np.argsort(entry.sample.seeds)
    ordered = [trials[k] for k in order]
    return LadderCell(
        architecture=entry.architecture,
        parameters=entry.parameters,
        tokens=ordered[0].tokens,
        flops=ordered[0].training_flops or 0.0,
        learning_rate=entry.learning_rate.value,
        learning_rate_at_edge=entry.learning_rate.at_edge,
        seeds=tuple(entry.sample.seeds[k] for k in order),
        values=tuple(float(entry.sample.values_S[k]) for k in order),
        chunk_values=tuple(entry.sample.chunks_SC.mean(axis=0).tolist()),
        training_seconds=tuple(trial.training_seconds for trial in ordered),
        peak_training_bytes=costs.value(entry.architecture, quantity("peak_training_bytes")),
        lost_seeds=len(entry.diverged_seeds) + len(entry.failed_seeds),
        validation_curve=_mean_curve([trial.validation_curve for trial in ordered]),
    )


def _mean_curve(
    curves: Sequence[tuple[tuple[int, float], ...]],
) -> tuple[tuple[int, float], ...]:
    """The mean over seeds at the places that all share."""
    shared = set.intersection(*({tokens for tokens, _ in curve} for curve in curves))
    values = [dict(curve) for curve in curves]
    return tuple(
        (tokens, statistics.fmean(one[tokens] for one in values)) for tokens in sorted(shared)
    )
