"""Coefficients written out, then the diagonal recurrence as written: the slow truth."""

import torch
from torch import Tensor

from seqarena.ops.diagonal import linear_recurrence
from seqarena.ops.minimal import candidate_value, minimal_recurrence


@minimal_recurrence.truth("loop", serial_steps=lambda length: length)
def loop(gate_BTE: Tensor, value_BTE: Tensor, start_BE: Tensor | None, candidate: str) -> Tensor:
    """Every h_t."""
    coefficients = written_out(gate_BTE, value_BTE, candidate)
    return linear_recurrence(*coefficients, start_BE, algorithm="loop")


def written_out(gate_BTE: Tensor, value_BTE: Tensor, candidate: str) -> tuple[Tensor, Tensor]:
    """a and b of the diagonal linear recurrence."""
    a_BTE = torch.sigmoid(-gate_BTE)  # 1 - z without its rounding
    return a_BTE, torch.sigmoid(gate_BTE) * candidate_value(value_BTE, candidate)
