"""What tasks of one label share: batches of an epoch's order, accuracy, and answers in words.

The metric is the share of right answers; logits that are not numbers are wrong. Slices are the
groups that an example belongs to.

    B  examples    V  classes
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.data.batches import spread
from seqarena.data.buckets import BucketSampler
from seqarena.tasks.base import Answer, Ratios, Split, Task


class LabelBatch(Batch):
    """A batch that knows the groups of its examples: what slices need and models are not told."""

    groups_B: tuple[tuple[str, ...], ...] = ()


class LabelTask(Task):
    """Abstract. A subclass sets `classes`, `lengths` and `sampler` and makes batches."""

    metric = "accuracy"
    lower_is_better = False
    causal = False
    classes: tuple[str, ...]  # in the order of the outputs
    sizes: dict[str, int]  # examples of each split
    sampler: BucketSampler

    @abstractmethod
    def batch(self, split: str, chosen_B: np.ndarray) -> Batch:
        """Those examples of `train` or of an evaluation split, targets [B, 1]."""

    @abstractmethod
    def groups(self, split: Split, index: int) -> tuple[str, ...]:
        """The slices that an example belongs to."""

    @property
    def mean_length(self) -> float:
        return self.sampler.mean_length

    def steps_per_epoch(self, batch_size: int) -> int:
        return self.sampler.batches_per_epoch(batch_size)

    def training_batch(self, index: int, batch_size: int, *, seed: int) -> Batch:
        return self.batch("train", self.sampler.batch(index, batch_size, seed=seed))

    def num_evaluation_examples(self, split: Split) -> int:
        return self.sizes[split]

    def evaluation_batches(
        self, split: Split, batch_size: int, max_batches: int | None = None
    ) -> Iterator[Batch]:
        selected = self._num_selected(split, batch_size, max_batches)
        chosen = spread(self.sizes[split], selected)
        for first in range(0, selected, batch_size):
            chosen_B = chosen[first : first + batch_size]
            batch = LabelBatch(*self.batch(split, chosen_B))
            batch.groups_B = tuple(self.groups(split, int(index)) for index in chosen_B)
            yield batch

    def ratios(self, logits_BTV: Tensor, batch: Batch) -> Ratios:
        logits_BV = logits_BTV[:, 0].float().cpu()
        right = logits_BV.argmax(-1) == batch.targets_BT[:, 0].cpu()
        right_B = (right & ~logits_BV.isnan().any(-1)).numpy().astype(np.float64)
        slices: dict[str, tuple[float, float]] = {}
        groups_B = batch.groups_B if isinstance(batch, LabelBatch) else ()
        for hit, names in zip(right_B, groups_B):
            for name in names:
                hits, count = slices.get(name, (0.0, 0.0))
                slices[name] = (hits + float(hit), count + 1.0)
        return Ratios(right_B, np.ones(len(right_B)), dict(sorted(slices.items())))


def as_targets(labels_B: Sequence[int] | np.ndarray) -> Tensor:
    """Class numbers as targets, int64 [B, 1]."""
    return torch.tensor(np.asarray(labels_B), dtype=torch.int64)[:, None]


def likeliest(outputs_BTV: Tensor, classes: Sequence[str]) -> list[Answer]:
    """The class with the greatest logit and its probability, an answer an example."""
    confidence_B, best_B = outputs_BTV[:, 0].float().softmax(-1).max(-1)
    return [
        Answer(classes[int(best)], float(confidence))
        for best, confidence in zip(best_B.tolist(), confidence_B.tolist())
    ]


def known_classes(labels: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The classes of the training examples, in order; `labels` by split.

    Raises UserError for a single one, and for a class that training does not show.
    """
    classes = tuple(sorted(set(labels["train"])))
    if len(classes) < 2:
        raise UserError(
            f"every training example is of class {labels['train'][0]!r}: two are needed"
        )
    for split, found in labels.items():
        unknown = set(found) - set(classes)
        if unknown:
            raise UserError(
                f"class {min(unknown)!r} has examples for {split} and none for training"
            )
    return classes


def majority(labels: Mapping[str, Sequence[str]]) -> float:
    """Test accuracy of always answering the most frequent class of training."""
    train, test = list(labels["train"]), list(labels["test"])
    best = max(sorted(set(train)), key=train.count)
    return test.count(best) / len(test)
