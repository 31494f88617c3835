"""Products inside chunks of L positions, and a recurrence over the chunks' states.

Discretised, the matrix is again diagonal less one rank: h -> d h - u r(w h), where r is the real
sum over states and conjugates. Its powers up to L follow from L rows w_s, each one step further:

    A_d^n h = d^n h - sum over s < n of d^(n - 1 - s) u r(w_s h),   w_s h = w A_d^s h

so that no dense matrix is ever multiplied by another. The rows of real numbers that enter the
matrix products are real parts, then imaginary parts.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from seqarena.ops.dplr import DPLR, dplr_ssm
from seqarena.ops.dplr.reference import loop, real_sum, zero_state

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
    """What a chunk does, as real matrices (rows in, columns out); M = 2 N."""

    within_DLL: Tensor  # inputs to outputs of the same chunk
    into_DLM: Tensor  # inputs to the state at the chunk's end
    out_DML: Tensor  # state at the chunk's start to outputs
    turned_DML: Tensor  # state at the chunk's start to what the one rank takes at each position
    taken_DLM: Tensor  # that, to the state at the chunk's end
    powers_DLN: Tensor  # d^0 to d^L, complex

    whole_DMM: Tensor  # state at the chunk's start to that at its end, without inputs


def _matrices(system: DPLR) -> _Matrices:
    rate_D1 = 2 / system.step_D[:, None]
    inverse_DN = 1 / (rate_D1 - system.a_DN)
    d_DN = ((rate_D1 + system.a_DN) * inverse_DN).expand_as(system.c_DN)
    u_DN = (inverse_DN * system.p_DN).expand_as(d_DN)
    damping_D1 = 1 / (1 + real_sum(system.p_DN.conj() * u_DN))
    w_DN = 2 * rate_D1 * damping_D1 * system.p_DN.conj() * inverse_DN
    b_DN = 2 * inverse_DN * system.b_DN
    b_DN = b_DN - u_DN * damping_D1 * real_sum(system.p_DN.conj() * b_DN)
    # three rows at once, each one step further: C A_d^s, w A_d^s, and A_d^s B_d
    row_3DN = torch.stack((system.c_DN, w_DN, b_DN))
    left_3DN, right_3DN = torch.stack((w_DN, w_DN, u_DN)), torch.stack((u_DN, u_DN, w_DN))
    rows, powers = [row_3DN], [torch.ones_like(d_DN)]
    for _ in range(CHUNK_LENGTH):
        rows.append(d_DN * rows[-1] - left_3DN * real_sum(right_3DN * rows[-1]))
        powers.append(d_DN * powers[-1])
    c_DLN, w_DLN, b_DLN = torch.stack(rows, dim=2).unbind(0)
    powers_DLN = torch.stack(powers, dim=1)
    kernel_DL = real_sum(c_DLN[:, :-1] * b_DN[:, None])[..., 0]
    # row j holds the kernel from column j on: windows over zeros followed by the kernel
    within_DLL = F.pad(kernel_DL, (CHUNK_LENGTH - 1, 0)).unfold(1, CHUNK_LENGTH, 1).flip(1)
    turned_DML = _reading(w_DLN[:, :-1])
    taken_DLM = -_pairs((powers_DLN[:, :-1] * u_DN[:, None]).flip(1))
    whole_DMM = torch.baddbmm(_turning(powers_DLN[:, -1]), turned_DML, taken_DLM)
    return _Matrices(
        within_DLL,
        _pairs(b_DLN[:, :-1].flip(1)),
        _reading(c_DLN[:, 1:]),
        turned_DML,
        taken_DLM,
        powers_DLN,
        whole_DMM,
    )


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
        h_DBM = torch.baddbmm(into_DBM, h_DBM, matrices.whole_DMM)
        starts.append(h_DBM)
    return torch.stack(starts, dim=1)


def _end(
    u_DCBL: Tensor, starts_DCBM: Tensor, matrices: _Matrices, lengths_B: Tensor | None, length: int
) -> Tensor:
    """The state after each row's last real position, from the start of the chunk that holds it:
    that decays over the row's positions there; inputs, and what the one rank takes, are moved to
    the chunk's end."""
    chunks, batch, chunk = u_DCBL.shape[1:]
    rows_B = torch.arange(batch, device=u_DCBL.device)
    ends_B = torch.full_like(rows_B, length) if lengths_B is None else lengths_B
    chunk_B = (ends_B // chunk).clamp(max=chunks - 1)
    rest_B = ends_B - chunk_B * chunk
    start_DBM = starts_DCBM[:, chunk_B, rows_B]
    from_BL = torch.arange(chunk, device=u_DCBL.device) - (chunk - rest_B)[:, None]

    def moved(x_DBL: Tensor) -> Tensor:
        return x_DBL.gather(2, (from_BL % chunk).expand_as(x_DBL)).masked_fill(from_BL < 0, 0.0)

    added_DBM = torch.bmm(moved(u_DCBL[:, chunk_B, rows_B]), matrices.into_DLM)
    taken_DBL = moved(torch.bmm(start_DBM, matrices.turned_DML))
    added_DBM = torch.baddbmm(added_DBM, taken_DBL, matrices.taken_DLM)
    h_DBN = matrices.powers_DLN[:, rest_B] * torch.complex(*start_DBM.chunk(2, dim=2))
    return (h_DBN + torch.complex(*added_DBM.chunk(2, dim=2))).transpose(0, 1)


def _pairs(x_DN: Tensor) -> Tensor:
    """Numbers as real parts, then imaginary parts."""
    return torch.cat((x_DN.real, x_DN.imag), dim=-1)


def _reading(rows_DLN: Tensor) -> Tensor:
    """The matrix [D, M, L] whose product with a state is the real sum of each row times it."""
    return torch.cat((2 * rows_DLN.real, -2 * rows_DLN.imag), dim=-1).transpose(1, 2)


def _turning(d_DN: Tensor) -> Tensor:
    """The matrix [D, M, M] whose product with a state is d times it."""
    real_DNN, imaginary_DNN = torch.diag_embed(d_DN.real), torch.diag_embed(d_DN.imag)
    upper_DNM = torch.cat((real_DNN, imaginary_DNN), dim=2)
    return torch.cat((upper_DNM, torch.cat((-imaginary_DNN, real_DNN), dim=2)), dim=1)
