"""What tasks of one label share: batches of an epoch's order, accuracy, and answers in words.

The metric is the share of right answers; logits that are not numbers are wrong. Slices are the
groups that an example belongs to.

    B  examples    V  classes
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.tasks.base import Answer, Ratios, Split
from seqarena.tasks.examples import ExampleTask
from seqarena.tasks.inputs import unknown_answer


class LabelBatch(Batch):
    """A batch that knows the groups of its examples: what slices need and models are not told."""

    groups_B: tuple[tuple[str, ...], ...] = ()


class LabelTask(ExampleTask):
    """Abstract. A subclass sets `classes` and `_labels` beside what ExampleTask wants."""

    metric = "accuracy"
    lower_is_better = False
    causal = False
    classes: tuple[str, ...]  # in the order of the outputs
    _labels: dict[str, np.ndarray]  # of each split, numbers of classes

    def labels(self, split: str) -> np.ndarray:
        """The numbers of the classes of a split's examples, in their order."""
        return self._labels[split]

    @abstractmethod
    def groups(self, split: Split, index: int) -> tuple[str, ...]:
        """The slices that an example belongs to."""

    def scored_batch(self, split: Split, chosen_B: np.ndarray) -> Batch:
        batch = LabelBatch(*self.batch(split, chosen_B))
        batch.groups_B = tuple(self.groups(split, int(index)) for index in chosen_B)
        return batch

    def ratios(self, logits_BTV: Tensor, batch: Batch) -> Ratios:
        return label_ratios(logits_BTV, batch)


def label_ratios(logits_BTV: Tensor, batch: Batch) -> Ratios:
    """Right answers over examples, and of each group of a LabelBatch."""
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


def class_numbers(answers: Iterable[tuple[str, str]], classes: Sequence[str]) -> np.ndarray:
    """The number of each answer's class. `answers`: the place of each in its file, and its class.

    Raises UserError, with the place, for a class that is not one of `classes`.
    """
    number = {label: index for index, label in enumerate(classes)}
    found = []
    for place, label in answers:
        if label not in number:
            raise unknown_answer(place, "class", label, classes)
        found.append(number[label])
    return np.array(found)


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
