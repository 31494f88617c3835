"""Active memory: systems that transform their whole memory at once, as often as the input is long.

An input of n positions is written into a memory with one cell per position; the same step, a small
convolution, is applied n times; the answer is read where the input stood (Kaiser & Bengio 2016,
"Can active memory replace attention?"). The Neural GPUs (neural_gpu.py, diagonal_neural_gpu.py)
differ in the step alone.

Each row takes as many steps as it has real positions itself, and what lies beyond them is zero
before every step. Published code pads to a bin and steps as often as the bin is long, so that its
answers depend on the bin; here an example alone and the same example in a padded batch agree.

    B  examples    T  positions    M  maps    A  rows still at work
"""

from abc import abstractmethod
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from seqarena.core.batch import Batch, Problem
from seqarena.core.errors import UserError
from seqarena.core.shapes import lengths_to_mask
from seqarena.mixers.base import Complexity
from seqarena.models.model import System, SystemOptions
from seqarena.ops.padding import Aligned, left_align, restore


class ActiveMemoryOptions(SystemOptions):
    """In training, every batch takes 0 to `spare_steps` steps more than its rows are long, so that
    an answer has to stay once it is found; padding to bins does as much in the published code."""

    spare_steps: int = Field(0, ge=0)


class ActiveMemory(System):
    """What the Neural GPUs share: writing the input, the loop over steps, reading the answer.

    One label is read at the first position: n steps bring it news from every other one.
    """

    Options = ActiveMemoryOptions
    options: Any
    forms = ("tokens", "label")
    takes = ("features",)
    targets = ("classes", "numbers")
    causal = False
    complexity = Complexity(
        work="T^2 D^2", serial_steps="T", path_length="distance", state="sees the future"
    )

    def __init__(self, problem: Problem, width: int, options: ActiveMemoryOptions) -> None:
        super().__init__(problem, width, options)
        if width < 1:
            raise UserError(f"{type(self).__name__} needs at least 1 map, not {width}")
        if problem.features:
            self.write = nn.Linear(problem.features, width)
        else:
            self.write = nn.Embedding(problem.vocab_size, width)
        self.read = nn.Linear(width, problem.num_outputs)
        nn.init.xavier_uniform_(self.write.weight)
        nn.init.xavier_uniform_(self.read.weight)
        nn.init.zeros_(self.read.bias)

    @abstractmethod
    def initial_memory(self, x_BTM: Tensor, mask_BT: Tensor | None) -> Tensor:
        """The memory before the first step, [B, T, ...], from the written input."""

    @abstractmethod
    def advance(self, memory: Tensor, mask_AT: Tensor | None, step: int) -> Tensor:
        """The memory one step further, same shape. What it puts at padding is thrown away."""

    @abstractmethod
    def end(self, memory: Tensor) -> Tensor:
        """What the answer is read from: [B, T, M]."""

    def answer(self, batch: Batch) -> Tensor:
        memory, aligned = self.run(batch)
        final_BTM = self.end(memory)
        if self.problem.form == "label":
            return self.read(final_BTM[:, :1])
        return self.read(final_BTM if aligned is None else restore(final_BTM, aligned))

    def run(self, batch: Batch) -> tuple[Tensor, Aligned | None]:
        """The memory after each row's last step, where the real positions of a row stand first,
        and how they were brought there (None without a mask)."""
        x_BTM = self.write(batch.inputs_BT)
        if batch.mask_BT is None:
            return self._steps(self.initial_memory(x_BTM, None), None, None), None
        aligned = left_align(x_BTM, batch.mask_BT)
        real_BT = lengths_to_mask(aligned.lengths_B, x_BTM.shape[1])
        memory = self._steps(
            self.initial_memory(aligned.x_BTD, real_BT), real_BT, aligned.lengths_B
        )
        return memory, aligned

    def _steps(self, memory: Tensor, real_BT: Tensor | None, lengths_B: Tensor | None) -> Tensor:
        """Longest rows first, so that the rows still at work are always the first ones."""
        most = self.options.spare_steps if self.training else 0
        spare = int(torch.randint(most + 1, ())) if most else 0
        if real_BT is None or lengths_B is None:
            for step in range(memory.shape[1] + spare):
                memory = self.advance(memory, None, step)
            return memory
        order_B = lengths_B.argsort(descending=True, stable=True)
        lengths = (lengths_B[order_B] + spare).tolist()
        memory, mask_AT = _blank(memory[order_B], real_BT[order_B]), real_BT[order_B]
        done: list[Tensor] = []
        for step in range(max(lengths)):
            active = sum(length > step for length in lengths)
            if active < memory.shape[0]:
                done.append(memory[active:])
                memory, mask_AT = memory[:active], mask_AT[:active]
            memory = _blank(self.advance(memory, mask_AT, step), mask_AT)
        return torch.cat([memory, *reversed(done)])[order_B.argsort()]

    @property
    def algorithms(self) -> tuple[str, ...]:
        return ("steps",)

    def state_bytes(self, length: int) -> int:
        return 0

    def _outer_flops(self, length: int) -> int:
        """Of writing and reading: looking a token up is no arithmetic."""
        read = length if self.problem.form == "tokens" else 1
        return 2 * self.width * (length * self.problem.features + read * self.problem.num_outputs)


def _blank(memory: Tensor, mask_AT: Tensor) -> Tensor:
    """Zeros at padding, whatever stood there."""
    return memory.masked_fill(~mask_AT.view(*mask_AT.shape, *[1] * (memory.dim() - 2)), 0.0)


def dropped(x: Tensor, rate: float, training: bool) -> Tensor:
    """Dropout that costs nothing where there is none."""
    return F.dropout(x, rate, training) if rate else x
