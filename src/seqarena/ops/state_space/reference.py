"""The diagonal state space as written, one position after another, under autograd."""

import torch
from torch import Tensor

from seqarena.ops.state_space import Diagonal, diagonal_ssm


@diagonal_ssm.truth("loop", serial_steps=lambda length: length)
def loop(
    u_BTD: Tensor, system: Diagonal, h_BDN: Tensor, lengths_B: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The outputs and the state after each row's last real position."""
    decay_DN, outputs = torch.exp(system.exponent_DN), []
    for t, u_BD in enumerate(u_BTD.unbind(1)):
        next_BDN = decay_DN * h_BDN + system.input_DN * u_BD[:, :, None]
        if lengths_B is not None:
            next_BDN = torch.where((t < lengths_B)[:, None, None], next_BDN, h_BDN)
        h_BDN = next_BDN
        outputs.append(2 * (system.output_DN * h_BDN).sum(-1).real)
    return torch.stack(outputs, dim=1), h_BDN
