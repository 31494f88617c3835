"""What a training would hold in memory, predicted from short lengths before a long one runs.

    peak(T) = max(16 P, 12 P + a + b T + c T^2)       P parameters, in float32

A weight and AdamW's two moments stand beside what the forward pass saved when the backward pass
begins; gradients of all parameters stand only when it has ended, and by then what was saved is
gone. a, b and c are bytes, counted at three short lengths: every tensor that is saved for the
backward pass, and twice the largest of those with a gradient, since that and the gradient before
it stand side by side. Where blocks are rounded up the bytes are no polynomial, and the prediction
is off by the rounding. Scratch memory of operations is not in it.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from seqarena.core.errors import UserError
from seqarena.core.runtime import autocast
from seqarena.measure.costs.bench import Bench
from seqarena.measure.costs.memory import filled_memory, unwritten_bytes
from seqarena.models.model import Model

_BLOCK = 64  # positions: a multiple of what chunked and banded algorithms treat at once


class TrainingBytes(NamedTuple):
    """Peak bytes of a training step as they are predicted."""

    activations: tuple[float, float, float]  # a, b, c
    counted_at: tuple[int, ...]  # lengths that they were found at

    def at(self, length: int, weights: int) -> float:
        """The peak, of trainable parameters that take `weights` bytes."""
        a, b, c = self.activations
        return max(after_backward(weights), 3 * weights + a + b * length + c * length**2)

    def quadratic(self, length: int) -> float:
        """The part that grows as the square of the length."""
        return self.activations[2] * length**2


def after_backward(weights: int) -> int:
    """Weights, gradients and two moments: the least that a training step holds at any length."""
    return 4 * weights


def weight_bytes(model: Model) -> int:
    """Of the trainable parameters."""
    return sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)


def predict_training_bytes(bench: Bench, lengths: Sequence[int]) -> TrainingBytes:
    """The prediction for all `lengths`, from counting at three short ones."""
    places = _short_lengths(bench, lengths)
    counts = [activation_bytes(bench, length) for length in places]
    if len(places) < 3:
        return TrainingBytes((counts[0], 0.0, 0.0), places)
    h, (one, two, three) = places[0], counts
    # where blocks are rounded up the bend may seem negative
    c = max(0.0, (three - 2 * two + one) / (2 * h**2))
    b = (three - two) / h - c * 5 * h
    return TrainingBytes((three - b * 3 * h - c * 9 * h**2, b, c), places)


def activation_bytes(bench: Bench, length: int) -> int:
    """Bytes of what one forward pass saves for its backward pass, each storage once and without
    the parameters, and twice the largest of it. Of a kernel's workspace on the CPU, what the pass
    writes of it (measure/costs/memory.py)."""
    trainer = bench.trainer(bench.model(length), length)
    trainer.model.train()
    own = {p.untyped_storage().data_ptr() for p in trainer.model.parameters()}
    found: dict[int, int] = {}
    differentiable: dict[int, int] = {}  # a kernel's workspace and a mask have no gradient
    workspaces: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
        if tensor.is_floating_point() or tensor.is_complex():
            differentiable[storage.data_ptr()] = storage.nbytes()
        elif tensor.dtype == torch.uint8 and bench.device == "cpu":
            workspaces.append(tensor.detach())
        return tensor.detach()  # the tensor itself could hold its own graph alive

    def forward() -> Tensor:
        hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
        with hooks, autocast(bench.device, bench.dtype):
            return trainer.model.loss(bench.batch(length), trainer.criterion)

    loss = forward()  # held until the counting is done, so that no storage is given out twice
    saved = sum(size for place, size in found.items() if place not in own)
    largest = max((size for place, size in differentiable.items() if place not in own), default=0)
    del loss
    if workspaces:
        workspaces.clear()
        with filled_memory():
            loss = forward()
        saved -= sum(unwritten_bytes(one) for one in workspaces)
        del loss
    return saved + 2 * largest


def free_bytes(device: str) -> int:
    """Memory that could still be given out."""
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info(device)[0]
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    if not hasattr(os, "sysconf"):
        raise UserError("this system does not tell its free memory: give limit_bytes")
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _short_lengths(bench: Bench, lengths: Sequence[int]) -> tuple[int, ...]:
    """64, 128 and 192, whole blocks of every algorithm, or as many times the longest where that is
    shorter; what reads one length alone, or none so long, is counted where it can be."""
    problem = bench.subject.problem(max(lengths))
    if problem.image is not None:
        return (problem.image[0] * problem.image[1],)
    first = min(_BLOCK, max(lengths))
    if bench.why_no_length(3 * first) is not None and bench.subject.checkpoint is not None:
        first = problem.max_length // 3
    return (first, 2 * first, 3 * first) if first else (problem.max_length,)
