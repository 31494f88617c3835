"""`python -m benchmarks.decisions ROOT`: forecasts from ladders, scored by trainings beyond them.

ROOT holds a folder for each data set, with its rungs as run folders (rung-PARAMS) and trainings at
the target (verify-PARAMS), as `python -m benchmarks.ladders` leaves them. Every ladder is forecast
at the size of its verification from its rungs alone; the verification is read afterwards. The table
has

    the forecast    the method that the ladder's own back-test chose
    the plain order of the top rung, which never abstains; its probability is of the noise alone
    each method by itself, with the calibration of the ladder's back-test

and for each: pairwise decision accuracy where it does not abstain, abstentions, the Brier score,
and the share of gaps inside 80 % intervals; and the plain sign of all pairs. Without a verification
a data set is scored by hiding its top rung: `--hide N` does so for all. Nothing is fitted to what
is scored. Tables go to docs/decisions.md and docs/decisions.csv with `--write`.
"""

import argparse
import csv
import itertools
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqarena.core import words
from seqarena.core.errors import UserError
from seqarena.core.results.forecasts import Ladder, LadderRung
from seqarena.forecast.backtest import (
    THRESHOLD,
    Calibration,
    GapError,
    backtest,
    calibrate,
    choose,
    errors_of,
    is_told,
    score,
)
from seqarena.forecast.evidence import evidence_of, rung_noise
from seqarena.forecast.ladder import LEAST_RUNGS, merged, read_ladder, read_rung
from seqarena.forecast.methods import METHODS
from seqarena.forecast.scales import MetricScale, scale_of

DOCS = Path(__file__).parents[1] / "docs"
PLAIN, CHOSEN = "plain order", "forecast"
BOUNDS = "accuracy at least 85 %, abstentions at most 40 %, Brier at most .15, coverage 70 to 90 %"


class Scored(NamedTuple):
    """One pair of one data set under one way to predict, at the target."""

    data: str
    way: str
    method: str
    one: str
    other: str
    probability: float  # that `one` is worse
    told: bool
    right: bool
    squared: float
    inside: bool
    predicted: float  # z of one minus z of other
    found: float
    factor: float  # of the target's scale over the top rung's


def rungs_in(folder: Path, kind: str) -> list[Path]:
    """The finished run folders of a data set: `rung` or `verify`, by their size."""
    found = [path for path in folder.glob(f"{kind}-*") if (path / "plan.json").exists()]
    return sorted(found, key=lambda path: int(path.name.split("-")[1]))


def finished(paths: Iterable[Path]) -> list[Path]:
    """Those of which every trial has ended."""
    found = []
    for path in paths:
        try:
            if not read_rung(path).is_open:
                found.append(path)
        except UserError as error:
            print(f"{path}: {error}")
    return found


def scored_data(folder: Path, *, hide: int) -> list[Scored]:
    """Every pair of one data set, predicted by every way. Raises UserError where the ladder cannot
    be forecast."""
    rungs, targets = finished(rungs_in(folder, "rung")), finished(rungs_in(folder, "verify"))
    if hide:
        targets, rungs = rungs[-1:], rungs[: len(rungs) - hide]
    if len(rungs) < LEAST_RUNGS or not targets:
        print(f"{folder.name}: {len(rungs)} rungs and {len(targets)} targets, too few as yet")
        return []
    ladder = read_ladder(rungs)
    (target,) = merged(read_rung(path).rung for path in targets)
    return scored_pairs(folder.name, ladder, target)


def scored_pairs(data: str, ladder: Ladder, target: LadderRung) -> list[Scored]:
    """The ladder's predictions at the target beside what was found there."""
    scale = scale_of(ladder)
    evidence = evidence_of(ladder, scale)
    x = math.log(target.scale / ladder.top.scale)
    scores = [backtest(method, evidence) for method in METHODS.values()]
    chosen = list(METHODS)[choose(scores)]
    names = tuple(name for name in ladder.architectures if target.cell(name) is not None)
    truth = {name: _z(target, name, scale) for name in names}
    noise = dict(zip(names, rung_noise(target, names, scale), strict=True))
    ways = {CHOSEN: chosen, **{name: name for name in METHODS}}
    found = []
    for way, method in ways.items():
        calibration = calibrate(errors_of(METHODS[method], evidence), len(ladder.architectures))
        prediction = METHODS[method].predict(evidence, x)
        for one, other in itertools.combinations(names, 2):
            places = ladder.architectures.index(one), ladder.architectures.index(other)
            gap, variance = prediction.gap(*places)
            error = GapError(*places, 0, x, gap, variance, truth[one] - truth[other],
                             noise[one] + noise[other])  # fmt: skip
            found.append(_scored(data, way, method, one, other, error, calibration, target, ladder))
    plain = Calibration(
        model_errors=(0.0,) * len(ladder.architectures), degrees=calibrate_degrees(ladder)
    )
    top_K, noise_K = evidence.z_KR[:, -1], evidence.noise_KR[:, -1]
    for one, other in itertools.combinations(names, 2):
        a, b = ladder.architectures.index(one), ladder.architectures.index(other)
        error = GapError(a, b, 0, x, float(top_K[a] - top_K[b]), float(noise_K[a] + noise_K[b]),
                         truth[one] - truth[other], noise[one] + noise[other])  # fmt: skip
        made = _scored(data, PLAIN, PLAIN, one, other, error, plain, target, ladder)
        found.append(made._replace(told=True))
    return found


