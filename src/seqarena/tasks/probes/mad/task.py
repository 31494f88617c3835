"""MAD: six small tasks, each for one skill of a sequence model.

Poli et al. 2024, "Mechanistic Design and Scaling of Hybrid Architectures", arXiv:2403.17844,
section 3 and appendix; the settings are the baseline ones of the authors' code (mad-lab).

    skill              vocabulary  length  training examples   asked
    recall             16          128     12,800              a value whose key was shown before
    noisy_recall       32          128     12,800              the same, a fifth of the pairs noise
    fuzzy_recall       16          128     12,800              the same, keys and values 1 to 3 long
    selective_copying  16          256     12,800              16 symbols among blanks, in order
    compression        16          32      12,800              every symbol, out of one vector
    memorization       256         32      256                 a value that training alone told

There is a fixed set of training examples, drawn from Philox(0, TRAIN), which every epoch visits in
a fresh order. Where the authors train on the next token of the whole sequence (the three recalls),
so does training here; what is scored are the asked positions alone. `examples.py` draws them.

Compression departs from the published form in the decoder: theirs is a two-layer network over the
sum of the vector and a position's sinusoid, here it is one linear map from the vector to all
positions, so that any architecture of the catalog enters unchanged.

    B  examples    T  positions    V  vocabulary
"""

import functools

import numpy as np
import torch
from torch import Tensor

from seqarena.core.batch import Problem
from seqarena.data.streams import Stream, philox
from seqarena.tasks.base import IGNORE, Batch, Ratios, mean_loss
from seqarena.tasks.probes.configs import MADConfig
from seqarena.tasks.probes.mad.examples import Examples, draw
from seqarena.tasks.probes.probe import ProbeTask, as_batch

_DRAWN = 100  # examples of one draw of training: the first ones do not depend on how many there are


class MADTask(ProbeTask[int]):
    """One skill; it has a single cell."""

    name = "mad"
    config: MADConfig

    def __init__(self, config: MADConfig) -> None:
        self.config = config.filled()
        self.cells = (0,)
        self.vocab_size = self.config.vocab_size
        self.evaluation_examples = config.evaluation_examples
        self.sequence_length = self.generate(philox(0, Stream.TEST, 0), 0, 1)[0].shape[1]

    @property
    def compresses(self) -> bool:
        """One vector answers for all positions."""
        return self.config.skill == "compression"

    @property
    def problem(self) -> Problem:
        if not self.compresses:
            return super().problem
        return Problem(
            form="label",
            num_outputs=self.config.length * self.vocab_size,
            vocab_size=self.vocab_size,
            max_length=self.sequence_length,
        )

    @functools.cached_property
    def training_examples(self) -> Examples:
        """All of them: inputs and next tokens (or answers), int64 [N, T] each."""
        parts = [
            draw(self.config, philox(0, Stream.TRAIN, first), _DRAWN, training=True)
            for first in range(0, self.config.training_examples, _DRAWN)
        ]
        count = self.config.training_examples
        inputs_NT, targets_NT = (np.concatenate(arrays)[:count] for arrays in zip(*parts))
        return Examples(inputs_NT, targets_NT)

    def training_batch(self, index: int, batch_size: int, *, seed: int) -> Batch:
        count = self.config.training_examples
        epochs_B, places_B = np.divmod(np.arange(batch_size) + index * batch_size, count)
        chosen_B = np.empty(batch_size, dtype=np.int64)
        for epoch in np.unique(epochs_B):
            here = epochs_B == epoch
            order_N = philox(seed, Stream.TRAIN, int(epoch)).permutation(count)
            chosen_B[here] = order_N[places_B[here]]
        inputs_NT, targets_NT = self.training_examples
        return as_batch((inputs_NT[chosen_B], targets_NT[chosen_B]))

    def steps_per_epoch(self, batch_size: int) -> int:
        return -(-self.config.training_examples // batch_size)

    def generate(
        self, generator: np.random.Generator, cell: int, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        return draw(self.config, generator, num_examples, training=False)

    def loss(self, logits_BTV: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        return mean_loss(self._by_position(logits_BTV).float(), batch, label_smoothing)

    def ratios(self, logits_BTV: Tensor, batch: Batch) -> Ratios:
        return super().ratios(self._by_position(logits_BTV), batch)

    def _by_position(self, logits_BTV: Tensor) -> Tensor:
        """Of compression, [B, 1, T V] becomes [B, T, V]; a baseline answers by position anyway."""
        if not self.compresses:
            return logits_BTV
        if logits_BTV.shape[1] > 1:
            return logits_BTV[..., : self.vocab_size]
        return logits_BTV.reshape(len(logits_BTV), self.config.length, self.vocab_size)

    def conditions(self, batch: Batch) -> list[str]:
        return [self.config.skill.replace("_", " ")] * len(batch.inputs_BT)

    @functools.cached_property
    def answer_shares(self) -> np.ndarray:
        """How often each token is the answer, counted on the test split."""
        batches = self.evaluation_batches("test", self.evaluation_examples)
        targets = torch.cat([batch.targets_BT.flatten() for batch in batches])
        counts = np.bincount(targets[targets != IGNORE].numpy(), minlength=self.vocab_size)
        return counts / counts.sum()

    def baseline(self) -> dict[str, float]:
        known = self.answer_shares[self.answer_shares > 0]
        return {"accuracy": float(known.max()), "loss_nats": float(-(known * np.log(known)).sum())}
