"""Baselines of transcription: nothing at all, and the text of the nearest training recording."""

from collections.abc import Callable

import torch
from torch import Tensor

from seqarena.core.batch import Batch
from seqarena.tasks.base import Ratios
from seqarena.tasks.baselines.baseline import BaselineResult, result_of
from seqarena.tasks.baselines.labels import training_batches
from seqarena.tasks.signals.transcription import TranscriptionTask

_ROWS = 64  # recordings of a batch


def silence(task: TranscriptionTask) -> BaselineResult:
    """Nothing is written."""
    return _result(task, lambda batch: [""] * len(batch.inputs_BT))


def nearest(task: TranscriptionTask) -> BaselineResult:
    """The text of the training recording at the least Euclidean distance of mean and spread of its
    features and the ln of its length, each in units of its spread over training."""
    points_NF = torch.cat([_points(batch) for batch in training_batches(task, _ROWS)])
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

    return result_of(lambda split: task.score(ratios, split, _ROWS))


def _points(batch: Batch) -> Tensor:
    """[B, 2 F + 1], float32."""
    assert batch.mask_BT is not None
    real_BT1 = batch.mask_BT[..., None]
    count_B1 = real_BT1.sum(1)
    mean_BF = (batch.inputs_BT * real_BT1).sum(1) / count_B1
    square_BF = (batch.inputs_BT.square() * real_BT1).sum(1) / count_B1
    spread_BF = (square_BF - mean_BF.square()).clamp(min=0).sqrt()
    return torch.cat((mean_BF, spread_BF, count_B1.float().log()), 1)
