"""The diagonal linear recurrence, the one loop inside minimal RNNs and state-space models.

    h_t = a_t * h_{t-1} + b_t            elementwise; h_0 is `start`

It is associative, so it can be computed in any of these ways (Blelloch 1990, "Prefix Sums and
Their Applications"; Martin & Cundy 2018, "Parallelizing Linear Recurrent Neural Nets"):

    loop     the recurrence as written, differentiated by autograd: the slow truth
    scan     parallel prefix by recursive halving: 2 log2(T) dependent steps, work 3 T
    chunked  all chunks advance together, then carries pass between them: L + T / L steps
    fused    one in-place multiply-add a step and no autograd graph: T steps, the least memory

All but the loop share one backward pass: the same recurrence run from the end,

    g_t = dh_t + conj(a_{t+1}) g_{t+1},   da_t = g_t conj(h_{t-1}),   db_t = g_t.

Letters: B batch, T time, D features (any number of trailing axes), L chunk length.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from seqarena.core.errors import unknown_name

ALGORITHMS = ("loop", "scan", "chunked", "fused")
CHUNK_LENGTH = 16


def linear_recurrence(
    a_BTD: Tensor, b_BTD: Tensor, start_BD: Tensor | None = None, *, algorithm: str
) -> Tensor:
    """Every h_t of the recurrence: h_BTD in the shape of b, in at least float32 (or complex64).

    `a_BTD` broadcasts to `b_BTD`; either may be complex. `start_BD` None is zero. The final state
    is h_BTD[:, -1]: for right-padded rows too, where a is 1 and b is 0 at the padding.
    Gradients of first order flow to a, b and start with every algorithm, of higher order with
    `loop` only. Raises UserError for an unknown algorithm.
    """
    if algorithm not in ALGORITHMS:
        raise unknown_name("algorithm of the linear recurrence", algorithm, ALGORITHMS)
    dtype = torch.promote_types(torch.promote_types(a_BTD.dtype, b_BTD.dtype), torch.float32)
    if start_BD is None:
        start_BD = torch.zeros_like(b_BTD[:, 0], dtype=dtype)
    dtype = torch.promote_types(dtype, start_BD.dtype)
    a_BTD, b_BTD, start_BD = a_BTD.to(dtype), b_BTD.to(dtype), start_BD.to(dtype)
    a_BTD = a_BTD.expand_as(b_BTD)
    if algorithm == "loop":
        return _loop(a_BTD, b_BTD, start_BD)
    return _Recurrence.apply(a_BTD, b_BTD, start_BD, algorithm)  # pyright: ignore[reportReturnType]


def reversed_recurrence(a_BTD: Tensor, dh_BTD: Tensor, algorithm: str) -> Tensor:
    """g_t = dh_t + a_{t+1} g_{t+1}, zero beyond the end; no graph is recorded by its callers."""
    if algorithm == "fused":
        g_BTD = torch.empty_like(dh_BTD, memory_format=torch.contiguous_format)
        last_BD = torch.zeros_like(dh_BTD[:, 0])
        # the last step meets a zero, so that any coefficient serves it
        a_steps = (last_BD, *reversed(a_BTD[:, 1:].unbind(1)))
        _fused(a_steps, reversed(dh_BTD.unbind(1)), reversed(g_BTD.unbind(1)), last_BD)
        return g_BTD
    g_BTD = dh_BTD.flip(1)
    _in_place(F.pad(a_BTD[:, 1:].flip(1), (0, 0) * (a_BTD.dim() - 2) + (1, 0)), g_BTD, algorithm)
    return g_BTD.flip(1)


def serial_steps(length: int, algorithm: str) -> int:
    """The longest chain of dependent multiply-adds over `length` positions."""
    if algorithm == "scan":
        return max(1, 2 * math.ceil(math.log2(length)))
    if algorithm == "chunked":
        chunks = math.ceil(length / CHUNK_LENGTH)
        return min(length, CHUNK_LENGTH) + chunks + 1
    return length


def _loop(a_BTD: Tensor, b_BTD: Tensor, start_BD: Tensor) -> Tensor:
    h_BD, outputs = start_BD, []
    # unbind, not a_BTD[:, t]: the backward pass of T selections would be quadratic in T
    for a_BD, b_BD in zip(a_BTD.unbind(1), b_BTD.unbind(1)):
        h_BD = a_BD * h_BD + b_BD
        outputs.append(h_BD)
    return torch.stack(outputs, dim=1)


class _Recurrence(torch.autograd.Function):
    """The recurrence without an autograd graph over time."""

    @staticmethod
    def forward(ctx, a_BTD: Tensor, b_BTD: Tensor, start_BD: Tensor, algorithm: str) -> Tensor:
        if algorithm == "fused":
            h_BTD = torch.empty_like(b_BTD, memory_format=torch.contiguous_format)
            _fused(a_BTD.unbind(1), b_BTD.unbind(1), h_BTD.unbind(1), start_BD)
        else:
            h_BTD = b_BTD.clone(memory_format=torch.contiguous_format)
            h_BTD[:, 0].addcmul_(a_BTD[:, 0], start_BD)
            _in_place(a_BTD, h_BTD, algorithm)
        ctx.algorithm = algorithm
        ctx.save_for_backward(a_BTD, h_BTD, start_BD)
        return h_BTD

    @staticmethod
    @once_differentiable
    def backward(ctx, dh_BTD: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        a_BTD, h_BTD, start_BD = ctx.saved_tensors
        if a_BTD.is_complex():
            a_BTD, h_BTD, start_BD = (x.conj().resolve_conj() for x in (a_BTD, h_BTD, start_BD))
        g_BTD = reversed_recurrence(a_BTD, dh_BTD, ctx.algorithm)
        da_BTD = None
        if ctx.needs_input_grad[0]:
            da_BTD = torch.empty_like(g_BTD)
            torch.mul(g_BTD[:, 1:], h_BTD[:, :-1], out=da_BTD[:, 1:])
            torch.mul(g_BTD[:, 0], start_BD, out=da_BTD[:, 0])
        dstart_BD = a_BTD[:, 0] * g_BTD[:, 0] if ctx.needs_input_grad[2] else None
        return da_BTD, g_BTD, dstart_BD, None


def _fused(
    a_steps: Iterable[Tensor], b_steps: Iterable[Tensor], h_steps: Iterable[Tensor], h_BD: Tensor
) -> None:
    """Writes each step's state into the views `h_steps`."""
    for a_BD, b_BD, out_BD in zip(a_steps, b_steps, h_steps):
        h_BD = torch.addcmul(b_BD, a_BD, h_BD, out=out_BD)


