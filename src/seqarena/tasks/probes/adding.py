"""Adding: the sum of the two numbers of a long sequence that a marker points at.

Hochreiter & Schmidhuber 1997, section 5.4, in the form of Le et al. 2015, section 4.1:

    inputs    (u_t, m_t), t = 1 .. T    u_t uniform in [0, 1); m_t = 1 at one place of the first
                                        half and at one of the second, 0 elsewhere
    target    the sum of the two marked u                     one real number for the sequence

The metric is the mean squared error. Without memory the best answer is always 1, with an error
of 1/6, the variance of the sum. `solved` is the share of answers within `tolerance` (0.04, as in
1997) of the sum; of the constant answer 2 tolerance - tolerance^2. Slices: `solved`, and both by
`length T`.

The training loss, which records call loss_nats, is the squared error here and not in nats. The
numbers u are [0, 1) as they stand: a model has to tell them from the markers by their channel.

    B  examples    T  numbers
"""

import numpy as np
from torch import Tensor

from seqarena.core.batch import Problem
from seqarena.tasks.base import Batch, Ratios
from seqarena.tasks.probes.configs import AddingConfig
from seqarena.tasks.probes.probe import ProbeTask


class AddingTask(ProbeTask[int]):
    """A regression: one float32 target [B, 1] a sequence [B, T, 2]; a cell is a length."""

    name = "adding"
    metric = "mean_squared_error"
    lower_is_better = True
    config: AddingConfig

    def __init__(self, config: AddingConfig) -> None:
        self.config = config
        self.cells = config.lengths
        self.vocab_size = 1  # outputs: the sum
        self.sequence_length = max(config.lengths)
        self.evaluation_examples = config.evaluation_examples

    @property
    def problem(self) -> Problem:
        return Problem(
            form="label", targets="numbers", num_outputs=1, features=2,
            max_length=self.sequence_length,
        )  # fmt: skip

    @property
    def mean_length(self) -> float:
        return sum(self.cells) / len(self.cells)

    def generate(
        self, generator: np.random.Generator, cell: int, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Float32 inputs [num_examples, T, 2] and sums [num_examples, 1]."""
        values_BT = generator.random((num_examples, cell), dtype=np.float32)
        half = cell // 2
        first_B = generator.integers(half, size=num_examples)
        second_B = generator.integers(half, cell, size=num_examples)
        marked_B2 = np.stack([first_B, second_B], axis=1)
        markers_BT = np.zeros_like(values_BT)
        np.put_along_axis(markers_BT, marked_B2, 1, axis=1)
        sums_B1 = np.take_along_axis(values_BT, marked_B2, axis=1).sum(1, keepdims=True)
        return np.stack([values_BT, markers_BT], axis=2), sums_B1

    def conditions(self, batch: Batch) -> list[str]:
        return [f"length {batch.inputs_BT.shape[1]}"] * batch.inputs_BT.shape[0]

    def ratios(self, logits_BTV: Tensor, batch: Batch) -> Ratios:
        """Squared errors over examples. An answer that is no number solves nothing."""
        error_B = (logits_BTV[:, 0, 0].float().cpu() - batch.targets_BT[:, 0].cpu()).double()
        squared_B = error_B.square().numpy()
        size, name = len(squared_B), self.conditions(batch)[0]
        solved = float((error_B.abs() <= self.config.tolerance).sum())
        slices = {
            "solved": (solved, float(size)),
            name: (float(squared_B.sum()), float(size)),
            f"{name}, solved": (solved, float(size)),
        }
        return Ratios(squared_B, np.ones(size), slices)

    def baseline(self) -> dict[str, float]:
        """Of always answering 1. The sum of two uniform numbers has a triangular density."""
        tolerance = min(1.0, self.config.tolerance)
        return {"mean_squared_error": 1 / 6, "solved": 2 * tolerance - tolerance**2}
