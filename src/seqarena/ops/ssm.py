"""The diagonal state space of constant coefficients, as recurrence, convolution and chunks.

    h_t = exp(e) h_{t-1} + b u_t          complex, for each channel and each of N states
    y_t = 2 Re(sum over n of c h_t)       the other half of the states are the conjugates

Gu, Gupta, Goel and Re 2022, "On the Parameterization and Initialization of Diagonal State Space
Models", arXiv:2206.11893, equations 3-8; e = step A and b are discretised by `zero_order_hold`.

    loop      the recurrence as written: the slow truth
    parallel  one long convolution by FFT with the kernel K_t = 2 Re(sum c b exp(e t)); it reads
              the whole sequence at once, so a later input moves earlier outputs by rounding
    chunked   matrix products inside chunks, and a recurrence over the chunks' states

Letters: B batch, T time, D channels, N complex states of a channel, C chunks, L chunk length.
A trailing 2N is N real parts and N imaginary parts, interleaved as torch.view_as_real has them.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from seqarena.core.errors import unknown_name
from seqarena.core.shapes import lengths_to_mask
from seqarena.ops.scan import linear_recurrence

ALGORITHMS = ("loop", "parallel", "chunked")
CHUNK_LENGTH = 32


class Diagonal(NamedTuple):
    """The discretised system, complex: exponent e, input b, output c."""

    exponent_DN: Tensor
    input_DN: Tensor
    output_DN: Tensor


def zero_order_hold(step_D: Tensor, a_DN: Tensor, c_DN: Tensor) -> Diagonal:
    """x' = A x + u sampled every `step_D` with its input held between: b = (exp(e) - 1) / A."""
    exponent_DN = step_D[:, None] * a_DN
    x_DN, angle_DN = exponent_DN.real, exponent_DN.imag
    # exp(x + i angle) - 1 without cancellation near zero, from real functions for speed
    real_DN = torch.expm1(x_DN) * torch.cos(angle_DN) - 2 * torch.sin(angle_DN / 2).square()
    change_DN = torch.complex(real_DN, torch.exp(x_DN) * torch.sin(angle_DN))
    return Diagonal(exponent_DN, change_DN / a_DN, c_DN)


def diagonal_ssm(
    u_BTD: Tensor,
    system: Diagonal,
    start_BDN: Tensor | None = None,
    lengths_B: Tensor | None = None,
    *,
    algorithm: str,
) -> tuple[Tensor, Tensor]:
    """The real outputs y_BTD and the complex state [B, D, N] after each row's last real position.

    `u_BTD` is real, of the system's precision, and zero beyond `lengths_B` (None: all positions are
    real). Raises UserError for an unknown algorithm.
    """
    if algorithm not in ALGORITHMS:
        raise unknown_name("algorithm of the diagonal state space", algorithm, ALGORITHMS)
    if start_BDN is None:
        start_BDN = system.input_DN.new_zeros(u_BTD.shape[0], *system.input_DN.shape)
    # autocast would turn the matrix products into bfloat16
    with torch.autocast(u_BTD.device.type, enabled=False):
        if algorithm == "loop":
            return _loop(u_BTD, system, start_BDN, lengths_B)
        run = _parallel if algorithm == "parallel" else _chunked
        y_BTD, state_BDN = run(u_BTD, system, start_BDN)
        if lengths_B is None:
            return y_BTD, state_BDN
        return y_BTD, _state_of_padded(run, u_BTD, system, start_BDN, lengths_B)


def serial_steps(length: int, algorithm: str) -> int:
    """The longest chain of dependent steps: of butterflies for the FFT, of carries for chunks."""
    if algorithm == "parallel":
        return 2 * math.ceil(math.log2(2 * length)) + 2
    if algorithm == "chunked":
        return 2 + math.ceil(length / CHUNK_LENGTH)
    return length


def _loop(
    u_BTD: Tensor, system: Diagonal, h_BDN: Tensor, lengths_B: Tensor | None
) -> tuple[Tensor, Tensor]:
    decay_DN, outputs = torch.exp(system.exponent_DN), []
    for t, u_BD in enumerate(u_BTD.unbind(1)):
        next_BDN = decay_DN * h_BDN + system.input_DN * u_BD[:, :, None]
        if lengths_B is not None:
            next_BDN = torch.where((t < lengths_B)[:, None, None], next_BDN, h_BDN)
        h_BDN = next_BDN
        outputs.append(2 * (system.output_DN * h_BDN).sum(-1).real)
    return torch.stack(outputs, dim=1), h_BDN