def calibrate_degrees(ladder: Ladder) -> float:
    """Of the seeds at the top rung, all architectures together."""
    seeds = sum(len(cell.seeds) - 1 for cell in ladder.top.cells)
    return float(min(30, max(3, seeds)))


def _scored(
    data: str, way: str, method: str, one: str, other: str, error: GapError,
    calibration: Calibration, target: LadderRung, ladder: Ladder,
) -> Scored:  # fmt: skip
    made = score(error, calibration)
    return Scored(
        data, way, method, one, other, made.probability, is_told(made.probability), made.right,
        made.squared, made.inside, error.predicted, error.found, target.scale / ladder.top.scale,
    )  # fmt: skip


def _z(rung: LadderRung, name: str, scale: MetricScale) -> float:
    cell = rung.cell(name)
    assert cell is not None
    return float(np.mean(scale.z(np.array(cell.values))))


class Summary(NamedTuple):
    """One row of the table."""

    way: str
    pairs: int
    accuracy: float
    abstained: float
    brier: float
    coverage: float
    sign: float  # share of right signs of all pairs, told or not


def summary(way: str, scored: Sequence[Scored]) -> Summary:
    told = [one for one in scored if one.told]
    return Summary(
        way=way,
        pairs=len(scored),
        accuracy=_mean([one.right for one in told]),
        abstained=1 - len(told) / len(scored),
        brier=_mean([one.squared for one in scored]),
        coverage=_mean([one.inside for one in scored]),
        sign=_mean([one.right for one in scored]),
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def table(rows: Sequence[Summary], head: str) -> str:
    """The rows in Markdown."""
    lines = [
        f"| {head} | pairs | right where told | abstained | Brier | in 80 % | sign of all |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        shares = [f"{100 * value:.0f} %" if value == value else "–"
                  for value in (row.accuracy, row.abstained)]  # fmt: skip
        lines.append(
            f"| {row.way} | {row.pairs} | {shares[0]} | {shares[1]} | {row.brier:.3f} | "
            f"{100 * row.coverage:.0f} % | {100 * row.sign:.0f} % |"
        )
    return "\n".join(lines)


def page(scored: Sequence[Scored], hide: int) -> str:
    """docs/decisions.md."""
    ways = list(dict.fromkeys(one.way for one in scored))
    data = list(dict.fromkeys(one.data for one in scored))
    factors = sorted({round(one.factor, 1) for one in scored})
    models = sorted({name for one in scored for name in (one.one, one.other)})
    how = (
        f"the top {'rung' if hide == 1 else f'{hide} rungs'} of every ladder, hidden from it"
        if hide
        else "trainings beyond the top rung"
    )
    order = [PLAIN, CHOSEN, *(way for way in ways if way not in (PLAIN, CHOSEN))]
    by_way = [summary(way, [one for one in scored if one.way == way]) for way in order]
    by_data = [
        summary(f"{name} ({_method(scored, name)})",
                [one for one in scored if one.way == CHOSEN and one.data == name])
        for name in data
    ]  # fmt: skip
    plain = [summary(name, [one for one in scored if one.way == PLAIN and one.data == name])
             for name in data]  # fmt: skip
    return "\n\n".join(
        [
            "# Decisions: does a ladder say who is better beyond it?",
            f"{words.plural(len(data), 'data set')} ({', '.join(data)}), {len(models)} "
            f"architectures ({', '.join(models)}). Scored against {how}, "
            f"{' and '.join(f'{factor:g}' for factor in factors)} times the compute of the highest "
            "rung that the forecast saw. Written by `python -m benchmarks.decisions`; every pair "
            "is in [decisions.csv](decisions.csv). How: [forecast](forecast.md).",
            f"A pair is told from a probability of {THRESHOLD:g} on. The bounds, set before: "
            f"{BOUNDS}. The plain order says every pair by the top rung; its probability and "
            "interval know the noise of seeds and tests alone.",
            "## Ways to predict",
            table(by_way, "way"),
            "## The forecast, by data set",
            table(by_data, "data set (method)"),
            "## The plain order, by data set",
            table(plain, "data set"),
        ]
    )


def _method(scored: Sequence[Scored], data: str) -> str:
    return next(one.method for one in scored if one.way == CHOSEN and one.data == data)


def write(scored: Sequence[Scored], hide: int) -> None:
    """docs/decisions.md and docs/decisions.csv."""
    (DOCS / "decisions.md").write_text(page(scored, hide) + "\n", encoding="utf-8")
    with (DOCS / "decisions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Scored._fields)
        for one in scored:
            writer.writerow([f"{x:.5g}" if isinstance(x, float) else x for x in one])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decisions")
    parser.add_argument("root", type=Path)
    parser.add_argument(
        "--hide", type=int, default=0, help="hide so many top rungs, and score those"
    )
    parser.add_argument("--write", action="store_true", help="write docs/decisions.md and .csv")
    chosen = parser.parse_args()
    scored: list[Scored] = []
    for folder in sorted(path for path in chosen.root.iterdir() if path.is_dir()):
        try:
            scored += scored_data(folder, hide=chosen.hide)
        except UserError as error:
            print(f"{folder.name}: {error}")
    if not scored:
        raise SystemExit("no ladder has enough rungs and a target")
    print(page(scored, chosen.hide))
    if chosen.write:
        write(scored, chosen.hide)


if __name__ == "__main__":
    main()
