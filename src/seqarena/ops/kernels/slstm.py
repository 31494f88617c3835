"""Kernels of the scalar LSTM (ops/recurrent/slstm), a row of work a sequence, as in `cells.py`.

    gates [B, T, 5 E]   f', i', f~, tanh z~, sigmoid o~
    d     [B, T, H G]   gradients of the arguments of i, f, z and o, those of a head side by side

Letters: H heads, P features of a head, G = 4 P.
"""

import numpy as np

from seqarena.ops.kernels.compiling import compiled
from seqarena.ops.kernels.functions import exp, log_sigmoid, sigmoid, tanh
from seqarena.ops.kernels.products import lay_out, multiply, padded
from seqarena.ops.kernels.slices import four


@compiled
def forward(
    first, stop, length, width, heads,
    x, h0, c0, n0, m0, w, ends, h, c, n, gates, c_end, n_end, m_end,
):  # fmt: skip
    """`w` [H, P, G]; the last cell, normaliser and stabiliser are those at each row's end."""
    rows, features = stop - first, width // heads
    columns = 4 * features
    u_width = padded(columns, h.itemsize)
    weight = np.zeros(heads * features * u_width, h.dtype)
    for k in range(heads):
        part = w[k * features * columns : (k + 1) * features * columns]
        lay_out(part, columns, weight[k * features * u_width : (k + 1) * features * u_width])
    u = np.empty(rows * heads * u_width, h.dtype)
    m = m0[first * width : stop * width].copy()
    for t in range(length):
        for k in range(heads):
            at = k * features * u_width
            if t == 0:
                multiply(
                    h0, first * width + k * features, width, rows, features, weight, at, columns,
                    u, k * u_width, heads * u_width,
                )  # fmt: skip
            else:
                multiply(
                    h, (first * length + t - 1) * width + k * features, length * width, rows,
                    features, weight, at, columns, u, k * u_width, heads * u_width,
                )  # fmt: skip
        for row in range(rows):
            place = (first + row) * length + t
            for k in range(heads):
                lo, hi = k * features, (k + 1) * features
                start, at = (first + row) * width, place * width
                c_old, n_old = (
                    c[at - width + lo : at - width + hi],
                    n[at - width + lo : at - width + hi],
                )
                if t == 0:
                    c_old, n_old = c0[start + lo : start + hi], n0[start + lo : start + hi]
                c_now, n_now, h_now = (
                    c[at + lo : at + hi],
                    n[at + lo : at + hi],
                    h[at + lo : at + hi],
                )
                m_now = m[row * width + lo : row * width + hi]
                x_i, x_f, x_z, x_o = four(x, place * 4 * width + lo, width, features)
                u_i, u_f, u_z, u_o = four(u, (row * heads + k) * u_width, features, features)
                g = place * 5 * width
                keep = gates[g + lo : g + hi]
                take, f, z, o = four(gates, g + width + lo, width, features)
                for e in range(features):
                    f[e] = x_f[e] + u_f[e]
                    kept, taken = log_sigmoid(f[e]) + m_now[e], x_i[e] + u_i[e]
                    m_now[e] = kept if kept > taken else taken
                    keep[e] = exp(kept - m_now[e])
                    take[e] = exp(taken - m_now[e])
                for e in range(features):
                    z[e] = tanh(x_z[e] + u_z[e])
                    o[e] = sigmoid(x_o[e] + u_o[e])
                for e in range(features):
                    c_now[e] = keep[e] * c_old[e] + take[e] * z[e]
                    n_now[e] = keep[e] * n_old[e] + take[e]
                    h_now[e] = o[e] * c_now[e] / n_now[e]
            if ends[first + row] == t + 1:
                start, at = (first + row) * width, place * width
                c_end[start : start + width] = c[at : at + width]
                n_end[start : start + width] = n[at : at + width]
                m_end[start : start + width] = m[row * width : (row + 1) * width]


