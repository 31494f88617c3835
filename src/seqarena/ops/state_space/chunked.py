"""Matrix products inside chunks of L positions, and a recurrence over the chunks' states."""

import math
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from seqarena.ops.diagonal import linear_recurrence
from seqarena.ops.state_space import Diagonal, diagonal_ssm
from seqarena.ops.state_space.reference import loop
from seqarena.ops.state_space.shared import powers, with_padding

CHUNK_LENGTH = 32


def serial_steps(length: int) -> int:
    """The chunks' carries, and the products before and after them."""
    return 2 + math.ceil(length / CHUNK_LENGTH)


@diagonal_ssm.algorithm("chunked", serial_steps=serial_steps)
def chunked(
    u_BTD: Tensor, system: Diagonal, start_BDN: Tensor, lengths_B: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The outputs and the state after each row's last real position."""
    if u_BTD.shape[1] == 1:  # a step costs less than the matrices
        return loop(u_BTD, system, start_BDN, lengths_B)
    return with_padding(partial(whole_chunks, "fused"), u_BTD, system, start_BDN, lengths_B)


def whole_chunks(
    carry: str, u_BTD: Tensor, system: Diagonal, start_BDN: Tensor
) -> tuple[Tensor, Tensor]:
    """Whole chunks first, then what is left as one shorter chunk; between them the diagonal
    recurrence by the algorithm `carry`."""
    length = u_BTD.shape[1]
    whole = length - length % CHUNK_LENGTH
    outputs, h_DBN = [], start_BDN.transpose(0, 1)
    for part_BTD, chunk in ((u_BTD[:, :whole], CHUNK_LENGTH), (u_BTD[:, whole:], length - whole)):
        if part_BTD.shape[1]:
            y_BTD, h_DBN = _chunks(carry, part_BTD, _matrices(system, chunk), h_DBN)
            outputs.append(y_BTD)
    return torch.cat(outputs, dim=1), h_DBN.transpose(0, 1)


class _Matrices(NamedTuple):
    """What a chunk does, as real matrices (rows in, columns out), and its decay."""

    within_DLL: Tensor  # inputs to outputs of the same chunk
    into_DLM: Tensor  # inputs to the state at the chunk's end; M = 2N
    out_DML: Tensor  # state at the chunk's start to outputs
    decay_DN: Tensor  # of the state over the chunk, complex


def _matrices(system: Diagonal, chunk: int) -> _Matrices:
    powers_DLN = powers(system.exponent_DN, chunk + 1)
    weights_DN = system.output_DN * system.input_DN
    kernel_DL = 2 * torch.einsum("dn,dln->dl", weights_DN, powers_DLN[:, :-1]).real
    # row j holds the kernel from column j on: windows over zeros followed by the kernel
    within_DLL = F.pad(kernel_DL, (chunk - 1, 0)).unfold(1, chunk, 1).flip(1)
    into_DLN = system.input_DN[:, None] * powers_DLN[:, :-1].flip(1)
    # Re(w h) = Re(w) Re(h) - Im(w) Im(h)
    out_DLN = (2 * system.output_DN[:, None] * powers_DLN[:, 1:]).conj().resolve_conj()
    return _Matrices(
        within_DLL,
        torch.view_as_real(into_DLN).flatten(2),
        torch.view_as_real(out_DLN).flatten(2).transpose(1, 2),
        powers_DLN[:, -1],
    )


def _chunks(
    carry: str, u_BTD: Tensor, matrices: _Matrices, start_DBN: Tensor
) -> tuple[Tensor, Tensor]:
    batch, length, width = u_BTD.shape
    chunk = matrices.within_DLL.shape[1]
    count = length // chunk
    # [D, C, B, L]: channels are the batch of the matrix products, chunks the time of the recurrence
    u_DRL = u_BTD.view(batch, count, chunk, width).permute(3, 1, 0, 2).reshape(width, -1, chunk)
    into_DRM = torch.bmm(u_DRL, matrices.into_DLM)
    into_DCBN = torch.view_as_complex(into_DRM.view(width, count, batch, -1, 2))
    ends_DCBN = linear_recurrence(
        matrices.decay_DN[:, None, None], into_DCBN, start_DBN, algorithm=carry
    )
    starts_DCBN = torch.cat((start_DBN[:, None], ends_DCBN[:, :-1]), dim=1)
    starts_DRM = torch.view_as_real(starts_DCBN).reshape(width, count * batch, -1)
    y_DRL = torch.bmm(u_DRL, matrices.within_DLL)
    y_DRL = torch.baddbmm(y_DRL, starts_DRM, matrices.out_DML)
    y_BTD = y_DRL.view(width, count, batch, chunk).permute(2, 1, 3, 0).reshape(u_BTD.shape)
    return y_BTD, ends_DCBN[:, -1].clone()
