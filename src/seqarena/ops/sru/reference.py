"""The published step, once for each position, under autograd."""

import torch
from torch import Tensor

from seqarena.ops.sru import sru


@sru.truth("loop", serial_steps=lambda length: length)
def loop(u_BTE: Tensor, a_BTE: Tensor, v_E: Tensor, c_BE: Tensor) -> Tensor:
    """Every c_t."""
    cells = []
    for u_BE, a_BE in zip(u_BTE.unbind(1), a_BTE.unbind(1)):
        f_BE = torch.sigmoid(a_BE + v_E * c_BE)
        c_BE = f_BE * c_BE + (1 - f_BE) * u_BE
        cells.append(c_BE)
    return torch.stack(cells, dim=1)
