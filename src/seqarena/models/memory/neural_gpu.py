"""The Neural GPU (Kaiser & Sutskever 2016, "Neural GPUs Learn Algorithms"; published code:
tensorflow/models, research/neural_gpu).

The memory is an image s of W columns by T positions with M maps. The input is written into the
first column, the others begin at zero; each of T steps applies L convolutional gated recurrent
units (CGRU) one after the other, and the answer is read from the first column. With * a
convolution over 3 by 3 cells,

    u  = sigma(U'' * s + B'')        sigma(x) = max(0, min(1, 1.2 sigmoid(x) - 0.1))
    r  = sigma(U' * s + B')
    s' = u s + (1 - u) tanh(U * (r s) + B)

Parameter sharing relaxation (section 4): step t uses the weights number t mod R. They are pulled
together by a quadratic cost that grows over training, and from `tied_from` on there is one set,
their mean. R = 1, the default, shares from the start, as the later published code does.

    B  examples    T  positions    W  columns    M  maps    L  CGRUs of a step    R  sets of weights
"""

from collections.abc import Callable

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from seqarena.core.batch import Batch, Problem
from seqarena.models.memory.active_memory import ActiveMemory, ActiveMemoryOptions, dropped

GATE_BIAS = 1.0  # gates begin nearly open: most of the memory is kept
GAIN = 1.44  # of the orthogonal initialisation, as in the published code


class NeuralGPUOptions(ActiveMemoryOptions):
    """Dropout falls on the memory before each step, at `dropout * min(1, 3 / sqrt(T))` for a row
    of T positions, so that long rows, which take more steps, do not lose more."""

    columns: int = Field(4, ge=1)
    layers: int = Field(2, ge=1)
    relaxation: int = Field(1, ge=1)  # sets of weights
    pull: tuple[float, float] = (5e-4, 1.0)  # weight of the pull at the start and when tied
    tied_from: float = Field(0.5, ge=0, le=1)  # share of the budget


class NeuralGPU(ActiveMemory):
    """Convolutional gated recurrent units over an image."""

    Options = NeuralGPUOptions
    options: NeuralGPUOptions
    equation = """
        u  = sigma(U'' * s + B'')        sigma(x) = max(0, min(1, 1.2 sigmoid(x) - 0.1))
        r  = sigma(U' * s + B')
        s' = u s + (1 - u) tanh(U * (r s) + B)
    """

    def __init__(self, problem: Problem, width: int, options: NeuralGPUOptions) -> None:
        super().__init__(problem, width, options)
        sets = (options.relaxation, options.layers)
        # rows: the 9 cells around, M maps each; columns of the gates: r, then u
        self.gates = nn.Parameter(torch.empty(*sets, 9 * width, 2 * width))
        self.candidate = nn.Parameter(torch.empty(*sets, 9 * width, width))
        self.gate_bias = nn.Parameter(torch.full((*sets, 2 * width), GATE_BIAS))
        self.candidate_bias = nn.Parameter(torch.zeros(*sets, width))
        for one in (*self.gates.detach().flatten(0, 1), *self.candidate.detach().flatten(0, 1)):
            for kernel in one.split(width, dim=1):
                nn.init.orthogonal_(kernel, gain=GAIN)
        # of the budget spent; saved with the weights, for it says how they are to be used
        self.share = nn.Buffer(torch.zeros(()))

    def at_progress(self, share: float) -> None:
        self.share.fill_(share)

    @property
    def tied(self) -> bool:
        """Whether there is one set of weights, the mean, by now."""
        return bool(self.share >= self.options.tied_from)

    def initial_memory(self, x_BTM: Tensor, mask_BT: Tensor | None) -> Tensor:
        return F.pad(x_BTM[:, :, None], (0, 0, 0, self.options.columns - 1))

    def advance(self, memory: Tensor, mask_AT: Tensor | None, step: int) -> Tensor:
        if self.training and self.options.dropout:
            memory = self._dropped(memory, mask_AT)
        for layer in range(self.options.layers):
            if layer and mask_AT is not None:
                memory = memory.masked_fill(~mask_AT[:, :, None, None], 0.0)
            memory = self.unit(memory, *self._weights(step, layer))
        return memory

    @staticmethod
    def unit(
        s_BTWM: Tensor, gates: Tensor, candidate: Tensor, gate_bias: Tensor, candidate_bias: Tensor
    ) -> Tensor:
        """One CGRU."""
        open_ = 1.2 * torch.sigmoid(around(s_BTWM) @ gates + gate_bias) - 0.1
        r, u = open_.clamp(0.0, 1.0).chunk(2, dim=-1)
        c = torch.tanh(around(r * s_BTWM) @ candidate + candidate_bias)
        return torch.lerp(c, s_BTWM, u)

    def end(self, memory: Tensor) -> Tensor:
        return memory[:, :, 0]

    def loss(self, batch: Batch, criterion: Callable[[Tensor, Batch], Tensor]) -> Tensor:
        """The task's loss and, while weights are relaxed, what pulls them together."""
        loss = super().loss(batch, criterion)
        if not self.training or self.options.relaxation == 1 or self.tied:
            return loss
        first, last = self.options.pull
        done = float(self.share) / self.options.tied_from
        apart = sum((p - p.mean(0)).square().sum() for p in self._shared())
        return loss + first * (last / first) ** done * apart

    def _shared(self) -> tuple[nn.Parameter, ...]:
        return self.gates, self.candidate, self.gate_bias, self.candidate_bias

    def _weights(self, step: int, layer: int) -> tuple[Tensor, ...]:
        sets = self.options.relaxation
        if sets > 1 and self.tied:
            return tuple(p[:, layer].mean(0) for p in self._shared())
        return tuple(p[step % sets, layer] for p in self._shared())

    def _dropped(self, memory: Tensor, mask_AT: Tensor | None) -> Tensor:
        """Each row at its own rate."""
        if mask_AT is None:
            rate = self.options.dropout * min(1.0, 3.0 / memory.shape[1] ** 0.5)
            return dropped(memory, rate, self.training)
        lengths_A = mask_AT.sum(1).clamp(min=1)
        rate_A = self.options.dropout * (3.0 / lengths_A.to(memory.dtype).sqrt()).clamp(max=1.0)
        kept_A = (1.0 - rate_A)[:, None, None, None]
        return memory * (torch.rand_like(memory) < kept_A) / kept_A

    def flops(self, length: int) -> int:
        cells = length * self.options.columns
        unit = 2 * 9 * 3 * self.width**2
        return length * self.options.layers * cells * unit + self._outer_flops(length)

    def serial_steps(self, length: int) -> int:
        return 2 + 6 * self.options.layers * length  # product, gate, reset, product, tanh, mix


def around(s_BTWM: Tensor) -> Tensor:
    """The 3 by 3 cells around each cell, position by position: [B, T, W, 9 M]; zeros beyond the
    edges."""
    _, T, W, _ = s_BTWM.shape
    wide = F.pad(s_BTWM, (0, 0, 1, 1, 1, 1))
    return torch.cat([wide[:, i : i + T, j : j + W] for i in range(3) for j in range(3)], dim=-1)
