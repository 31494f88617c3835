"""The diagonal linear recurrence as written, one position after another, under autograd."""

import torch
from torch import Tensor

from seqarena.ops.diagonal import linear_recurrence


@linear_recurrence.truth("loop", serial_steps=lambda length: length)
def loop(a_BTD: Tensor, b_BTD: Tensor, start_BD: Tensor) -> Tensor:
    """Every h_t."""
    h_BD, outputs = start_BD, []
    # unbind, not a_BTD[:, t]: the backward pass of T selections would be quadratic in T
    for a_BD, b_BD in zip(a_BTD.unbind(1), b_BTD.unbind(1)):
        h_BD = a_BD * h_BD + b_BD
        outputs.append(h_BD)
    return torch.stack(outputs, dim=1)
