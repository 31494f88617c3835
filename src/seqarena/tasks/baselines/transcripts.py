"""Baselines of transcription: nothing at all, and the text of the nearest training recording."""

from collections.abc import Callable, Iterator
from typing import cast

import numpy as np
import torch
from torch import Tensor

from seqarena.core.batch import Batch
from seqarena.tasks.base import Ratios, Split
from seqarena.tasks.baselines.baseline import BaselineResult
from seqarena.tasks.signals.transcription import TranscriptionTask

_ROWS = 64  # recordings of a batch


def silence(task: TranscriptionTask) -> BaselineResult:
    """Nothing is written."""
    return _result(task, lambda batch: [""] * len(batch.inputs_BT))


def nearest(task: TranscriptionTask) -> BaselineResult:
    """The text of the training recording at the least Euclidean distance of mean and spread of its
    features and the ln of its length, each in units of its spread over training."""
    points_NF = torch.cat([_points(batch) for batch in _training(task)])
    mean_F, spread_F = points_NF.mean(0), points_NF.std(0, unbiased=False).clamp(min=1e-6)
    points_NF = (points_NF - mean_F) / spread_F
    texts = task.texts("train")

    def written(batch: Batch) -> list[str]:
        distances_BN = torch.cdist((_points(batch) - mean_F) / spread_F, points_NF)
        return [texts[k] for k in distances_BN.argmin(1).tolist()]

    return _result(task, written)


def _result(task: TranscriptionTask, written: Callable[[Batch], list[str]]) -> BaselineResult:
    def ratios(batch: Batch) -> Ratios:
        return task.edits(written(batch), batch)

    test, validation = (
        task.score(ratios, cast("Split", split), _ROWS) for split in ("test", "validation")
    )
    return BaselineResult(test, validation.value)


def _training(task: TranscriptionTask) -> Iterator[Batch]:
    for first in range(0, task.sizes["train"], _ROWS):
        yield task.batch("train", np.arange(first, min(first + _ROWS, task.sizes["train"])))


def _points(batch: Batch) -> Tensor:
    """[B, 2 F + 1], float32."""
    assert batch.mask_BT is not None
    real_BT1 = batch.mask_BT[..., None]
    count_B1 = real_BT1.sum(1)
    mean_BF = (batch.inputs_BT * real_BT1).sum(1) / count_B1
    square_BF = (batch.inputs_BT.square() * real_BT1).sum(1) / count_B1
    spread_BF = (square_BF - mean_BF.square()).clamp(min=0).sqrt()
    return torch.cat((mean_BF, spread_BF, count_B1.float().log()), 1)
