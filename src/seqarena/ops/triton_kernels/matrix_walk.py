"""The walk over the chunks of a matrix recurrence that erases, each matrix kept on the chip.

    forward    u = inverse (known + e S),   S <- kept S + k^T v + d^T u
    backward   du = dvalues_u + d dS,   de = inverse^T du,   dS <- kept dS + q^T dy + e^T de

(ops/matrix_recurrence/segment.py; where the direction is minus the key, the sum over v is gone and
d is the key.) The columns of values are independent of each other.

    N chunks   X sequences and heads   L positions of a chunk   K features of a key   V features of
    a value   R rows of a position (q, e)   C columns (k, d)   KB, LB, VB: what a block holds
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK_VALUES = 16
# with fewer warps or loads made ahead, 256 features of a key do not fit on the chip
WARPS, STAGES = 8, 1
SMALLEST = 16  # side of a product on tensor cores
PRECISION = tl.constexpr("tf32x3")  # three products on tensor cores: the digits of float32


@triton.jit
def _tile(ptr, rows, columns, row_stride, num_rows, num_columns):
    """Part of a matrix, zeros beyond its edges."""
    inside = (rows < num_rows)[:, None] & (columns < num_columns)[None]
    return tl.load(ptr + rows[:, None] * row_stride + columns[None], mask=inside, other=0.0)


@triton.jit
def _put(ptr, rows, columns, row_stride, num_rows, num_columns, x):
    inside = (rows < num_rows)[:, None] & (columns < num_columns)[None]
    tl.store(ptr + rows[:, None] * row_stride + columns[None], x, mask=inside)


@triton.jit
def _kept(s, kept_ptr, m, k, K, DECAY: tl.constexpr):
    """What of the matrix goes on: DECAY 0 all, 1 a share, 2 a share of each key's row."""
    if DECAY == 1:
        s = s * tl.load(kept_ptr + m)
    elif DECAY == 2:
        s = s * tl.load(kept_ptr + m * K + k, mask=k < K, other=0.0)[:, None]
    return s


