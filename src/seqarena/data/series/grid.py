"""Series on a regular grid: rows in order of time, one at each step.

What is not so is a mistake that is named with file and line, or repaired where `repair` says so:

    order       rows are sorted by time
    duplicates  several rows of one time become their mean
    gaps        steps without a row become missing values
    text        cells of text become missing values (data/series/tables.py)

    T  steps    C  covariates
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seqarena.core.errors import UserError
from seqarena.core.words import plural
from seqarena.data.files.reading import Reading
from seqarena.data.series.tables import NumberTable, Rows
from seqarena.data.series.times import Step, stamp_text, step_of


class TimeSeries(NamedTuple):
    """One series on its grid. Its last rows may have covariates and no target: the time ahead."""

    name: str
    first: int  # the stamp of the first step
    values_T: np.ndarray  # float64, NaN where a value is missing
    covariates_TC: np.ndarray  # float64, none is missing


class Grid(NamedTuple):
    """All series of some tables, with one step."""

    series: tuple[TimeSeries, ...]
    step: Step
    is_time: bool
    covariates: tuple[str, ...] = ()

    def stamps(self, series: TimeSeries, positions_T: np.ndarray) -> np.ndarray:
        """The stamps of a series at these positions of its grid."""
        return self.step.stamps(series.first, positions_T)


def on_grid(
    table: NumberTable,
    repair: Sequence[str] = (),
    reading: Reading | None = None,
    step: Step | None = None,
) -> Grid:
    """The series of a table on their grid; each target column is a series. `step` None: the most
    common distance of rows.

    Raises UserError with file and line for rows out of order, times that come twice, gaps, and
    times beside the grid.
    """
    reading = Reading() if reading is None else reading
    ordered = [_in_order(rows, table.is_time, repair, reading) for rows in table.series]
    if step is None:
        try:
            step = step_of([rows.stamps_T for rows in ordered], table.is_time)
        except ValueError:
            raise UserError(
                f"{ordered[0].places[0]}: a series of one row: the step between rows is not known"
            ) from None
    found = []
    for rows in ordered:
        position_T = _positions(rows, step, table.is_time, repair, reading)
        covariates_TC = _covariates(rows, table.covariates, position_T)
        for target in table.targets:
            values_T = np.full(int(position_T[-1]) + 1, np.nan)
            values_T[position_T] = rows.values[target]
            name = _name(rows.name, target, len(table.targets) > 1)
            found.append(TimeSeries(name, int(rows.stamps_T[0]), values_T, covariates_TC))
    return Grid(tuple(found), step, table.is_time, table.covariates)


def _name(series: str, target: str, several: bool) -> str:
    return target if not series else f"{series}/{target}" if several else series


def _of(rows: Rows) -> str:
    return f" of {rows.name!r}" if rows.name else ""


def _in_order(rows: Rows, is_time: bool, repair: Sequence[str], reading: Reading) -> Rows:
    """The rows with stamps that rise."""
    back = np.flatnonzero(np.diff(rows.stamps_T) < 0)
    if len(back) and "order" not in repair:
        place, here = rows.places[back[0] + 1], rows.stamps_T[back[0] + 1]
        raise UserError(
            f"{place}: {stamp_text(here, is_time)} comes after "
            f"{stamp_text(rows.stamps_T[back[0]], is_time)}: the rows{_of(rows)} are not in order "
            "of time: sort them, or --set repair=order"
        )
    if len(back):
        reading.note("rows were sorted by time")
        rows = _chosen(rows, np.argsort(rows.stamps_T, kind="stable"))
    again = np.flatnonzero(np.diff(rows.stamps_T) == 0)
    if not len(again):
        return rows
    if "duplicates" not in repair:
        first, second = rows.places[again[0]], rows.places[again[0] + 1]
        named = "" if rows.name else " (a column that names series? --set series=NAME)"
        raise UserError(
            f"{second}: {stamp_text(rows.stamps_T[again[0]], is_time)}{_of(rows)} is there twice, "
            f"in {first.rpartition(', ')[2]} first: remove one, or take their mean with --set "
            f"repair=duplicates{named}"
        )
    reading.note("rows of one time became their mean")
    return _merged(rows)


def _chosen(rows: Rows, index_T: np.ndarray) -> Rows:
    return Rows(
        rows.name,
        rows.stamps_T[index_T],
        {name: values_T[index_T] for name, values_T in rows.values.items()},
        {name: tuple(cells[k] for k in index_T) for name, cells in rows.texts.items()},
        tuple(rows.places[k] for k in index_T),
    )


def _merged(rows: Rows) -> Rows:
    """One row a stamp: means of what is not missing; of texts the first."""
    stamps_U, first_U, which_T = np.unique(rows.stamps_T, return_index=True, return_inverse=True)
    merged = {}
    for name, values_T in rows.values.items():
        real_T = ~np.isnan(values_T)
        sums_U = np.bincount(which_T, np.where(real_T, values_T, 0.0), len(stamps_U))
        counts_U = np.bincount(which_T, real_T, len(stamps_U))
        merged[name] = np.divide(
            sums_U, counts_U, out=np.full(len(stamps_U), np.nan), where=counts_U > 0
        )
    return _chosen(rows, first_U)._replace(values=merged)


def _positions(
    rows: Rows, step: Step, is_time: bool, repair: Sequence[str], reading: Reading
) -> np.ndarray:
    """The whole step of each row, int64 [T]."""
    place_T = step.positions(rows.stamps_T)
    beside = np.flatnonzero(place_T != np.round(place_T))
    if len(beside):
        here = beside[0]
        raise UserError(
            f"{rows.places[here]}: {stamp_text(rows.stamps_T[here], is_time)} is beside the grid: "
            f"the rows{_of(rows)} are {step.words} apart from "
            f"{stamp_text(rows.stamps_T[0], is_time)} on: move or remove it"
        )
    position_T = place_T.astype(np.int64)
    gaps = np.flatnonzero(np.diff(position_T) > 1)
    if len(gaps) and "gaps" not in repair:
        before, after = (stamp_text(rows.stamps_T[gaps[0] + k], is_time) for k in (0, 1))
        missing = plural(int(position_T[gaps[0] + 1] - position_T[gaps[0]] - 1), "row")
        raise UserError(
            f"{rows.places[gaps[0] + 1]}: a gap{_of(rows)} from {before} to {after}, where the "
            f"step is {step.words}: add the {missing} between, empty ones say, or --set repair=gaps"
        )
    if len(gaps):
        missing = int(position_T[-1]) + 1 - len(position_T)
        reading.note(f"{plural(missing, 'missing row')}{_of(rows)} became missing values")
    return position_T


def _covariates(rows: Rows, names: Sequence[str], position_T: np.ndarray) -> np.ndarray:
    """Known covariates at every step [T, C]; those of a repaired gap are the last known ones."""
    found = []
    for name in names:
        values_T = rows.values[name]
        missing = np.flatnonzero(np.isnan(values_T))
        if len(missing):
            raise UserError(
                f"{rows.places[missing[0]]}: covariate {name!r} is missing: it has to be known at "
                "every time"
            )
        last_T = np.searchsorted(position_T, np.arange(position_T[-1] + 1), side="right") - 1
        found.append(values_T[last_T])
    return np.stack(found, axis=-1) if found else np.zeros((int(position_T[-1]) + 1, 0))