def _parallel(u_BTD: Tensor, system: Diagonal, start_BDN: Tensor) -> tuple[Tensor, Tensor]:
    length = u_BTD.shape[1]
    u_BDT = u_BTD.transpose(1, 2)
    powers_DTN = _powers(system.exponent_DN, length + 1)
    weights_DN = system.output_DN * system.input_DN
    kernel_DT = 2 * torch.einsum("dn,dtn->dt", weights_DN, powers_DTN[:, :-1]).real
    # twice the length, so that the circular convolution does not come round
    spectrum_BDF = torch.fft.rfft(u_BDT, n=2 * length) * torch.fft.rfft(kernel_DT, n=2 * length)
    y_BDT = torch.fft.irfft(spectrum_BDF, n=2 * length)[..., :length]
    from_start_BDN = start_BDN * system.output_DN
    y_BDT = y_BDT + 2 * torch.einsum("bdn,dtn->bdt", from_start_BDN, powers_DTN[:, 1:]).real
    u_complex = u_BDT.to(powers_DTN.dtype)
    state_BDN = torch.einsum("bdt,dtn->bdn", u_complex, powers_DTN[:, :-1].flip(1))
    state_BDN = state_BDN * system.input_DN + powers_DTN[:, -1] * start_BDN
    return y_BDT.transpose(1, 2), state_BDN


def _chunked(u_BTD: Tensor, system: Diagonal, start_BDN: Tensor) -> tuple[Tensor, Tensor]:
    """Whole chunks first, then what is left as one shorter chunk."""
    length = u_BTD.shape[1]
    whole = length - length % CHUNK_LENGTH
    outputs, h_DBN = [], start_BDN.transpose(0, 1)
    for part_BTD, chunk in ((u_BTD[:, :whole], CHUNK_LENGTH), (u_BTD[:, whole:], length - whole)):
        if part_BTD.shape[1]:
            y_BTD, h_DBN = _chunks(part_BTD, _matrices(system, chunk), h_DBN)
            outputs.append(y_BTD)
    return torch.cat(outputs, dim=1), h_DBN.transpose(0, 1)


class _Matrices(NamedTuple):
    """What a chunk does, as real matrices (rows in, columns out), and its decay."""

    within_DLL: Tensor  # inputs to outputs of the same chunk
    into_DLM: Tensor  # inputs to the state at the chunk's end; M = 2N
    out_DML: Tensor  # state at the chunk's start to outputs
    decay_DN: Tensor  # of the state over the chunk, complex


def _matrices(system: Diagonal, chunk: int) -> _Matrices:
    powers_DLN = _powers(system.exponent_DN, chunk + 1)
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


def _chunks(u_BTD: Tensor, matrices: _Matrices, start_DBN: Tensor) -> tuple[Tensor, Tensor]:
    batch, length, width = u_BTD.shape
    chunk = matrices.within_DLL.shape[1]
    count = length // chunk
    # [D, C, B, L]: channels are the batch of the matrix products, chunks the time of the recurrence
    u_DRL = u_BTD.view(batch, count, chunk, width).permute(3, 1, 0, 2).reshape(width, -1, chunk)
    into_DRM = torch.bmm(u_DRL, matrices.into_DLM)
    into_DCBN = torch.view_as_complex(into_DRM.view(width, count, batch, -1, 2))
    ends_DCBN = linear_recurrence(
        matrices.decay_DN[:, None, None], into_DCBN, start_DBN, algorithm="fused"
    )
    starts_DCBN = torch.cat((start_DBN[:, None], ends_DCBN[:, :-1]), dim=1)
    starts_DRM = torch.view_as_real(starts_DCBN).reshape(width, count * batch, -1)
    y_DRL = torch.bmm(u_DRL, matrices.within_DLL)
    y_DRL = torch.baddbmm(y_DRL, starts_DRM, matrices.out_DML)
    y_BTD = y_DRL.view(width, count, batch, chunk).permute(2, 1, 3, 0).reshape(u_BTD.shape)
    return y_BTD, ends_DCBN[:, -1].clone()


def _state_of_padded(
    run, u_BTD: Tensor, system: Diagonal, start_BDN: Tensor, lengths_B: Tensor
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


def _powers(exponent_DN: Tensor, count: int) -> Tensor:
    """exp(e t) for t = 0 ... count - 1: [D, count, N].

    From its parts, since the complex exponential of torch is some thirty times slower on a CPU.
    """
    steps_L1 = torch.arange(count, device=exponent_DN.device, dtype=exponent_DN.real.dtype)[:, None]
    size_DLN = torch.exp(exponent_DN.real[:, None] * steps_L1)
    angle_DLN = exponent_DN.imag[:, None] * steps_L1
    return torch.complex(size_DLN * torch.cos(angle_DLN), size_DLN * torch.sin(angle_DLN))
