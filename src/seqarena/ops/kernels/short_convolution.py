"""Kernels of the short convolution (ops/short_convolution): taps and activation in one walk.

A row of work is one sequence's block of channels, so that a block's last K inputs stay in the
nearest cache. What stands before the activation is computed again on the way back.
"""

import numpy as np
from numba import njit

from seqarena.ops.kernels.compiling import compiled
from seqarena.ops.kernels.functions import sigmoid

BLOCK = 256  # channels


@njit(inline="always")
def weigh(out, count, taps, x, x_at, x_t, weight, w_at, width, bias):
    """out = b + sum over k of w_k x_k, which stands before the activation."""
    out[:] = bias
    for k in range(taps):
        x_now = x[x_at + k * x_t : x_at + k * x_t + count]
        w_now = weight[w_at + k * width : w_at + k * width + count]
        for c in range(count):
            out[c] += w_now[c] * x_now[c]


@compiled
def forward(first, stop, length, width, taps, x, x_b, x_t, weight, bias, silu, y):
    """y_t = f(b + sum over k of w_k x_{t+k}); `weight` is [K, C], x has K - 1 positions more."""
    blocks = (width + BLOCK - 1) // BLOCK
    for row in range(first, stop):
        sequence, lo = row // blocks, row % blocks * BLOCK
        count = min(BLOCK, width - lo)
        for t in range(length):
            at = (sequence * length + t) * width + lo
            y_now = y[at : at + count]
            x_at = sequence * x_b + t * x_t + lo
            weigh(y_now, count, taps, x, x_at, x_t, weight, lo, width, bias[lo : lo + count])
            if silu:
                for c in range(count):
                    y_now[c] *= sigmoid(y_now[c])


@compiled
def backward(
    first, stop, length, width, taps, x, x_b, x_t, weight, bias, silu,
    dy, d_b, d_t, dx, dweight, dbias,
):  # fmt: skip
    """da_t = f'(a_t) dy_t,   dx_{t+k} += w_k da_t,   dw_k += x_{t+k} da_t,   db += da_t

    `dx` [B, P, C], `dweight` [B, K, C] and `dbias` [B, C] come as zeros."""
    one = dx.dtype.type(1)
    blocks = (width + BLOCK - 1) // BLOCK
    a = np.empty(BLOCK, dx.dtype)
    for row in range(first, stop):
        sequence, lo = row // blocks, row % blocks * BLOCK
        count = min(BLOCK, width - lo)
        db_now = dbias[sequence * width + lo : sequence * width + lo + count]
        da = a[:count]
        for t in range(length):
            d_at = sequence * d_b + t * d_t + lo
            dy_now = dy[d_at : d_at + count]
            if silu:
                x_at = sequence * x_b + t * x_t + lo
                weigh(da, count, taps, x, x_at, x_t, weight, lo, width, bias[lo : lo + count])
                for c in range(count):
                    s = sigmoid(da[c])
                    da[c] = dy_now[c] * s * (one + da[c] * (one - s))
            else:
                da[:] = dy_now
            for k in range(taps):
                x_at, w_at = sequence * x_b + (t + k) * x_t + lo, k * width + lo
                dx_at = (sequence * (length + taps - 1) + t + k) * width + lo
                dw_at = (sequence * taps + k) * width + lo
                x_now, w_now = x[x_at : x_at + count], weight[w_at : w_at + count]
                dx_now, dw_now = dx[dx_at : dx_at + count], dweight[dw_at : dw_at + count]
                for c in range(count):
                    dx_now[c] += w_now[c] * da[c]
                    dw_now[c] += x_now[c] * da[c]
            for c in range(count):
                db_now[c] += da[c]
