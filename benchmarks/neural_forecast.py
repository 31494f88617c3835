"""DeepAR of gluonts, an LSTM (Salinas et al. 2020), on the split and by the scores of a recipe.

    python -m benchmarks.neural_forecast recipes/forecast_co2.toml --epochs 20 --seeds 0 1 2

It needs `gluonts[torch]`, which seqarena does not. The series, the end of training, the origins of
the tests and the scores are those of the recipe's task; at each origin DeepAR reads the history of
the series and draws `--samples` paths, whose quantiles are scored. Prints one line a seed.
"""

import argparse
import os
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from gluonts.dataset.common import ListDataset
from gluonts.torch.model.deepar import DeepAREstimator
from lightning.pytorch import seed_everything

from seqarena.core.batch import Batch
from seqarena.core.options import texts_by_key, typed
from seqarena.tasks.base import Ratios
from seqarena.tasks.registry import build_task, parse_task, task_row
from seqarena.tasks.series.forecasting import ForecastingTask
from seqarena.tasks.series.outputs import ForecastBatch

FREQUENCIES = {"a week": "W", "a month": "M", "an hour": "h", "a day": "D", "a year": "Y"}


def entry(task: ForecastingTask, number: int, values_T: np.ndarray) -> dict[str, Any]:
    """A series as gluonts takes it."""
    series = next(s for s in task.data.grid.series if s.name == task.names[number])
    frequency = FREQUENCIES[task.settings.step.words]
    start = pd.Period(pd.Timestamp(series.first, unit="us"), freq=frequency)
    return {"start": start, "target": values_T.astype(np.float32), "item_id": str(number)}


def task_of(recipe: Path) -> ForecastingTask:
    """The task of a recipe of forecasting, without the rest of it."""
    wanted = tomllib.loads(recipe.read_text(encoding="utf-8"))["options"]
    settings = texts_by_key(wanted.get("settings", []))
    fields = {"kind": "forecasting", **typed(task_row("forecasting").config, settings)}
    if "data" in wanted:
        fields["data"] = os.path.expandvars(wanted["data"])
    task = build_task(parse_task(fields))
    assert isinstance(task, ForecastingTask)
    return task


def scored(task: ForecastingTask, seed: int, options: argparse.Namespace) -> str:
    """Trains on what lies before validation and scores the test; the line to print."""
    seed_everything(seed, verbose=False)
    frequency = FREQUENCIES[task.settings.step.words]
    training = ListDataset(
        [
            entry(task, k, source.history(task.origins[k].train_end))
            for k, source in enumerate(task.series)
        ],
        freq=frequency,
    )
    estimator = DeepAREstimator(
        freq=frequency,
        prediction_length=task.settings.horizon,
        context_length=task.settings.context,
        num_layers=options.layers,
        hidden_size=options.hidden,
        lr=options.rate,
        num_parallel_samples=options.samples,
        batch_size=32,
        num_batches_per_epoch=options.batches,
        trainer_kwargs={
            "max_epochs": options.epochs,
            "enable_progress_bar": False,
            "logger": False,
            "enable_checkpointing": True,
            "default_root_dir": options.folder,
            "accelerator": "cpu",
        },
    )
    start = time.perf_counter()
    predictor = estimator.train(training)
    seconds = time.perf_counter() - start
    parameters = sum(p.numel() for p in predictor.prediction_net.parameters())

    def ratios(batch: Batch) -> Ratios:
        assert isinstance(batch, ForecastBatch)
        asked = [
            entry(task, task.series.index(source), source.history(origin))
            for source, origin in zip(batch.sources_B, batch.origins_B)
        ]
        forecasts = list(predictor.predict(ListDataset(asked, freq=frequency)))
        quantiles_BHQ = np.stack(
            [np.quantile(one.samples, task.quantiles, axis=0).T for one in forecasts]
        )
        return task.scored(quantiles_BHQ, batch, "test")

    found = task.score(ratios, "test", 64)
    slices = "  ".join(f"{name} {value:.4f}" for name, value in found.slices.items())
    return (
        f"seed {seed}  {parameters:,} parameters  {seconds:.0f} s  MASE {found.value:.4f}  {slices}"
    )


def main() -> None:
    """Reads the recipe and prints a line a seed, then their mean."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batches", type=int, default=50, help="of 32 windows, an epoch")
    parser.add_argument("--hidden", type=int, default=40)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folder", default="runs/deepar", help="of the library's checkpoints")
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = task_of(options.recipe)
    for seed in options.seeds:
        print(scored(task, seed, options), flush=True)


if __name__ == "__main__":
    main()
