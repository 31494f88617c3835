"""Baselines of generated tasks: what is right without remembering, known or by position."""

from collections import defaultdict

import numpy as np
import torch

from seqarena.core.batch import IGNORE, Batch
from seqarena.data.streams import Stream, philox
from seqarena.tasks.base import Split
from seqarena.tasks.baselines.baseline import BaselineResult, known
from seqarena.tasks.probes.probe import ProbeTask

_DRAWN = 2_000  # examples of each cell that tell which answer is the most frequent
_ROWS = 64
_SEED = 1  # the splits are drawn by seed 0


def chance(task: ProbeTask) -> BaselineResult:
    """What the task itself says of its best guesser that remembers nothing."""
    return known(task.baseline()[task.metric])


def position(task: ProbeTask) -> BaselineResult:
    """The most frequent answer at each position of sequences of such a length, by examples that
    are drawn for it: an answer may depend on where it stands alone, as of sorted digits."""
    test, validation = (task.evaluate(_Positions(task, split), split, _ROWS) for split in _SPLITS)
    return BaselineResult(test, validation.value, f"of {_DRAWN:,} drawn examples a length")


_SPLITS: tuple[Split, Split] = ("test", "validation")


class _Positions:
    """Gives the logits [B, T, V] of a batch."""

    def __init__(self, task: ProbeTask, split: Split) -> None:
        num_outputs = task.problem.num_outputs
        counts: defaultdict[int, np.ndarray] = defaultdict(lambda: np.zeros(0))
        for number, cell in enumerate(task.cells_of(split)):
            drawn = philox(_SEED, Stream.TRAIN, number)
            _, targets_NT = task.generate(drawn, cell, _DRAWN)
            length = targets_NT.shape[1]
            keys_NT = np.arange(length) * num_outputs + targets_NT
            found = np.bincount(
                keys_NT[targets_NT != IGNORE], minlength=length * num_outputs
            ).reshape(length, num_outputs)
            before = counts[length]
            counts[length] = found + before if before.size else found
        self._counts = dict(counts)

    def __call__(self, batch: Batch) -> torch.Tensor:
        rows, length = batch.inputs_BT.shape[:2]
        return torch.from_numpy(self._counts[length]).float().expand(rows, -1, -1)
