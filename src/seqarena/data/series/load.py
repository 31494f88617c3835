"""The series at a path, or the embedded ones: weekly carbon dioxide at Mauna Loa, 1958 to 2001.

The embedded measurements are those of Keeling and Whorf, "Atmospheric CO2 concentrations derived
from flask air samples at sites in the SIO network", Trends: A Compendium of Data on Global Change,
Carbon Dioxide Information Analysis Center, Oak Ridge National Laboratory, U.S. Department of
Energy, 2004. They are public domain, and were taken from the package statsmodels, which ships them
(statsmodels.datasets.co2). In parts per million by volume; 59 of 2,284 weeks have no measurement.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqarena.core.errors import UserError
from seqarena.data.files.find import find_files
from seqarena.data.files.reading import Reading
from seqarena.data.series.grid import Grid, on_grid
from seqarena.data.series.tables import SeriesFields, read_number_tables
from seqarena.data.series.times import Step

_EMBEDDED = Path(__file__).with_name("mauna_loa_co2.csv")
_KINDS = ("table",)


class SeriesData(NamedTuple):
    """Regular series and where they came from. `sha256` is of every name, time and number."""

    name: str
    origin: str
    grid: Grid
    sha256: str
    reading: Reading | None = None


def load_series(
    data: str | Path | None,
    fields: SeriesFields,
    *,
    step: Step | None = None,
    target_optional: bool = False,
) -> SeriesData:
    """The series at `data`; for None the embedded ones. Raises UserError with file and line for
    what is no regular series of numbers (data/series/tables.py, data/series/grid.py)."""
    if data is None:
        table = read_number_tables([_EMBEDDED], _EmbeddedFields())
        grid = on_grid(table, step=step)
        origin = "weekly CO2 at Mauna Loa, 1958 to 2001 (Keeling and Whorf 2004)"
        return SeriesData("mauna-loa-co2", origin, grid, _sha256(grid))
    reading = Reading()
    files = [file for part in find_files(data, _KINDS, reading) for file in part]
    table = read_number_tables(files, fields, reading, target_optional=target_optional)
    grid = on_grid(table, fields.repair, reading, step)
    if not any(np.isfinite(series.values_T).any() for series in grid.series):
        raise UserError(f"{data}: every value is missing")
    reading.how = "by time: the end of each series tests, what is before it validates"
    return SeriesData(Path(data).resolve().name, str(data), grid, _sha256(grid), reading)


class _EmbeddedFields:
    """How the embedded table is read, whatever a configuration says of other files."""

    time = "date"
    time_format = None
    series: tuple[str, ...] = ()
    target = ("co2",)
    covariates: tuple[str, ...] = ()
    encoding = "utf-8"
    repair: tuple[str, ...] = ()


def _sha256(grid: Grid) -> str:
    found = hashlib.sha256(repr((grid.step, grid.is_time, grid.covariates)).encode())
    for series in grid.series:
        found.update(f"{series.name}\0{series.first}\0".encode())
        found.update(np.ascontiguousarray(series.values_T).tobytes())
        found.update(np.ascontiguousarray(series.covariates_TC).tobytes())
    return found.hexdigest()
