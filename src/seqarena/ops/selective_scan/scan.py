"""All coefficients written out, then the parallel prefix of ops/diagonal: memory B T N E."""

import torch
from torch import Tensor

from seqarena.ops.diagonal import linear_recurrence
from seqarena.ops.diagonal.scan import serial_steps
from seqarena.ops.selective_scan import selective_scan


@selective_scan.algorithm("scan", serial_steps=serial_steps)
def scan(
    x_BTE: Tensor, step_BTE: Tensor, a_NE: Tensor, b_BTN: Tensor, c_BTN: Tensor, start_BNE: Tensor
) -> tuple[Tensor, Tensor]:
    """The outputs and the final state."""
    decay_BTNE = torch.exp(step_BTE[:, :, None] * a_NE)
    input_BTNE = b_BTN[..., None] * (step_BTE * x_BTE)[:, :, None]
    h_BTNE = linear_recurrence(decay_BTNE, input_BTNE, start_BNE, algorithm="scan")
    return (c_BTN[:, :, None] @ h_BTNE).squeeze(2), h_BTNE[:, -1].clone()
