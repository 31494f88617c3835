"""What the forms that read many positions at once share: padded rows, and powers of the decay."""

from collections.abc import Callable

import torch
from torch import Tensor

from seqarena.core.shapes import lengths_to_mask
from seqarena.ops.state_space import Diagonal

Unpadded = Callable[[Tensor, Diagonal, Tensor], tuple[Tensor, Tensor]]


def with_padding(
    run: Unpadded,
    u_BTD: Tensor,
    system: Diagonal,
    start_BDN: Tensor,
    lengths_B: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """The outputs of `run`, and the state after each row's last real position."""
    y_BTD, state_BDN = run(u_BTD, system, start_BDN)
    if lengths_B is None:
        return y_BTD, state_BDN
    return y_BTD, _state_of_padded(run, u_BTD, system, start_BDN, lengths_B)


def powers(exponent_DN: Tensor, count: int) -> Tensor:
    """exp(e t) for t = 0 ... count - 1: [D, count, N].

    From its parts, since the complex exponential of torch is some thirty times slower on a CPU.
    """
    steps_L1 = torch.arange(count, device=exponent_DN.device, dtype=exponent_DN.real.dtype)[:, None]
    size_DLN = torch.exp(exponent_DN.real[:, None] * steps_L1)
    angle_DLN = exponent_DN.imag[:, None] * steps_L1
    return torch.complex(size_DLN * torch.cos(angle_DLN), size_DLN * torch.sin(angle_DLN))


def _state_of_padded(
    run: Unpadded, u_BTD: Tensor, system: Diagonal, start_BDN: Tensor, lengths_B: Tensor
) -> Tensor:
    """By linearity: the start decays over the row's own length, and the inputs, moved to the right
    end behind zeros that leave a zero state at zero, give the rest."""
    padding_B = u_BTD.shape[1] - lengths_B
    steps_T = torch.arange(u_BTD.shape[1], device=u_BTD.device)
    from_BT = (steps_T - padding_B[:, None]) % u_BTD.shape[1]
    moved_BTD = u_BTD.gather(1, from_BT[..., None].expand_as(u_BTD))
    behind_BT = lengths_to_mask(padding_B, u_BTD.shape[1])
    moved_BTD = moved_BTD.masked_fill(behind_BT[..., None], 0.0)
    _, state_BDN = run(moved_BTD, system, torch.zeros_like(start_BDN))
    decay_BDN = torch.exp(system.exponent_DN * lengths_B[:, None, None])
    return state_BDN + decay_BDN * start_BDN
