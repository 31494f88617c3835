"""Kernels of the minimal recurrence (ops/minimal): gate, candidate and blend in one walk.

A row of work is one sequence's block of channels. Gates and candidates are computed again on the
way back, which is cheaper than to keep them.
"""

from seqarena.ops.kernels.compiling import compiled
from seqarena.ops.kernels.functions import sigmoid

BLOCK = 256  # channels


@compiled
def forward(first, stop, length, width, gate, g_b, g_t, value, v_b, v_t, positive, start, s_b, h):
    """h_t = h_{t-1} + z_t (c_t - h_{t-1})"""
    one = h.dtype.type(1)
    half = one / h.dtype.type(2)
    blocks = (width + BLOCK - 1) // BLOCK
    for row in range(first, stop):
        sequence, lo = row // blocks, row % blocks * BLOCK
        count = min(BLOCK, width - lo)
        last = start[sequence * s_b + lo : sequence * s_b + lo + count]
        for t in range(length):
            gate_at, value_at = sequence * g_b + t * g_t + lo, sequence * v_b + t * v_t + lo
            at = (sequence * length + t) * width + lo
            gate_now, value_now = (
                gate[gate_at : gate_at + count],
                value[value_at : value_at + count],
            )
            h_now = h[at : at + count]
            if positive:
                for e in range(count):
                    c = max(sigmoid(value_now[e]), value_now[e] + half)
                    h_now[e] = last[e] + sigmoid(gate_now[e]) * (c - last[e])
            else:
                for e in range(count):
                    h_now[e] = last[e] + sigmoid(gate_now[e]) * (value_now[e] - last[e])
            last = h_now


@compiled
def backward(
    first, stop, length, width, gate, g_b, g_t, value, v_b, v_t, positive, start, s_b, h,
    dh, d_b, d_t, dgate, dvalue, dstart,
):  # fmt: skip
    """g_t = dh_t + (1 - z_{t+1}) g_{t+1}
    dgate_t = g_t (c_t - h_{t-1}) z_t (1 - z_t),   dvalue_t = g_t z_t g'(value_t)"""
    one = h.dtype.type(1)
    half = one / h.dtype.type(2)
    blocks = (width + BLOCK - 1) // BLOCK
    for row in range(first, stop):
        sequence, lo = row // blocks, row % blocks * BLOCK
        count = min(BLOCK, width - lo)
        carried = dstart[sequence * width + lo : sequence * width + lo + count]
        carried[:] = 0
        for t in range(length - 1, -1, -1):
            gate_at, value_at = sequence * g_b + t * g_t + lo, sequence * v_b + t * v_t + lo
            d_at, at = sequence * d_b + t * d_t + lo, (sequence * length + t) * width + lo
            gate_now, value_now = (
                gate[gate_at : gate_at + count],
                value[value_at : value_at + count],
            )
            dh_now, dgate_now = dh[d_at : d_at + count], dgate[at : at + count]
            dvalue_now = dvalue[at : at + count]
            before = h[at - width : at - width + count]
            if t == 0:
                before = start[sequence * s_b + lo : sequence * s_b + lo + count]
            if positive:
                for e in range(count):
                    z = sigmoid(gate_now[e])
                    low, high = sigmoid(value_now[e]), value_now[e] + half
                    # c (1 - c) is 1/4 where the branches meet at c = 1/2; above, the slope is one
                    slope = one if value_now[e] >= 0 else low * (one - low)
                    g = dh_now[e] + carried[e]
                    dvalue_now[e] = g * z * slope
                    carried[e] = g * (one - z)
                    dgate_now[e] = carried[e] * z * (max(low, high) - before[e])
            else:
                for e in range(count):
                    z = sigmoid(gate_now[e])
                    g = dh_now[e] + carried[e]
                    dvalue_now[e] = g * z
                    carried[e] = g * (one - z)
                    dgate_now[e] = carried[e] * z * (value_now[e] - before[e])