def _in_place(a_BTD: Tensor, h_BTD: Tensor, algorithm: str) -> None:
    """Turns h from the inputs b (the start already added to the first) into the states."""
    (_scan if algorithm == "scan" else _chunked)(a_BTD, h_BTD)


def _scan(a_BTD: Tensor, h_BTD: Tensor) -> None:
    """Pairs of steps make one step of a recurrence half as long; its states are those at the odd
    positions, and one more step gives the even ones."""
    length = h_BTD.shape[1]
    if length == 1:
        return
    pairs = length // 2
    a_odd, h_odd = a_BTD[:, 1::2], h_BTD[:, 1::2]
    h_odd.addcmul_(a_odd, h_BTD[:, 0 : 2 * pairs : 2])
    _scan(a_odd * a_BTD[:, 0 : 2 * pairs : 2], h_odd)
    h_BTD[:, 2::2].addcmul_(a_BTD[:, 2::2], h_odd[:, : (length - 1) // 2])


def _chunked(a_BTD: Tensor, h_BTD: Tensor) -> None:
    """States from zero inside every chunk and the decay since its first step; then the carries."""
    length, tail = h_BTD.shape[1], h_BTD.shape[2:]
    chunk = min(CHUNK_LENGTH, length)
    padding = (0, 0) * len(tail) + (0, -length % chunk)
    # the padding's coefficients never reach a position that is kept
    shape = (h_BTD.shape[0], -1, chunk, *tail)
    decay_BCLD = F.pad(a_BTD, padding).reshape(shape).clone()
    local_BCLD = F.pad(h_BTD, padding).reshape(shape).clone()
    decays, locals_ = decay_BCLD.unbind(2), local_BCLD.unbind(2)
    for step in range(1, chunk):
        locals_[step].addcmul_(decays[step], locals_[step - 1])
        decays[step].mul_(decays[step - 1])
    ends = local_BCLD[:, :, -1].unbind(1)
    for index in range(1, len(ends)):
        ends[index].addcmul_(decay_BCLD[:, index, -1], ends[index - 1])
    # the last step of each chunk is final already
    local_BCLD[:, 1:, :-1].addcmul_(decay_BCLD[:, 1:, :-1], local_BCLD[:, :-1, -1:])
    h_BTD.copy_(local_BCLD.flatten(1, 2)[:, :length])
