"""The diagonal recurrence by blocks of positions and features: a prefix scan inside each block, and
between the blocks the same recurrence, ceil(T / L) times as short.

    h_t = a_t h_(t-1) + b_t           t from the start, or from the end

    B batch   T time   D features   L positions of a block   W features of a block   C blocks of T
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK_LENGTH = 64
BLOCK_WIDTH = 32
WARPS = 8


@triton.jit
def after(a_1, b_1, a_2, b_2):
    """One step after another is a step."""
    return a_2 * a_1, a_2 * b_1 + b_2


@triton.jit
def _after_complex(a_1, ai_1, b_1, bi_1, a_2, ai_2, b_2, bi_2):
    return (
        a_2 * a_1 - ai_2 * ai_1,
        a_2 * ai_1 + ai_2 * a_1,
        a_2 * b_1 - ai_2 * bi_1 + b_2,
        a_2 * bi_1 + ai_2 * b_1 + bi_2,
    )


@triton.jit(do_not_specialize=["length", "chunks"])
def _block(
    a_ptr, b_ptr, start_ptr, carry_ptr, h_ptr, end_ptr,
    length, features, chunks,
    a_batch, a_time, a_feature, b_batch, b_time, b_feature,
    start_batch, start_feature, h_batch, h_time, h_feature,
    ENDS: tl.constexpr, REVERSED: tl.constexpr, SHIFT: tl.constexpr, COMPLEX: tl.constexpr,
    L: tl.constexpr, W: tl.constexpr,
):  # fmt: skip
    """One block. ENDS: its decay and its last state from zero, into `h_ptr` and `end_ptr`;
    otherwise its states from the state before it. REVERSED counts positions from the end; a
    position takes the coefficient that lies SHIFT further, one where there is none."""
    place, groups = tl.program_id(0), tl.cdiv(features, W)
    row = tl.arange(0, L)
    d = place % groups * W + tl.arange(0, W)
    chunk = (place // groups % chunks).to(tl.int64)
    batch = (place // groups // chunks).to(tl.int64)
    i = chunk * L + row
    t = length - 1 - i if REVERSED else i
    real = d < features
    inside = (i < length)[:, None] & real[None]
    reached = inside & (t + SHIFT < length)[:, None]
    a_place = a_ptr + batch * a_batch + (t + SHIFT)[:, None] * a_time + d[None] * a_feature
    b_place = b_ptr + batch * b_batch + t[:, None] * b_time + d[None] * b_feature
    carry = (batch * chunks + chunk) * features + d
    start_place = start_ptr + batch * start_batch + d * start_feature
    h_place = h_ptr + batch * h_batch + t[:, None] * h_time + d[None] * h_feature
    a = tl.load(a_place, mask=reached, other=1.0)
    b = tl.load(b_place, mask=inside, other=0.0)
    last = (row == L - 1)[:, None]
    first, later = real & (chunk == 0), real & (chunk > 0)
    if COMPLEX:
        ai = tl.load(a_place + 1, mask=reached, other=0.0)
        bi = tl.load(b_place + 1, mask=inside, other=0.0)
        decay, decayi, h, hi = tl.associative_scan((a, ai, b, bi), 0, _after_complex)
        if ENDS:
            tl.store(h_ptr + 2 * carry, tl.sum(tl.where(last, decay, 0.0), 0), mask=real)
            tl.store(h_ptr + 2 * carry + 1, tl.sum(tl.where(last, decayi, 0.0), 0), mask=real)
            tl.store(end_ptr + 2 * carry, tl.sum(tl.where(last, h, 0.0), 0), mask=real)
            tl.store(end_ptr + 2 * carry + 1, tl.sum(tl.where(last, hi, 0.0), 0), mask=real)
        else:
            before = carry_ptr + 2 * (carry - features)
            s = tl.load(start_place, mask=first, other=0.0)
            s += tl.load(before, mask=later, other=0.0)
            si = tl.load(start_place + 1, mask=first, other=0.0)
            si += tl.load(before + 1, mask=later, other=0.0)
            tl.store(h_place, h + decay * s[None] - decayi * si[None], mask=inside)
            tl.store(h_place + 1, hi + decay * si[None] + decayi * s[None], mask=inside)
    else:
        decay, h = tl.associative_scan((a, b), 0, after)
        if ENDS:
            tl.store(h_ptr + carry, tl.sum(tl.where(last, decay, 0.0), 0), mask=real)
            tl.store(end_ptr + carry, tl.sum(tl.where(last, h, 0.0), 0), mask=real)
        else:
            s = tl.load(start_place, mask=first, other=0.0)
            s += tl.load(carry_ptr + carry - features, mask=later, other=0.0)
            tl.store(h_place, h + decay * s[None], mask=inside)


def states(
    a_BTD: Tensor,
    b_BTD: Tensor,
    start_BD: Tensor,
    out_BTD: Tensor | None = None,
    *,
    from_the_end: bool = False,
    shift: int = 0,
) -> Tensor:
    """Every h_t, into `out_BTD`; from the end h_t = a_(t + shift) h_(t+1) + b_t. All of one dtype,
    float32 or complex64, with any strides."""
    B, T, D = b_BTD.shape
    if out_BTD is None:
        out_BTD = torch.empty_like(b_BTD, memory_format=torch.contiguous_format)
    a, b, start, h = (_real(x) for x in (a_BTD, b_BTD, start_BD, out_BTD))
    chunks = triton.cdiv(T, BLOCK_LENGTH)
    grid = (B * chunks * triton.cdiv(D, BLOCK_WIDTH),)

    def launch(carries: Tensor, into: Tensor, ends: Tensor, only_ends: bool) -> None:
        _block[grid](
            a, b, start, _real(carries), _real(into), _real(ends), T, D, chunks,
            *a.stride()[:3], *b.stride()[:3], *start.stride()[:2], *h.stride()[:3],
            ENDS=only_ends, REVERSED=from_the_end, SHIFT=shift, COMPLEX=b_BTD.is_complex(),
            L=BLOCK_LENGTH, W=BLOCK_WIDTH, num_warps=WARPS,
        )  # fmt: skip

    with torch.cuda.device_of(b_BTD):
        carries_BCD = out_BTD
        if chunks > 1:
            decays_BCD, ends_BCD = (b_BTD.new_empty(B, chunks, D) for _ in range(2))
            launch(ends_BCD, decays_BCD, ends_BCD, True)
            carries_BCD = states(decays_BCD, ends_BCD, start_BD)
        launch(carries_BCD, out_BTD, out_BTD, False)
    return out_BTD


def _real(x: Tensor) -> Tensor:
    """Real and imaginary parts side by side on a last axis, where there are any."""
    return torch.view_as_real(x) if x.is_complex() else x