@compiled
def backward(
    first, stop, length, width, heads, w, c0, n0, ends, h, c, n, gates, dh, dc_end, dn_end, dm_end,
    d, dh0, dc0, dn0, dm0,
):  # fmt: skip
    """`w` [H, G, P]. With the gradients dc, dn and dm of a state, q = dm - c dc - n dn is zero but
    for a loss on the final state, and travels back to where the input's gate was the maximum."""
    rows, features, one = stop - first, width // heads, h.dtype.type(1)
    columns = 4 * features
    u_width = padded(features, h.itemsize)
    weight = np.zeros(heads * columns * u_width, h.dtype)
    for k in range(heads):
        part = w[k * features * columns : (k + 1) * features * columns]
        lay_out(part, features, weight[k * columns * u_width : (k + 1) * columns * u_width])
    u = np.zeros(rows * heads * u_width, h.dtype)
    dc0[first * width : stop * width] = 0
    dn0[first * width : stop * width] = 0
    dm0[first * width : stop * width] = 0
    for t in range(length - 1, -1, -1):
        for row in range(rows):
            place, start = (first + row) * length + t, (first + row) * width
            at = place * width
            if ends[first + row] == t + 1:
                for e in range(width):
                    dc, dn = dc_end[start + e], dn_end[start + e]
                    dc0[start + e] += dc
                    dn0[start + e] += dn
                    dm0[start + e] = dm_end[start + e] - c[at + e] * dc - n[at + e] * dn
            for k in range(heads):
                lo, hi = k * features, (k + 1) * features
                c_old, n_old = (
                    c[at - width + lo : at - width + hi],
                    n[at - width + lo : at - width + hi],
                )
                if t == 0:
                    c_old, n_old = c0[start + lo : start + hi], n0[start + lo : start + hi]
                n_now, h_now, dh_now = (
                    n[at + lo : at + hi],
                    h[at + lo : at + hi],
                    dh[at + lo : at + hi],
                )
                dc, dn, q = (
                    dc0[start + lo : start + hi],
                    dn0[start + lo : start + hi],
                    dm0[start + lo : start + hi],
                )
                u_at = (row * heads + k) * u_width
                u_now = u[u_at : u_at + features]
                g = place * 5 * width
                keep = gates[g + lo : g + hi]
                take, f, z, o = four(gates, g + width + lo, width, features)
                d_i, d_f, d_z, d_o = four(d, (place * heads + k) * columns, features, features)
                for e in range(features):
                    total = dh_now[e] + u_now[e]
                    d_o[e] = total * (one - o[e]) * h_now[e]
                    dc[e] += total * o[e] / n_now[e]
                    dn[e] -= total * h_now[e] / n_now[e]
                for e in range(features):
                    d_z[e] = dc[e] * take[e] * (one - z[e] * z[e])
                    d_i[e] = take[e] * (dc[e] * z[e] + dn[e])
                for e in range(features):
                    slope = sigmoid(-f[e])
                    d_f[e] = slope * keep[e] * (dc[e] * c_old[e] + dn[e] * n_old[e])
                    stays = q[e] if take[e] != one else q[e] * 0
                    d_i[e] += q[e] - stays
                    d_f[e] += stays * slope
                    q[e] = stays
                    dc[e] *= keep[e]
                    dn[e] *= keep[e]
        for k in range(heads):
            multiply(
                d, ((first * length + t) * heads + k) * columns, length * heads * columns, rows,
                columns, weight, k * columns * u_width, features, u, k * u_width, heads * u_width,
            )  # fmt: skip
    for row in range(rows):
        start = (first + row) * width
        for k in range(heads):
            for e in range(features):
                dh0[start + k * features + e] = u[(row * heads + k) * u_width + e]
        for e in range(width):
            dm0[start + e] += c0[start + e] * dc0[start + e] + n0[start + e] * dn0[start + e]
