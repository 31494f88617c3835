"""Kernels of the diagonal recurrence (ops/diagonal), real and complex.

A row of work is one sequence's block of features, which is walked along time: its state stays in
the processor's nearest memory. A complex number is two neighbours, its real part first.
"""

from seqarena.ops.kernels.compiling import compiled

BLOCK = 512  # features


@compiled
def forward(first, stop, length, width, a, a_b, a_t, b, b_b, b_t, start, s_b, h):
    """h_t = a_t h_{t-1} + b_t"""
    blocks = (width + BLOCK - 1) // BLOCK
    for row in range(first, stop):
        sequence, lo = row // blocks, row % blocks * BLOCK
        count = min(BLOCK, width - lo)
        last = start[sequence * s_b + lo : sequence * s_b + lo + count]
        for t in range(length):
            a_at, b_at = sequence * a_b + t * a_t + lo, sequence * b_b + t * b_t + lo
            h_at = (sequence * length + t) * width + lo
            a_now, b_now, h_now = (
                a[a_at : a_at + count],
                b[b_at : b_at + count],
                h[h_at : h_at + count],
            )
            for d in range(count):
                h_now[d] = a_now[d] * last[d] + b_now[d]
            last = h_now


@compiled
def backward(first, stop, length, width, a, a_b, a_t, dh, d_b, d_t, start, s_b, h, g, da, dstart):
    """g_t = dh_t + a_{t+1} g_{t+1},   da_t = g_t h_{t-1},   dstart = a_1 g_1; `da` may be empty."""
    blocks = (width + BLOCK - 1) // BLOCK
    for row in range(first, stop):
        sequence, lo = row // blocks, row % blocks * BLOCK
        count = min(BLOCK, width - lo)
        carried = dstart[sequence * width + lo : sequence * width + lo + count]
        carried[:] = 0
        for t in range(length - 1, -1, -1):
            a_at, d_at = sequence * a_b + t * a_t + lo, sequence * d_b + t * d_t + lo
            at = (sequence * length + t) * width + lo
            a_now, dh_now, g_now = (
                a[a_at : a_at + count],
                dh[d_at : d_at + count],
                g[at : at + count],
            )
            for d in range(count):
                g_now[d] = dh_now[d] + carried[d]
                carried[d] = a_now[d] * g_now[d]
            if da.size:
                before = h[at - width : at - width + count]
                if t == 0:
                    before = start[sequence * s_b + lo : sequence * s_b + lo + count]
                da_now = da[at : at + count]
                for d in range(count):
                    da_now[d] = g_now[d] * before[d]


@compiled
def forward_complex(first, stop, length, width, a, a_b, a_t, b, b_b, b_t, start, s_b, h):
    """As `forward`; widths, strides and blocks count real numbers."""
    blocks = (width + BLOCK - 1) // BLOCK
    for row in range(first, stop):
        sequence, lo = row // blocks, row % blocks * BLOCK
        count = min(BLOCK, width - lo)
        last = start[sequence * s_b + lo : sequence * s_b + lo + count]
        for t in range(length):
            a_at, b_at = sequence * a_b + t * a_t + lo, sequence * b_b + t * b_t + lo
            at = (sequence * length + t) * width + lo
            a_now, b_now, h_now = a[a_at : a_at + count], b[b_at : b_at + count], h[at : at + count]
            for d in range(count // 2):
                real, imag = a_now[2 * d], a_now[2 * d + 1]
                h_real, h_imag = last[2 * d], last[2 * d + 1]
                h_now[2 * d] = b_now[2 * d] + real * h_real - imag * h_imag
                h_now[2 * d + 1] = b_now[2 * d + 1] + real * h_imag + imag * h_real
            last = h_now


@compiled
def backward_complex(
    first, stop, length, width, a, a_b, a_t, dh, d_b, d_t, start, s_b, h, g, da, dstart
):
    """As `backward`, with the conjugates of a and h."""
    blocks = (width + BLOCK - 1) // BLOCK
    for row in range(first, stop):
        sequence, lo = row // blocks, row % blocks * BLOCK
        count = min(BLOCK, width - lo)
        carried = dstart[sequence * width + lo : sequence * width + lo + count]
        carried[:] = 0
        for t in range(length - 1, -1, -1):
            a_at, d_at = sequence * a_b + t * a_t + lo, sequence * d_b + t * d_t + lo
            at = (sequence * length + t) * width + lo
            a_now, dh_now, g_now = (
                a[a_at : a_at + count],
                dh[d_at : d_at + count],
                g[at : at + count],
            )
            for d in range(count // 2):
                real, imag = a_now[2 * d], a_now[2 * d + 1]
                g_real = dh_now[2 * d] + carried[2 * d]
                g_imag = dh_now[2 * d + 1] + carried[2 * d + 1]
                g_now[2 * d], g_now[2 * d + 1] = g_real, g_imag
                carried[2 * d] = real * g_real + imag * g_imag
                carried[2 * d + 1] = real * g_imag - imag * g_real
            if da.size:
                before = h[at - width : at - width + count]
                if t == 0:
                    before = start[sequence * s_b + lo : sequence * s_b + lo + count]
                da_now = da[at : at + count]
                for d in range(count // 2):
                    real, imag = before[2 * d], before[2 * d + 1]
                    g_real, g_imag = g_now[2 * d], g_now[2 * d + 1]
                    da_now[2 * d] = g_real * real + g_imag * imag
                    da_now[2 * d + 1] = g_imag * real - g_real * imag
