"""Blocks of positions and features at once on a GPU, in Triton (ops/triton_kernels/diagonal.py): a
prefix scan inside each block, the recurrence between them by the same kernel. Each pass reads a and
b twice and writes h once; float32 or complex64."""

import math

import torch
from torch import Tensor

from seqarena.ops.diagonal import linear_recurrence
from seqarena.ops.diagonal.gradient import Passes, differentiable
from seqarena.ops.registry import TRITON

BLOCK_LENGTH = 64  # the kernel's


def serial_steps(length: int, block: int = BLOCK_LENGTH) -> int:
    """The longest chain of dependent multiply-adds: a prefix scan in blocks of `block` positions,
    and those of the recurrence between the blocks, which is this kernel's."""
    steps = math.ceil(math.log2(block)) + 1
    return steps + (serial_steps(-(-length // block)) if length > block else 0)


@linear_recurrence.algorithm("triton", **TRITON, serial_steps=serial_steps)
def block_kernel(a_BTD: Tensor, b_BTD: Tensor, start_BD: Tensor) -> Tensor:
    """Every h_t."""
    return differentiable(a_BTD, b_BTD, start_BD, _PASSES)


def _forward(a_BTD: Tensor, b_BTD: Tensor, start_BD: Tensor) -> Tensor:
    from seqarena.ops.triton_kernels.diagonal import states

    a, b, start = _flat(a_BTD), _flat(b_BTD), start_BD.flatten(1)
    return states(a, b, start).view(b_BTD.shape)


def _backward(a_BTD: Tensor, dh_BTD: Tensor) -> Tensor:
    from seqarena.ops.triton_kernels.diagonal import states

    a, dh = _flat(a_BTD), _flat(dh_BTD)
    return states(a, dh, torch.zeros_like(dh[:, 0]), from_the_end=True, shift=1).view(dh_BTD.shape)


def _flat(x_BTD: Tensor) -> Tensor:
    """[B, T, D] with one axis of features, without a copy where the strides allow it."""
    return x_BTD.resolve_conj().reshape(*x_BTD.shape[:2], -1)


_PASSES = Passes(_forward, _backward)
