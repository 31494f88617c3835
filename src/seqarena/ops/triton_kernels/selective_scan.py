"""The selective scan by blocks of positions and channels, one state of the channels at a time.

    h_t = decay_t h_(t-1) + b_t u_t      decay_t = exp(step_t A), u_t = step_t x_t
    g_t = c_t dy_t + decay_(t+1) g_(t+1)

A block's coefficients are made inside the kernel and never written: what is in memory is one state
for each block of L positions, B T E N / L numbers. What a block does to the state between the
blocks is known from the sum of its steps.

    B batch   T time   E channels   N states of a channel   L positions of a block   C blocks of T
    W channels of a block   G blocks of channels
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from seqarena.ops.triton_kernels.diagonal import after, states

BLOCK_LENGTH = 32
BLOCK_WIDTH = 32
WARPS = 4  # 202 registers a thread in the backward pass; a larger block has too few


@triton.jit
def _place(length, channels, chunks, L: tl.constexpr, W: tl.constexpr):
    """This program's batch row, block of time and of channels, and its positions and channels."""
    place, groups = tl.program_id(0), tl.cdiv(channels, W)
    group = place % groups
    chunk = (place // groups % chunks).to(tl.int64)
    batch = (place // groups // chunks).to(tl.int64)
    return batch, chunk, group, chunk * L + tl.arange(0, L), group * W + tl.arange(0, W)


@triton.jit(do_not_specialize=["length", "chunks"])
def _ends(
    read_ptr, step_ptr, a_ptr, weight_ptr, decay_ptr, end_ptr,
    length, channels, chunks,
    num_states: tl.constexpr, BACKWARD: tl.constexpr, L: tl.constexpr, W: tl.constexpr,
):  # fmt: skip
    """What one block does to each state, by its decay and by what it adds. Forward, `read` is x and
    `weight` b; backward, they are dy and c, and blocks are written from the end."""
    batch, chunk, _group, t, e = _place(length, channels, chunks, L, W)
    row, real = tl.arange(0, L), e < channels
    inside = (t < length)[:, None] & real[None]
    place = (batch * length + t)[:, None] * channels + e[None]
    read = tl.load(read_ptr + place, mask=inside, other=0.0)
    step = tl.load(step_ptr + place, mask=inside, other=0.0)
    total = tl.sum(step, 0)
    if BACKWARD:
        onward = inside & (t + 1 < length)[:, None] & (row < L - 1)[:, None]
        onward_step = tl.load(step_ptr + place + channels, mask=onward, other=0.0)
        written = batch * chunks + chunks - 1 - chunk
    else:
        written = batch * chunks + chunk
    for n in range(num_states):
        a = tl.load(a_ptr + n * channels + e, mask=real, other=0.0)
        weight = tl.load(
            weight_ptr + (batch * num_states + n) * length + t, mask=t < length, other=0.0
        )
        if BACKWARD:
            alpha = tl.exp(onward_step * a[None])
            _decay, g = tl.associative_scan((alpha, read * weight[:, None]), 0, after, reverse=True)
            end = tl.sum(tl.where((row == 0)[:, None], g * tl.exp(step * a[None]), 0.0), 0)
        else:
            _decay, h = tl.associative_scan(
                (tl.exp(step * a[None]), step * read * weight[:, None]), 0, after
            )
            end = tl.sum(tl.where((row == L - 1)[:, None], h, 0.0), 0)
        into = (written * num_states + n) * channels + e
        tl.store(decay_ptr + into, tl.exp(total * a), mask=real)
        tl.store(end_ptr + into, end, mask=real)


@triton.jit
def _carried(start_ptr, carry_ptr, batch, chunk, chunks, n, num_states, channels, e):
    """The state before a block: that at the start, or that after the block before it."""
    real = e < channels
    start = tl.load(
        start_ptr + (batch * num_states + n) * channels + e, mask=real & (chunk == 0), other=0.0
    )
    place = ((batch * chunks + chunk - 1) * num_states + n) * channels + e
    return start + tl.load(carry_ptr + place, mask=real & (chunk > 0), other=0.0)


@triton.jit(do_not_specialize=["length", "chunks"])
def _outputs(
    x_ptr, step_ptr, a_ptr, b_ptr, c_ptr, start_ptr, carry_ptr, y_ptr, last_ptr,
    length, channels, chunks,
    num_states: tl.constexpr, L: tl.constexpr, W: tl.constexpr,
):  # fmt: skip
    """The outputs of one block, and of the last block its last state."""
    batch, chunk, _group, t, e = _place(length, channels, chunks, L, W)
    row, real = tl.arange(0, L), e < channels
    inside = (t < length)[:, None] & real[None]
    place = (batch * length + t)[:, None] * channels + e[None]
    step = tl.load(step_ptr + place, mask=inside, other=0.0)
    u = step * tl.load(x_ptr + place, mask=inside, other=0.0)
    y = tl.zeros_like(u)
    for n in range(num_states):
        a = tl.load(a_ptr + n * channels + e, mask=real, other=0.0)
        column = (batch * num_states + n) * length + t
        b = tl.load(b_ptr + column, mask=t < length, other=0.0)
        c = tl.load(c_ptr + column, mask=t < length, other=0.0)
        start = _carried(start_ptr, carry_ptr, batch, chunk, chunks, n, num_states, channels, e)
        decay, h = tl.associative_scan((tl.exp(step * a[None]), u * b[:, None]), 0, after)
        h += decay * start[None]
        y += c[:, None] * h
        end = tl.sum(tl.where((row == L - 1)[:, None], h, 0.0), 0)
        into = (batch * num_states + n) * channels + e
        tl.store(last_ptr + into, end, mask=real & (chunk == chunks - 1))
    tl.store(y_ptr + place, y, mask=inside)


@triton.jit(do_not_specialize=["length", "chunks"])
def _gradients(
    x_ptr, step_ptr, a_ptr, b_ptr, c_ptr, dy_ptr, start_ptr, carry_ptr, dlast_ptr, dcarry_ptr,
    dx_ptr, dstep_ptr, da_ptr, db_ptr, dc_ptr, dstart_ptr,
    length, channels, chunks, batches,
    num_states: tl.constexpr, L: tl.constexpr, W: tl.constexpr,
):  # fmt: skip
    """The gradients of one block; those of A, b and c are parts, for each block by itself."""
    batch, chunk, group, t, e = _place(length, channels, chunks, L, W)
    row, real = tl.arange(0, L), e < channels
    inside = (t < length)[:, None] & real[None]
    onward = inside & (t + 1 < length)[:, None] & (row < L - 1)[:, None]
    place = (batch * length + t)[:, None] * channels + e[None]
    x = tl.load(x_ptr + place, mask=inside, other=0.0)
    step = tl.load(step_ptr + place, mask=inside, other=0.0)
    onward_step = tl.load(step_ptr + place + channels, mask=onward, other=0.0)
    dy = tl.load(dy_ptr + place, mask=inside, other=0.0)
    u, du, dstep = step * x, tl.zeros_like(x), tl.zeros_like(x)
    for n in range(num_states):
        a = tl.load(a_ptr + n * channels + e, mask=real, other=0.0)
        column = (batch * num_states + n) * length + t
        b = tl.load(b_ptr + column, mask=t < length, other=0.0)
        c = tl.load(c_ptr + column, mask=t < length, other=0.0)
        start = _carried(start_ptr, carry_ptr, batch, chunk, chunks, n, num_states, channels, e)
        # blocks count from the end here
        dend = _carried(
            dlast_ptr, dcarry_ptr, batch, chunks - 1 - chunk, chunks, n, num_states, channels, e
        )
        decay = tl.exp(step * a[None])
        added = u * b[:, None]
        through, h = tl.associative_scan((decay, added), 0, after)
        h += through * start[None]
        dh = c[:, None] * dy + tl.where((row == L - 1)[:, None], dend[None], 0.0)
        alpha = tl.exp(onward_step * a[None])
        _back, g = tl.associative_scan((alpha, dh), 0, after, reverse=True)
        w = g * (h - added)  # h - added is what the decay left of the state before
        du += g * b[:, None]
        dstep += w * a[None]
        part = ((group * batches + batch) * num_states + n) * length + t
        tl.store(db_ptr + part, tl.sum(g * u, 1), mask=t < length)
        tl.store(dc_ptr + part, tl.sum(h * dy, 1), mask=t < length)
        into = ((batch * chunks + chunk) * num_states + n) * channels + e
        tl.store(da_ptr + into, tl.sum(w * step, 0), mask=real)
        dstart = tl.sum(tl.where((row == 0)[:, None], g * decay, 0.0), 0)
        first = (batch * num_states + n) * channels + e
        tl.store(dstart_ptr + first, dstart, mask=real & (chunk == 0))
    tl.store(dx_ptr + place, step * du, mask=inside)
    tl.store(dstep_ptr + place, dstep + x * du, mask=inside)


def outputs(
    x_BTE: Tensor, step_BTE: Tensor, a_NE: Tensor, b_BNT: Tensor, c_BNT: Tensor, start_BNE: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The outputs, the last state, and the state after each block, [B, C, N, E]. All inputs of
    these functions are contiguous and float32."""
    size = _Size(x_BTE, a_NE)
    y_BTE, last_BNE = torch.empty_like(x_BTE), torch.empty_like(start_BNE)
    with torch.cuda.device_of(x_BTE):
        carries = _carries(size, x_BTE, step_BTE, a_NE, b_BNT, start_BNE, backward=False)
        _outputs[size.grid](
            x_BTE, step_BTE, a_NE, b_BNT, c_BNT, start_BNE, carries, y_BTE, last_BNE, *size.numbers,
            num_states=size.num_states, L=BLOCK_LENGTH, W=BLOCK_WIDTH, num_warps=WARPS,
        )  # fmt: skip
    return y_BTE, last_BNE, carries


def gradients(
    x_BTE: Tensor, step_BTE: Tensor, a_NE: Tensor, b_BNT: Tensor, c_BNT: Tensor, start_BNE: Tensor,
    carries: Tensor, dy_BTE: Tensor, dlast_BNE: Tensor,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Those of x, step, A, b, c and the start; `carries` as `outputs` gave them."""
    size = _Size(x_BTE, a_NE)
    (B, _, E), N, C = x_BTE.shape, a_NE.shape[0], size.chunks
    dx_BTE, dstep_BTE = torch.empty_like(x_BTE), torch.empty_like(x_BTE)
    dstart_BNE, da_BCNE = torch.empty_like(start_BNE), x_BTE.new_empty(B, C, N, E)
    db_GBNT, dc_GBNT = (b_BNT.new_empty(size.groups, *b_BNT.shape) for _ in range(2))
    with torch.cuda.device_of(x_BTE):
        dcarries = _carries(size, dy_BTE, step_BTE, a_NE, c_BNT, dlast_BNE, backward=True)
        _gradients[size.grid](
            x_BTE, step_BTE, a_NE, b_BNT, c_BNT, dy_BTE, start_BNE, carries, dlast_BNE, dcarries,
            dx_BTE, dstep_BTE, da_BCNE, db_GBNT, dc_GBNT, dstart_BNE, *size.numbers, B,
            num_states=size.num_states, L=BLOCK_LENGTH, W=BLOCK_WIDTH, num_warps=WARPS,
        )  # fmt: skip
    sums = da_BCNE.sum((0, 1)), db_GBNT.sum(0).mT, dc_GBNT.sum(0).mT
    return dx_BTE, dstep_BTE, *sums, dstart_BNE


class _Size:
    """How the work is divided."""

    def __init__(self, x_BTE: Tensor, a_NE: Tensor) -> None:
        B, T, E = x_BTE.shape
        self.chunks, self.groups = triton.cdiv(T, BLOCK_LENGTH), triton.cdiv(E, BLOCK_WIDTH)
        self.grid = (B * self.chunks * self.groups,)
        self.numbers = (T, E, self.chunks)
        self.num_states = a_NE.shape[0]


def _carries(
    size: _Size, read_BTE: Tensor, step_BTE: Tensor, a_NE: Tensor, weight_BNT: Tensor,
    start_BNE: Tensor, *, backward: bool,
) -> Tensor:  # fmt: skip
    """The state after each block, or backward the gradient of the state before each, from the
    end: [B, C, N, E]; of a single block nothing needs it, and it is the start."""
    if size.chunks == 1:
        return start_BNE
    decays, ends = (read_BTE.new_empty(len(read_BTE), size.chunks, *a_NE.shape) for _ in range(2))
    _ends[size.grid](
        read_BTE, step_BTE, a_NE, weight_BNT, decays, ends, *size.numbers,
        num_states=size.num_states, BACKWARD=backward,
        L=BLOCK_LENGTH, W=BLOCK_WIDTH, num_warps=WARPS,
    )  # fmt: skip
    return states(decays.flatten(2), ends.flatten(2), start_BNE.flatten(1)).view(decays.shape)
