"""Dense real matrices: products inside chunks of L positions, a recurrence over their states.

A complex state x + iy is the pair (x, y), so that A is a real matrix of M x M: blocks of a on the
diagonal, less 2 (Re p, Im p) (Re p, Im p)^T. The discretised matrix A_d and its powers up to the
chunk's length are made by squaring; a row vector is multiplied from the left.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from seqarena.ops.dplr import DPLR, dplr_ssm
from seqarena.ops.dplr.reference import loop, zero_state

CHUNK_LENGTH = 32


def serial_steps(length: int) -> int:
    """The chunks' carries, and the products before and after them."""
    return 2 + math.ceil(length / CHUNK_LENGTH)


@dplr_ssm.algorithm("chunked", serial_steps=serial_steps)
def chunked(
    u_BTD: Tensor, system: DPLR, start_BDN: Tensor | None, lengths_B: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The outputs and the state after each row's last real position."""
    if u_BTD.shape[1] == 1:  # a step costs less than the matrices
        return loop(u_BTD, system, start_BDN, lengths_B)
    matrices, u_DCBL = _matrices(system), _in_chunks(u_BTD)
    start_BDN = zero_state(u_BTD, system) if start_BDN is None else start_BDN
    starts_DCBM = _starts(u_DCBL, start_BDN, matrices)
    y_DRL = torch.bmm(u_DCBL.flatten(1, 2), matrices.within_DLL)
    y_DRL = torch.baddbmm(y_DRL, starts_DCBM.flatten(1, 2), matrices.out_DML)
    y_BDCL = y_DRL.view(u_DCBL.shape).permute(2, 0, 1, 3)
    y_BTD = y_BDCL.flatten(2)[..., : u_BTD.shape[1]].transpose(1, 2)
    return y_BTD, _end(u_DCBL, starts_DCBM, matrices, lengths_B, u_BTD.shape[1])


def final_state(
    u_BTD: Tensor, system: DPLR, start_BDN: Tensor | None, lengths_B: Tensor | None
) -> Tensor:
    """The state after each row's last real position, without the outputs."""
    matrices, u_DCBL = _matrices(system), _in_chunks(u_BTD)
    start_BDN = zero_state(u_BTD, system) if start_BDN is None else start_BDN
    starts_DCBM = _starts(u_DCBL, start_BDN, matrices)
    return _end(u_DCBL, starts_DCBM, matrices, lengths_B, u_BTD.shape[1])


class _Matrices(NamedTuple):
    """What a chunk does, as real matrices (rows in, columns out), and the decay of the state over
    1, 2, 4 ... L positions."""

    within_DLL: Tensor  # inputs to outputs of the same chunk
    into_DLM: Tensor  # inputs to the state at the chunk's end
    out_DML: Tensor  # state at the chunk's start to outputs
    decays: list[Tensor]  # [D, M, M]


def discretised(system: DPLR) -> tuple[Tensor, Tensor]:
    """The real matrices of h_t = h_{t-1} A_d + u_t B_d with h a row: [D, M, M] and [D, M]."""
    half_D1 = system.step_D[:, None] / 2
    a_DN = system.a_DN.expand_as(system.c_DN)
    diagonal_DMM = torch.cat(
        (
            torch.cat((torch.diag_embed(a_DN.real), torch.diag_embed(-a_DN.imag)), dim=2),
            torch.cat((torch.diag_embed(a_DN.imag), torch.diag_embed(a_DN.real)), dim=2),
        ),
        dim=1,
    )
    p_DM = _pairs(system.p_DN)
    a_DMM = half_D1[..., None] * (diagonal_DMM - 2 * p_DM[:, :, None] * p_DM[:, None, :])
    one_MM = torch.eye(a_DMM.shape[1], dtype=a_DMM.dtype, device=a_DMM.device)
    b_DM = 2 * half_D1 * _pairs(system.b_DN)
    right_DMW = torch.cat((one_MM + a_DMM, b_DM[..., None]), dim=2)
    solved_DMW = torch.linalg.solve(one_MM - a_DMM, right_DMW)
    return solved_DMW[..., :-1].transpose(1, 2), solved_DMW[..., -1]


def _matrices(system: DPLR) -> _Matrices:
    decay_DMM, b_DM = discretised(system)
    c_DM = torch.cat((2 * system.c_DN.real, -2 * system.c_DN.imag), dim=1)
    # B_d A_d^s and A_d^(s + 1) C for every s below the chunk's length, by doubling
    decays, into_DLM, out_DML = [decay_DMM], b_DM[:, None], torch.bmm(decay_DMM, c_DM[..., None])
    while into_DLM.shape[1] < CHUNK_LENGTH:
        into_DLM = torch.cat((into_DLM, torch.bmm(into_DLM, decays[-1])), dim=1)
        out_DML = torch.cat((out_DML, torch.bmm(decays[-1], out_DML)), dim=2)
        decays.append(torch.bmm(decays[-1], decays[-1]))
    kernel_DL = torch.bmm(into_DLM, c_DM[..., None])[..., 0]
    # row j holds the kernel from column j on: windows over zeros followed by the kernel
    within_DLL = F.pad(kernel_DL, (CHUNK_LENGTH - 1, 0)).unfold(1, CHUNK_LENGTH, 1).flip(1)
    return _Matrices(within_DLL, into_DLM.flip(1), out_DML, decays)


def _in_chunks(u_BTD: Tensor) -> Tensor:
    """[D, C, B, L], zeros behind the end: channels are the batch of the matrix products."""
    batch, length, width = u_BTD.shape
    u_BTD = F.pad(u_BTD, (0, 0, 0, -length % CHUNK_LENGTH))
    return u_BTD.view(batch, -1, CHUNK_LENGTH, width).permute(3, 1, 0, 2).contiguous()


def _starts(u_DCBL: Tensor, start_BDN: Tensor, matrices: _Matrices) -> Tensor:
    """The real state before each chunk, [D, C, B, M]."""
    into_DCBM = torch.bmm(u_DCBL.flatten(1, 2), matrices.into_DLM).unflatten(1, u_DCBL.shape[1:3])
    h_DBM = _pairs(start_BDN).transpose(0, 1)
    starts = [h_DBM]
    for into_DBM in into_DCBM.unbind(1)[:-1]:
        h_DBM = torch.baddbmm(into_DBM, h_DBM, matrices.decays[-1])
        starts.append(h_DBM)
    return torch.stack(starts, dim=1)


def _end(
    u_DCBL: Tensor, starts_DCBM: Tensor, matrices: _Matrices, lengths_B: Tensor | None, length: int
) -> Tensor:
    """The state after each row's last real position, from the start of the chunk that holds it:
    that decays over the row's positions there, and its inputs are moved to the chunk's end."""
    chunks, batch, chunk = u_DCBL.shape[1:]
    rows_B = torch.arange(batch, device=u_DCBL.device)
    ends_B = torch.full_like(rows_B, length) if lengths_B is None else lengths_B
    chunk_B = (ends_B // chunk).clamp(max=chunks - 1)
    rest_B = ends_B - chunk_B * chunk
    h_DBM = starts_DCBM[:, chunk_B, rows_B]
    for power, decay_DMM in enumerate(matrices.decays):
        decays_B1 = (rest_B // 2**power % 2 == 1)[:, None]
        h_DBM = torch.where(decays_B1, torch.bmm(h_DBM, decay_DMM), h_DBM)
    from_BL = torch.arange(chunk, device=u_DCBL.device) - (chunk - rest_B)[:, None]
    u_DBL = u_DCBL[:, chunk_B, rows_B]
    moved_DBL = u_DBL.gather(2, (from_BL % chunk).expand_as(u_DBL)).masked_fill(from_BL < 0, 0.0)
    h_DBM = torch.baddbmm(h_DBM, moved_DBL, matrices.into_DLM)
    return torch.complex(*h_DBM.transpose(0, 1).chunk(2, dim=2))


def _pairs(x_DN: Tensor) -> Tensor:
    """Real parts, then imaginary parts."""
    return torch.cat((x_DN.real, x_DN.imag), dim=-1)
