"""Series on disk, prepared once for all processes of a run."""

import json
from pathlib import Path

import numpy as np

from seqarena.data.arrays import save_array
from seqarena.data.series.grid import Grid, TimeSeries
from seqarena.data.series.load import SeriesData
from seqarena.data.series.times import Step


def save_grid(folder: Path, data: SeriesData) -> None:
    """Writes the series below `folder`, all in one array."""
    grid = data.grid
    save_array(folder / "values.npy", np.concatenate([s.values_T for s in grid.series]))
    save_array(folder / "covariates.npy", np.concatenate([s.covariates_TC for s in grid.series]))
    about = {
        "name": data.name,
        "origin": data.origin,
        "sha256": data.sha256,
        "step": grid.step,
        "is_time": grid.is_time,
        "covariates": grid.covariates,
        "series": [(s.name, s.first, len(s.values_T)) for s in grid.series],
    }
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


def load_grid(folder: Path) -> SeriesData:
    """What `save_grid` wrote; its sums were checked (tasks/prepared.py)."""
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    values_N = np.load(folder / "values.npy", mmap_mode="r", allow_pickle=False)
    known_NK = np.load(folder / "covariates.npy", mmap_mode="r", allow_pickle=False)
    series, start = [], 0
    for name, first, length in about["series"]:
        here = slice(start, start + length)
        series.append(TimeSeries(name, first, np.array(values_N[here]), np.array(known_NK[here])))
        start += length
    grid = Grid(tuple(series), Step(*about["step"]), about["is_time"], tuple(about["covariates"]))
    return SeriesData(about["name"], about["origin"], grid, about["sha256"])
