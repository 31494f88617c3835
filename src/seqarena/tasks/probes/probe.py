"""What the synthetic probes share: examples drawn on the spot, questions marked by their targets.

A probe has one or several cells (settings of equal length); a batch comes from one cell. Training
batch `index` takes cell `index` modulo their number and draws from Philox(seed, TRAIN, index).
Each evaluation split is drawn once from Philox(0, VALIDATION or TEST, cell). The three streams
differ in the key, so that no seed and no index can make them meet.

The metric is accuracy, the share of all questions whose greatest logit is right; a question whose
logits are not numbers is wrong. Slices give the same by condition.

    B  examples      T  sequence length      V  vocabulary      Q  questions of a batch
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from seqarena.core.config import Config, digest
from seqarena.data.batches import spread
from seqarena.data.streams import Stream, philox
from seqarena.tasks.base import IGNORE, Batch, Ratios, Split, Task

if TYPE_CHECKING:
    from seqarena.tasks.baselines.baseline import Baseline

Cell = TypeVar("Cell")

_STREAMS = {"validation": Stream.VALIDATION, "test": Stream.TEST}


class ProbeTask(Task, Generic[Cell]):
    """A synthetic task scored by accuracy. The answer never stands ahead of its question."""

    metric = "accuracy"
    lower_is_better = False
    causal = False
    config: Config
    cells: tuple[Cell, ...]
    evaluation_examples: int  # of each cell

    @abstractmethod
    def generate(
        self, generator: np.random.Generator, cell: Cell, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets, int64 [num_examples, T] each."""

    @abstractmethod
    def conditions(self, batch: Batch) -> list[str]:
        """The name of the slice that each example belongs to, read from the example itself."""

    @abstractmethod
    def baseline(self) -> dict[str, float]:
        """`accuracy` and `loss_nats` of the best guesser that remembers nothing."""

    def baselines(self) -> "tuple[Baseline, ...]":
        from seqarena.tasks.baselines.catalog import baselines_of

        return baselines_of(self.name) or baselines_of("copying")

    def training_batch(self, index: int, batch_size: int, *, seed: int) -> Batch:
        cell = self.cells[index % len(self.cells)]
        return as_batch(self.generate(philox(seed, Stream.TRAIN, index), cell, batch_size))

    def cells_of(self, split: Split) -> tuple[Cell, ...]:
        """The settings that a split asks about."""
        return self.cells

    def num_evaluation_examples(self, split: Split) -> int:
        return self.evaluation_examples * len(self.cells_of(split))

    def evaluation_batches(
        self, split: Split, batch_size: int, max_batches: int | None = None
    ) -> Iterator[Batch]:
        """Cell by cell; a batch never mixes two."""
        selected = self._num_selected(split, batch_size, max_batches)
        examples = spread(self.num_evaluation_examples(split), selected)
        settings = self.cells_of(split)
        cells, places = np.divmod(examples, self.evaluation_examples)
        for cell in np.unique(cells):
            generator = philox(0, _STREAMS[split], int(cell))
            inputs, targets = self.generate(generator, settings[cell], self.evaluation_examples)
            here = places[cells == cell]
            for first in range(0, len(here), batch_size):
                chosen = here[first : first + batch_size]
                yield as_batch((inputs[chosen], targets[chosen]))

    def ratios(self, logits_BTV: Tensor, batch: Batch) -> Ratios:
        asked_BT = batch.targets_BT != IGNORE
        example_Q, position_Q = asked_BT.nonzero(as_tuple=True)
        # most positions ask nothing, and a row of logits can be long: look at the questions alone
        logits_QV = logits_BTV[example_Q.to(logits_BTV.device), position_Q.to(logits_BTV.device)]
        right_Q = logits_QV.argmax(-1).cpu() == batch.targets_BT[example_Q, position_Q].cpu()
        right_Q &= ~logits_QV.isnan().any(-1).cpu()
        asked_B = np.bincount(example_Q.cpu().numpy(), minlength=len(asked_BT)).astype(np.float64)
        right_B = np.bincount(
            example_Q.cpu().numpy(), weights=right_Q.numpy(), minlength=len(asked_BT)
        )
        conditions = np.array(self.conditions(batch))
        slices = {
            str(name): (
                float(right_B[conditions == name].sum()),
                float(asked_B[conditions == name].sum()),
            )
            for name in np.unique(conditions)
        }
        return Ratios(right_B, asked_B, slices)

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "origin": "generated",
            "vocab_size": self.vocab_size,
            "sequence_length": self.sequence_length,
            "settings": self.config.model_dump(mode="json"),
            "evaluation_examples": self.num_evaluation_examples("test"),
            "baseline": self.baseline(),
        }

    def digest(self) -> str:
        return digest(self.config)


def as_batch(examples: tuple[np.ndarray, np.ndarray]) -> Batch:
    """Inputs and targets as they were drawn, as tensors."""
    inputs, targets = examples
    return Batch(torch.from_numpy(inputs), torch.from_numpy(targets))
