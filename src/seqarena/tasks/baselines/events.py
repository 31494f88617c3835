"""Baselines of the next event and its time: frequencies, of all or behind each event.

Gaps have one log-normal law, by the mean and the spread of their logarithms. What follows an event
is smoothed by what comes at all, as much as one event counts.

N  training events    V  categories    K  components
"""

import numpy as np
import torch
from torch import Tensor

from seqarena.core.batch import Batch, asked
from seqarena.tasks.baselines.baseline import BaselineResult
from seqarena.tasks.baselines.labels import scored, training_batches
from seqarena.tasks.events.task import EventsTask

_PRIOR = 1.0  # events that all of training counts for behind each
_NOTHING = -1e4  # logit of a component that is not used


def most_frequent(task: EventsTask) -> BaselineResult:
    """The same forecast everywhere."""
    _, after_N, gap_N = _pairs(task)
    law_V = _law(task, np.bincount(after_N, minlength=task.encoder.event.size), gap_N)
    return scored(task, lambda batch: law_V.expand(*batch.inputs_BT.shape[:2], -1))


def last_event(task: EventsTask) -> BaselineResult:
    """A forecast for each event that may be the last one."""
    size = task.encoder.event.size
    before_N, after_N, gap_N = _pairs(task)
    share_V = (np.bincount(after_N, minlength=size) + 1) / (len(after_N) + size)
    laws = []
    for kind in range(size):
        here_N = before_N == kind
        counts_V = np.bincount(after_N[here_N], minlength=size) + _PRIOR * share_V
        laws.append(_law(task, counts_V, gap_N[here_N], gap_N))
    laws_VV = torch.stack(laws)

    def forecast(batch: Batch) -> Tensor:
        assert batch.categories_BTC is not None
        return laws_VV[batch.categories_BTC[..., 0]]

    return scored(task, forecast)


def _pairs(task: EventsTask) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Event, next event, and the standardised ln gap between, of all training events."""
    found = []
    for batch in training_batches(task):
        assert batch.categories_BTC is not None
        asked_BT = asked(batch.targets_BT)[..., 0]
        after_N2 = batch.targets_BT[asked_BT]
        gap_N = task.encoder.gaps.standardised(after_N2[:, 1])
        found.append((batch.categories_BTC[asked_BT][:, 0], after_N2[:, 0].long(), gap_N))
    before, after, gap = (torch.cat(parts).numpy() for parts in zip(*found))
    return before, after, gap


def _law(
    task: EventsTask, counts_V: np.ndarray, gap_N: np.ndarray, others_N: np.ndarray | None = None
) -> Tensor:
    """A model's numbers [V + 3 K] of these frequencies and of these gaps; of gaps that are few,
    with the mean and spread of `others_N` as one gap more."""
    if others_N is None:
        others_N = gap_N
        counts_V = counts_V + 1
    mean = (gap_N.sum() + _PRIOR * others_N.mean()) / (len(gap_N) + _PRIOR)
    square = np.square(gap_N - mean).sum() + _PRIOR * others_N.var()
    spread = max(1e-2, float(np.sqrt(square / (len(gap_N) + _PRIOR))))
    unused = task.config.components - 1
    raw = np.log(np.expm1(spread)) - np.log(np.expm1(1.0))  # before softplus (gaps.py)
    law = [
        *np.log(counts_V / counts_V.sum()),
        *[0.0, *[_NOTHING] * unused],
        *[mean] * (1 + unused),
        *[raw] * (1 + unused),
    ]
    return torch.tensor(law, dtype=torch.float32)
