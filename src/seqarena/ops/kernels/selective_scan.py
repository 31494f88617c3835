"""Kernels of the selective scan (ops/selective_scan), its exponentials inside the loop.

A row of work is one sequence's block of channels, whose N states stay in the processor's nearest
memory. The way back computes the states of a chunk again from those at its start. What is summed
over channels (the gradients of B and C) is written for each block by itself, so that the sum does
not depend on who computes which.
"""

import numpy as np

from seqarena.ops.kernels.compiling import compiled, compiled_with_sums
from seqarena.ops.kernels.functions import exp

BLOCK = 128  # channels
CHUNK = 16  # positions


@compiled
def forward(
    first, stop, length, width, states,
    x, x_b, x_t, step, s_b, s_t, a, b, b_b, b_t, c, c_b, c_t, start, y, final, starts,
):  # fmt: skip
    """h_t = exp(step_t A) h_{t-1} + step_t B_t x_t,   y_t = sum over n of C_t h_t. `starts` may be
    empty: without gradients nothing is kept."""
    blocks, chunks = (width + BLOCK - 1) // BLOCK, (length + CHUNK - 1) // CHUNK
    h = np.empty((states, BLOCK), y.dtype)
    rate = np.empty((states, BLOCK), y.dtype)
    u = np.empty(BLOCK, y.dtype)
    for row in range(first, stop):
        sequence, lo = row // blocks, row % blocks * BLOCK
        count = min(BLOCK, width - lo)
        for n in range(states):
            at = (sequence * states + n) * width + lo
            h[n, :count] = start[at : at + count]
            rate[n, :count] = a[n * width + lo : n * width + lo + count]
        for t in range(length):
            if starts.size and t % CHUNK == 0:
                for n in range(states):
                    at = ((sequence * chunks + t // CHUNK) * states + n) * width + lo
                    starts[at : at + count] = h[n, :count]
            x_at, s_at = sequence * x_b + t * x_t + lo, sequence * s_b + t * s_t + lo
            at = (sequence * length + t) * width + lo
            x_now, step_now = x[x_at : x_at + count], step[s_at : s_at + count]
            y_now = y[at : at + count]
            for e in range(count):
                u[e] = step_now[e] * x_now[e]
                y_now[e] = 0
            b_at, c_at = sequence * b_b + t * b_t, sequence * c_b + t * c_t
            for n in range(states):
                b_n, c_n = b[b_at + n], c[c_at + n]
                for e in range(count):
                    h[n, e] = exp(step_now[e] * rate[n, e]) * h[n, e] + b_n * u[e]
                    y_now[e] += c_n * h[n, e]
        for n in range(states):
            at = (sequence * states + n) * width + lo
            final[at : at + count] = h[n, :count]


@compiled_with_sums
def backward(
    first, stop, length, width, states,
    x, x_b, x_t, step, s_b, s_t, a, b, b_b, b_t, c, c_b, c_t, starts,
    dy, y_b, y_t, dfinal, dx, dstep, da, db, dc, dstart,
):  # fmt: skip
    """With g_t the gradient of h_t and q_t = exp(step_t A) g_t, as in `chunked`. `da` [B, N, E] and
    `db`, `dc` [blocks, B, T, N] are parts, to be summed over their first axis."""
    blocks, chunks = (width + BLOCK - 1) // BLOCK, (length + CHUNK - 1) // CHUNK
    zero, sequences = dx.dtype.type(0), dx.size // (length * width)
    h = np.empty((CHUNK + 1, states, BLOCK), dx.dtype)
    decay = np.empty((CHUNK, states, BLOCK), dx.dtype)
    g = np.empty((states, BLOCK), dx.dtype)
    sums = np.empty((states, BLOCK), dx.dtype)
    rate = np.empty((states, BLOCK), dx.dtype)
    u, du, dw = np.empty(BLOCK, dx.dtype), np.empty(BLOCK, dx.dtype), np.empty(BLOCK, dx.dtype)
    for row in range(first, stop):
        sequence, block = row // blocks, row % blocks
        lo = block * BLOCK
        count = min(BLOCK, width - lo)
        for n in range(states):
            at = (sequence * states + n) * width + lo
            g[n, :count] = dfinal[at : at + count]
            rate[n, :count] = a[n * width + lo : n * width + lo + count]
        sums[:] = 0
        for chunk in range(chunks - 1, -1, -1):
            begin, end = chunk * CHUNK, min(chunk * CHUNK + CHUNK, length)
            for n in range(states):
                at = ((sequence * chunks + chunk) * states + n) * width + lo
                h[0, n, :count] = starts[at : at + count]
            for t in range(begin, end):
                x_at, s_at = sequence * x_b + t * x_t + lo, sequence * s_b + t * s_t + lo
                x_now, step_now = x[x_at : x_at + count], step[s_at : s_at + count]
                for e in range(count):
                    u[e] = step_now[e] * x_now[e]
                b_at = sequence * b_b + t * b_t
                h_old, h_new, decays = h[t - begin], h[t - begin + 1], decay[t - begin]
                for n in range(states):
                    b_n = b[b_at + n]
                    for e in range(count):
                        decays[n, e] = exp(step_now[e] * rate[n, e])
                        h_new[n, e] = decays[n, e] * h_old[n, e] + b_n * u[e]
            for t in range(end - 1, begin - 1, -1):
                x_at, s_at = sequence * x_b + t * x_t + lo, sequence * s_b + t * s_t + lo
                d_at, at = sequence * y_b + t * y_t + lo, (sequence * length + t) * width + lo
                x_now, step_now = x[x_at : x_at + count], step[s_at : s_at + count]
                dy_now = dy[d_at : d_at + count]
                for e in range(count):
                    u[e] = step_now[e] * x_now[e]
                    du[e] = zero
                    dw[e] = zero
                b_at, c_at = sequence * b_b + t * b_t, sequence * c_b + t * c_t
                n_at = ((block * sequences + sequence) * length + t) * states
                h_old, h_new, decays = h[t - begin], h[t - begin + 1], decay[t - begin]
                for n in range(states):
                    b_n, c_n, db_n, dc_n = b[b_at + n], c[c_at + n], zero, zero
                    for e in range(count):
                        g_now = g[n, e] + c_n * dy_now[e]
                        dc_n += h_new[n, e] * dy_now[e]
                        db_n += g_now * u[e]
                        du[e] += b_n * g_now
                        q = decays[n, e] * g_now
                        w = q * h_old[n, e]
                        sums[n, e] += step_now[e] * w
                        dw[e] += rate[n, e] * w
                        g[n, e] = q
                    db[n_at + n], dc[n_at + n] = db_n, dc_n
                dx_now, dstep_now = dx[at : at + count], dstep[at : at + count]
                for e in range(count):
                    dx_now[e] = step_now[e] * du[e]
                    dstep_now[e] = dw[e] + x_now[e] * du[e]
        for n in range(states):
            at = (sequence * states + n) * width + lo
            dstart[at : at + count] = g[n, :count]
            da[at : at + count] = sums[n, :count]
