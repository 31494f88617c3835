"""The Diagonal Neural GPU (Freivalds & Liepins 2017, "Improving the Neural GPU Architecture for
Algorithm Learning"; published code: LUMII-Syslab/DNGPU).

One memory cell s of M maps per position; with * a convolution over 3 positions,

    r  = hard_sigmoid(W_r * s + b_r)         hard_tanh(x)    = max(-1, min(1, x))
    c  = hard_tanh(W_c * (r s) + b_c)        hard_sigmoid(x) = (hard_tanh(x) + 1) / 2
    u  = hard_sigmoid(W_u * s + b_u)
    s' = u shifted(s) + (1 - u) c

`shifted` is the diagonal gate: the first maps stay, a third of all come from the position before,
and a third from the position behind, so that information can travel unchanged.
Hard nonlinearities have no gradient where they are saturated; a saturation cost, what goes beyond
0.9 on either side, keeps them alive and is added to the loss.

    B  examples    T  positions    M  maps
"""

from collections.abc import Callable

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from seqarena.core.batch import Batch, Problem
from seqarena.models.memory.active_memory import ActiveMemory, ActiveMemoryOptions, dropped

SATURATION_LIMIT = 0.9
_BIAS_R, _BIAS_C, _BIAS_U = 0.5, 0.0, 0.7  # where the published code starts


class DiagonalNeuralGPUOptions(ActiveMemoryOptions):
    """Dropout falls on the candidate c; published: 0.5 for addition, 0.1 for multiplication."""

    saturation_weight: float = Field(1e-3, ge=0)  # of the saturation cost, at most
    saturation_share: float = Field(0.01, ge=0)  # of the task's loss, at most


class DiagonalNeuralGPU(ActiveMemory):
    """The diagonal convolutional gated recurrent unit over one line of cells."""

    Options = DiagonalNeuralGPUOptions
    options: DiagonalNeuralGPUOptions
    equation = """
        r  = hard_sigmoid(W_r * s + b_r)         hard_tanh(x)    = max(-1, min(1, x))
        c  = hard_tanh(W_c * (r s) + b_c)        hard_sigmoid(x) = (hard_tanh(x) + 1) / 2
        u  = hard_sigmoid(W_u * s + b_u)
        s' = u shifted(s) + (1 - u) c
    """

    def __init__(self, problem: Problem, width: int, options: DiagonalNeuralGPUOptions) -> None:
        super().__init__(problem, width, options)
        # rows: position before, here, behind, M maps each; columns of the gates: r, then u
        self.gates = nn.Parameter(torch.empty(3 * width, 2 * width))
        self.candidate = nn.Parameter(torch.empty(3 * width, width))
        self.gate_bias = nn.Parameter(torch.tensor([_BIAS_R, _BIAS_U]).repeat_interleave(width))
        self.candidate_bias = nn.Parameter(torch.full((width,), _BIAS_C))
        limit = (1 / width) ** 0.5  # Glorot's sqrt(6 / (3 M + 3 M))
        nn.init.uniform_(self.gates, -limit, limit)
        nn.init.uniform_(self.candidate, -limit, limit)
        self._saturation: list[Tensor] | None = None  # collected while a loss is computed

    def initial_memory(self, x_BTM: Tensor, mask_BT: Tensor | None) -> Tensor:
        if self._saturation is not None:  # as often as there are steps: it weighs as much as they
            steps = x_BTM.shape[1] if mask_BT is None else mask_BT.sum(1, keepdim=True)
            self._collect(x_BTM, mask_BT, steps)
        return dropped(F.hardtanh(x_BTM), self.options.dropout, self.training)

    def advance(self, memory: Tensor, mask_AT: Tensor | None, step: int) -> Tensor:
        gates = neighbours(memory) @ self.gates + self.gate_bias
        r, u = (0.5 * F.hardtanh(gates) + 0.5).chunk(2, dim=-1)
        c = neighbours(r * memory) @ self.candidate + self.candidate_bias
        if self._saturation is not None:
            self._collect(gates, mask_AT)
            self._collect(c, mask_AT)
        kept = dropped(F.hardtanh(c), self.options.dropout, self.training)
        return torch.lerp(kept, shifted(memory), u)

    def end(self, memory: Tensor) -> Tensor:
        return memory

    def loss(self, batch: Batch, criterion: Callable[[Tensor, Batch], Tensor]) -> Tensor:
        """The task's loss and the saturation cost: per position and step, at a weight that keeps
        it below a small share of the task's loss (the published code sets that weight now and
        then from running means, here each batch sets its own)."""
        if not self.training or not self.options.saturation_weight:
            return super().loss(batch, criterion)
        self._saturation = []
        try:
            loss = super().loss(batch, criterion)
            cost = torch.stack(self._saturation).sum() / self._places(batch)
        finally:
            self._saturation = None
        most = self.options.saturation_share * loss.detach() / cost.detach().clamp_min(1e-20)
        return loss + cost * most.clamp(max=self.options.saturation_weight)

    def _collect(self, x_ATK: Tensor, mask_AT: Tensor | None, times: int | Tensor = 1) -> None:
        beyond_AT = times * F.softshrink(x_ATK, SATURATION_LIMIT).abs().sum(-1)
        if mask_AT is not None:
            beyond_AT = beyond_AT * mask_AT
        assert self._saturation is not None
        self._saturation.append(beyond_AT.sum())

    @staticmethod
    def _places(batch: Batch) -> float:
        """Positions times steps, over all rows."""
        if batch.mask_BT is None:
            return float(batch.inputs_BT.shape[0] * batch.inputs_BT.shape[1] ** 2)
        return float(batch.mask_BT.sum(1).square().sum())

    def flops(self, length: int) -> int:
        return length * length * 2 * 3 * 3 * self.width**2 + self._outer_flops(length)

    def serial_steps(self, length: int) -> int:
        return 2 + 6 * length  # product, gate, reset, product, tanh, mix


def neighbours(s_BTM: Tensor) -> Tensor:
    """The cell before, the cell and the cell behind at every position: [B, T, 3 M]; zeros beyond
    the ends."""
    wide = F.pad(s_BTM, (0, 0, 1, 1))
    return torch.cat((wide[:, :-2], s_BTM, wide[:, 2:]), dim=-1)


def shifted(s_BTM: Tensor) -> Tensor:
    """A third of the maps (rounded down) taken from the position before, a third from the one
    behind; the rest, which come first, as they are."""
    third = s_BTM.shape[-1] // 3
    kept, before, behind = s_BTM.split((s_BTM.shape[-1] - 2 * third, third, third), dim=-1)
    return torch.cat((kept, F.pad(before, (0, 0, 1, -1)), F.pad(behind, (0, 0, -1, 1))), dim=-1)
