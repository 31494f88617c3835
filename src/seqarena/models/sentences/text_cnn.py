"""Convolution over words with the maximum over time (Kim 2014, "Convolutional neural networks for
sentence classification", EMNLP).

    c_t = relu(w . x_{t:t+K-1} + b)      a feature map, over every window of K words    (2)
    z   = max_t c_t                      one number a filter                            (4)
    y   = W (z * r) + b                  r drops half of them in training               (5)

Filters have K = 3, 4 and 5 words, M of each; the rows of W are scaled back to length s = 3 whenever
they are longer. Published: D = 300 (word vectors), M = 100; here M is D / 3 unless given.

As in the author's code, words have zeros around them: a window may reach over either end of the
sentence, as long as it holds one of its words, so that a sentence shorter than a filter has windows
too. Of two sentences, each is encoded by itself: see models/sentences/sentence_input.py.

    N  sentences     T  positions     D  width (word vectors)     M  maps of one filter size
    K  filter size   E = M times the number of filter sizes
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqarena.core.batch import Batch, Form, Problem, Targets
from seqarena.core.errors import UserError
from seqarena.core.shapes import lengths_to_mask
from seqarena.mixers.base import Complexity
from seqarena.models.model import System, SystemOptions
from seqarena.models.sentences.sentence_input import SentenceInput


class TextCNNOptions(SystemOptions):
    """`maps` of each filter size; None: a third of the width, as published."""

    windows: tuple[int, ...] = (3, 4, 5)
    maps: int | None = None
    dropout: float = 0.5  # of the pooled features
    max_norm: float = 3.0  # of a row of the last layer's weights; 0: free


class TextCNN(System):
    """One convolution, one maximum, one linear map."""

    Options: ClassVar[type[SystemOptions]] = TextCNNOptions
    forms: ClassVar[tuple[Form, ...]] = ("label",)
    takes: ClassVar[tuple[str, ...]] = ("features",)
    targets: ClassVar[tuple[Targets, ...]] = ("classes", "numbers")
    dial: ClassVar[str | None] = "maps"
    equation = """
        c_t = relu(w . x_{t:t+K-1} + b)
        z   = max_t c_t
        y   = W (z * r) + b
    """
    complexity: ClassVar[Complexity] = Complexity("K T D^2", "1", "1", "none")

    def __init__(self, problem: Problem, width: int, options: TextCNNOptions) -> None:
        super().__init__(problem, width, options)
        if not options.windows or min(options.windows) < 1:
            raise UserError(f"text_cnn: windows {options.windows}: give sizes of at least 1 word")
        maps = max(1, round(width / 3)) if options.maps is None else options.maps
        if maps < 1:
            raise UserError(f"text_cnn: {maps} maps: at least 1 is needed")
        self.maps = maps
        self.max_norm = options.max_norm
        self.input = SentenceInput(problem, width)
        self.filters = nn.ModuleList(
            nn.Conv1d(width, maps, size, padding=size - 1) for size in options.windows
        )
        self.dropout = nn.Dropout(options.dropout)
        features = self.input.joined_size(maps * len(options.windows))
        self.head = nn.Linear(features, problem.num_outputs)

    def answer(self, batch: Batch) -> Tensor:
        pooled_BE = self.input.joined(self.encode(batch))
        return self.head(self.dropout(pooled_BE))[:, None]

    def encode(self, batch: Batch) -> Tensor:
        """The greatest value of each filter over each sentence: [N, E]."""
        x_NTD, _, lengths_N, _ = self.input(batch)
        x_NDT = x_NTD.transpose(1, 2)
        pooled = []
        for filters in self.filters:
            maps_NMT = F.relu(filters(x_NDT))
            overhang = maps_NMT.shape[2] - x_NDT.shape[2]  # K - 1 windows reach over the end
            real_NT = lengths_to_mask(lengths_N + overhang, maps_NMT.shape[2])
            # nothing is below a rectified zero, so zeros never win
            pooled.append(maps_NMT.masked_fill(~real_NT[:, None], 0.0).amax(2))
        return torch.cat(pooled, dim=1)

    def summary_vector(self, batch: Batch) -> Tensor:
        return self.encode(batch)[: len(batch.inputs_BT)]

    def at_progress(self, share: float) -> None:
        """Rows of the last layer that the step before made too long are scaled back."""
        if self.max_norm:
            with torch.no_grad():
                self.head.weight.copy_(torch.renorm(self.head.weight, 2, 0, self.max_norm))

    @property
    def algorithms(self) -> tuple[str, ...]:
        return ("convolution",)

    def flops(self, length: int) -> int:
        taps = [2 * size * self.width * self.maps for size in self.options.windows]
        windows = [
            sum(count + size - 1 for count in self.input.lengths(length))
            for size in self.options.windows
        ]
        head = 2 * self.head.in_features * self.head.out_features
        convolutions = sum(cost * count for cost, count in zip(taps, windows))
        return self.input.flops(length) + convolutions + head

    def state_bytes(self, length: int) -> int:
        """The maximum is over the whole sentence: there is nothing to continue."""
        return 0

    def serial_steps(self, length: int) -> int:
        """Convolution, rectifier, maximum, product; comparing two sentences is one step more."""
        return 4 + self.input.two
