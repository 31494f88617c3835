"""Coefficients written out, then the diagonal recurrence by `chunked`."""

from torch import Tensor

from seqarena.ops.diagonal import linear_recurrence
from seqarena.ops.diagonal.chunked import serial_steps
from seqarena.ops.minimal import minimal_recurrence
from seqarena.ops.minimal.reference import written_out


@minimal_recurrence.algorithm("chunked", serial_steps=serial_steps)
def chunked(gate_BTE: Tensor, value_BTE: Tensor, start_BE: Tensor | None, candidate: str) -> Tensor:
    """Every h_t."""
    coefficients = written_out(gate_BTE, value_BTE, candidate)
    return linear_recurrence(*coefficients, start_BE, algorithm="chunked")
