"""Coefficients written out, then the diagonal recurrence by its kernel for a GPU, in Triton."""

from torch import Tensor

from seqarena.ops.diagonal import linear_recurrence
from seqarena.ops.diagonal.block_kernel import serial_steps
from seqarena.ops.minimal import minimal_recurrence
from seqarena.ops.minimal.reference import written_out
from seqarena.ops.registry import TRITON


@minimal_recurrence.algorithm("triton", **TRITON, serial_steps=serial_steps)
def block_kernel(
    gate_BTE: Tensor, value_BTE: Tensor, start_BE: Tensor | None, candidate: str
) -> Tensor:
    """Every h_t."""
    coefficients = written_out(gate_BTE, value_BTE, candidate)
    return linear_recurrence(*coefficients, start_BE, algorithm="triton")
