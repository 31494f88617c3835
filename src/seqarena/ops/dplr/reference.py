"""The bilinear rule, one position after another, under autograd."""

import torch
from torch import Tensor

from seqarena.ops.dplr import DPLR, dplr_ssm


@dplr_ssm.truth("loop", serial_steps=lambda length: length)
def loop(
    u_BTD: Tensor, system: DPLR, start_BDN: Tensor | None, lengths_B: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The outputs and the state after each row's last real position."""
    rate_D1 = 2 / system.step_D[:, None]
    inverse_DN = 1 / (rate_D1 - system.a_DN)  # of the diagonal part
    solved_DN = inverse_DN * system.p_DN
    damping_D1 = 1 / (1 + real_sum(system.p_DN.conj() * solved_DN))
    h_BDN = zero_state(u_BTD, system) if start_BDN is None else start_BDN
    outputs = []
    for t, u_BD in enumerate(u_BTD.unbind(1)):
        right_BDN = (rate_D1 + system.a_DN) * h_BDN + 2 * system.b_DN * u_BD[..., None]
        right_BDN = right_BDN - system.p_DN * real_sum(system.p_DN.conj() * h_BDN)
        next_BDN = inverse_DN * right_BDN
        projected_BD1 = damping_D1 * real_sum(system.p_DN.conj() * next_BDN)
        next_BDN = next_BDN - solved_DN * projected_BD1
        if lengths_B is not None:
            next_BDN = torch.where((t < lengths_B)[:, None, None], next_BDN, h_BDN)
        h_BDN = next_BDN
        outputs.append(real_sum(system.c_DN * h_BDN)[..., 0])
    return torch.stack(outputs, dim=1), h_BDN


def zero_state(u_BTD: Tensor, system: DPLR) -> Tensor:
    """The complex state before the first position."""
    return system.c_DN.new_zeros(u_BTD.shape[0], *system.c_DN.shape)


def real_sum(x_DN: Tensor) -> Tensor:
    """The sum over the states and their conjugates, [..., 1]."""
    return 2 * x_DN.real.sum(-1, keepdim=True)
