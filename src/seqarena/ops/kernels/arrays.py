"""Tensors as a kernel takes them: a flat array over their memory, and their rows' strides."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor


class FlatRows(NamedTuple):
    """A tensor [B, T, D] whose last axis is contiguous: position (b, t, d) is at b * `batch` +
    t * `time` + d of the flat array."""

    flat: np.ndarray
    batch: int
    time: int


def rows(x_BTD: Tensor) -> FlatRows:
    """The memory itself where the last axis is contiguous, else a copy."""
    if x_BTD.stride(2) != 1 and x_BTD.shape[2] != 1:
        x_BTD = x_BTD.contiguous()
    return FlatRows(flat(x_BTD), x_BTD.stride(0), x_BTD.stride(1))


def flat(x: Tensor) -> np.ndarray:
    """The memory of a tensor from its first number to its last, as it lies there."""
    x = x.detach()
    if x.is_contiguous():
        return x.view(-1).numpy()
    span = 1 + sum((size - 1) * stride for size, stride in zip(x.shape, x.stride()))
    return x.as_strided((span,), (1,)).numpy()


def unless_recorded(*arguments: Any) -> tuple[Any, ...]:
    """The arguments, without their need of gradients where none are recorded: a form then keeps
    nothing for the way back (`ctx.needs_input_grad` does not ask whether gradients are off)."""
    if torch.is_grad_enabled():
        return arguments
    return tuple(x.detach() if isinstance(x, Tensor) else x for x in arguments)


def is_traced(x: Tensor) -> bool:
    """Whether there are no numbers to read: a graph is being recorded, or the device is meta."""
    return torch.compiler.is_compiling() or x.is_meta
