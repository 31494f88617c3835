"""What tasks over a fixed set of examples share: batches by length, then a fixed order to score."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from seqarena.core.batch import Batch
from seqarena.data.batches import spread
from seqarena.data.buckets import BucketSampler
from seqarena.tasks.base import Split, Task


class ExampleTask(Task):
    """Abstract. A subclass sets `sampler` and `sizes`, and makes a batch of chosen examples."""

    sampler: BucketSampler  # over the training examples' lengths
    sizes: dict[str, int]  # examples of each split

    @abstractmethod
    def batch(self, split: str, chosen_B: np.ndarray) -> Batch:
        """Those examples of `train`, `validation` or `test`."""

    def scored_batch(self, split: Split, chosen_B: np.ndarray) -> Batch:
        """The same for an evaluation, where scoring may need to know more than a model does."""
        return self.batch(split, chosen_B)

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
            yield self.scored_batch(split, chosen[first : first + batch_size])


def longest_read(lengths: Iterable[int], artifacts: Mapping[str, str]) -> int:
    """The longest of the examples that are scored, or of training's where that was longer."""
    return max(*lengths, int(artifacts.get("sequence_length", 0)))
