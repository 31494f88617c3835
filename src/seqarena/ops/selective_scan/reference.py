"""The selective scan as written, one position after another, under autograd."""

import torch
from torch import Tensor

from seqarena.ops.selective_scan import selective_scan


@selective_scan.truth("loop", serial_steps=lambda length: length)
def loop(
    x_BTE: Tensor, step_BTE: Tensor, a_NE: Tensor, b_BTN: Tensor, c_BTN: Tensor, h_BNE: Tensor
) -> tuple[Tensor, Tensor]:
    """The outputs and the final state."""
    outputs = []
    for x_BE, step_BE, b_BN, c_BN in zip(*(s.unbind(1) for s in (x_BTE, step_BTE, b_BTN, c_BTN))):
        decay_BNE = torch.exp(step_BE[:, None] * a_NE)
        h_BNE = decay_BNE * h_BNE + b_BN[:, :, None] * (step_BE * x_BE)[:, None]
        outputs.append((c_BN[:, :, None] * h_BNE).sum(1))
    return torch.stack(outputs, dim=1), h_BNE