@triton.jit(do_not_specialize=["chunks"])
def _forward(
    erase_ptr, inverse_ptr, known_ptr, v_ptr, writes_ptr, kept_ptr, solved_ptr, states_ptr,
    chunks, X, L, K, V, R, C,
    DECAY: tl.constexpr, TWO: tl.constexpr,
    LB: tl.constexpr, KB: tl.constexpr, VB: tl.constexpr,
):  # fmt: skip
    x, groups = tl.program_id(0), tl.cdiv(V, VB)
    v_axis = x % groups * VB + tl.arange(0, VB)
    x = (x // groups).to(tl.int64)
    t, k = tl.arange(0, LB), tl.arange(0, KB)
    s = _tile(states_ptr + x * K * V, k, v_axis, V, K, V)
    for n in range(chunks):
        m = n * X + x
        erase = _tile(erase_ptr + m * L * R * K, t, k, R * K, L, K)
        inverse = _tile(inverse_ptr + m * L * L, t, t, L, L, L)
        known = _tile(known_ptr + m * L * V, t, v_axis, V, L, V)
        known += tl.dot(erase, s, input_precision=PRECISION)
        solved = tl.dot(inverse, known, input_precision=PRECISION)
        _put(solved_ptr + m * L * V, t, v_axis, V, L, V, solved)
        s = _kept(s, kept_ptr, m, k, K, DECAY)
        if TWO:
            key = _tile(writes_ptr + m * L * C * K, t, k, C * K, L, K)
            v = _tile(v_ptr + m * L * V, t, v_axis, V, L, V)
            s += tl.dot(tl.trans(key), v, input_precision=PRECISION)
        direction = _tile(writes_ptr + m * L * C * K + (C - 1) * K, t, k, C * K, L, K)
        s += tl.dot(tl.trans(direction), solved, input_precision=PRECISION)
        _put(states_ptr + ((n + 1) * X + x) * K * V, k, v_axis, V, K, V, s)


@triton.jit(do_not_specialize=["chunks"])
def _backward(
    reads_ptr, inverse_ptr, writes_ptr, kept_ptr, dread_ptr, dvalues_ptr, dstates_ptr,
    chunks, X, L, K, V, R, C,
    DECAY: tl.constexpr, TWO: tl.constexpr,
    LB: tl.constexpr, KB: tl.constexpr, VB: tl.constexpr,
):  # fmt: skip
    x, groups = tl.program_id(0), tl.cdiv(V, VB)
    v_axis = x % groups * VB + tl.arange(0, VB)
    x = (x // groups).to(tl.int64)
    t, k = tl.arange(0, LB), tl.arange(0, KB)
    ds = _tile(dstates_ptr + (chunks * X + x) * K * V, k, v_axis, V, K, V)
    for i in range(chunks):
        n = chunks - 1 - i
        m = n * X + x
        values = dvalues_ptr + m * L * C * V
        if TWO:
            key = _tile(writes_ptr + m * L * C * K, t, k, C * K, L, K)
            dv = _tile(values, t, v_axis, C * V, L, V)
            dv += tl.dot(key, ds, input_precision=PRECISION)
            _put(values, t, v_axis, C * V, L, V, dv)
        values += (C - 1) * V
        direction = _tile(writes_ptr + m * L * C * K + (C - 1) * K, t, k, C * K, L, K)
        du = _tile(values, t, v_axis, C * V, L, V)
        du += tl.dot(direction, ds, input_precision=PRECISION)
        _put(values, t, v_axis, C * V, L, V, du)
        inverse = _tile(inverse_ptr + m * L * L, t, t, L, L, L)
        derase = tl.dot(tl.trans(inverse), du, input_precision=PRECISION)
        _put(dread_ptr + m * L * R * V + V, t, v_axis, R * V, L, V, derase)
        query = _tile(reads_ptr + m * L * R * K, t, k, R * K, L, K)
        erase = _tile(reads_ptr + m * L * R * K + K, t, k, R * K, L, K)
        dy = _tile(dread_ptr + m * L * R * V, t, v_axis, R * V, L, V)
        ds = _kept(ds, kept_ptr, m, k, K, DECAY)
        ds += tl.dot(tl.trans(query), dy, input_precision=PRECISION)
        ds += tl.dot(tl.trans(erase), derase, input_precision=PRECISION)
        _put(dstates_ptr + m * K * V, k, v_axis, V, K, V, ds)


def walk(
    reads_MLRK: Tensor, writes_MLCK: Tensor, kept: Tensor | None, inverse_MLL: Tensor,
    known_MLV: Tensor, v_MLV: Tensor, states: Tensor,
) -> Tensor:  # fmt: skip
    """What erasing solves for, u_MLV; fills in `states` [N + 1, X, K, V] after its first."""
    solved_MLV = torch.empty_like(known_MLV)
    grid, sizes, blocks = _division(reads_MLRK, writes_MLCK, states)
    with torch.cuda.device_of(states):
        _forward[grid](
            reads_MLRK[:, :, 1], inverse_MLL, known_MLV, v_MLV, writes_MLCK, *_decay(kept, states),
            solved_MLV, states, *sizes, DECAY=_kind(kept), TWO=writes_MLCK.shape[2] == 2, **blocks,
            num_warps=WARPS, num_stages=STAGES,
        )  # fmt: skip
    return solved_MLV


def walk_back(
    reads_MLRK: Tensor, writes_MLCK: Tensor, kept: Tensor | None, inverse_MLL: Tensor,
    dread_MLRV: Tensor, dvalues_MLCV: Tensor, dstates: Tensor,
) -> None:  # fmt: skip
    """Fills in the second row of `dread_MLRV` and `dstates` before its last, and completes
    `dvalues_MLCV`."""
    grid, sizes, blocks = _division(reads_MLRK, writes_MLCK, dstates)
    with torch.cuda.device_of(dstates):
        _backward[grid](
            reads_MLRK, inverse_MLL, writes_MLCK, *_decay(kept, dstates), dread_MLRV, dvalues_MLCV,
            dstates, *sizes, DECAY=_kind(kept), TWO=writes_MLCK.shape[2] == 2, **blocks,
            num_warps=WARPS, num_stages=STAGES,
        )  # fmt: skip


def _division(
    reads_MLRK: Tensor, writes_MLCK: Tensor, states: Tensor
) -> tuple[tuple[int], tuple[int, ...], dict[str, int]]:
    """The programs, the sizes and the blocks."""
    (_, L, R, K), C = reads_MLRK.shape, writes_MLCK.shape[2]
    chunks, X, _, V = states.shape
    side = {
        name: max(SMALLEST, triton.next_power_of_2(size)) for name, size in (("LB", L), ("KB", K))
    }
    grid = (X * triton.cdiv(V, BLOCK_VALUES),)
    return grid, (chunks - 1, X, L, K, V, R, C), {**side, "VB": BLOCK_VALUES}


def _kind(kept: Tensor | None) -> int:
    return 0 if kept is None else 1 if kept.shape[1] == 1 else 2


def _decay(kept: Tensor | None, states: Tensor) -> tuple[Tensor]:
    return (states if kept is None else kept.contiguous(),)
