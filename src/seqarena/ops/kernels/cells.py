"""Kernels of the recurrent cells (ops/recurrent): the walk along time, product and gates together.

A row of work is a sequence: each thread takes its sequences through all positions by itself, so
that no step waits for another thread. `x` holds the input's part of all gates at all positions;
`w` the recurrent matrix in panels (`products.py`), for the walk back its transpose.

Letters: those of ops/recurrent; u the products of one step, each row as long as whole panels.
"""

import numpy as np

from seqarena.ops.kernels.compiling import compiled
from seqarena.ops.kernels.functions import sigmoid, tanh
from seqarena.ops.kernels.products import lay_out, multiply, padded
from seqarena.ops.kernels.slices import four, three


@compiled
def elman_forward(first, stop, length, width, x, start, w, tanh_not_relu, h):
    """h_t = f(x_t + U h_{t-1})"""
    rows, zero = stop - first, h.dtype.type(0)
    u_width = padded(width, h.itemsize)
    weight = np.zeros(u_width * width, h.dtype)
    lay_out(w, width, weight)
    u = np.empty(rows * u_width, h.dtype)
    for t in range(length):
        if t == 0:
            multiply(start, first * width, width, rows, width, weight, 0, width, u, 0, u_width)
        else:
            at = (first * length + t - 1) * width
            multiply(h, at, length * width, rows, width, weight, 0, width, u, 0, u_width)
        for row in range(rows):
            at = ((first + row) * length + t) * width
            x_now, h_now = x[at : at + width], h[at : at + width]
            u_now = u[row * u_width : row * u_width + width]
            if tanh_not_relu:
                for e in range(width):
                    h_now[e] = tanh(x_now[e] + u_now[e])
            else:
                for e in range(width):
                    total = x_now[e] + u_now[e]
                    h_now[e] = zero if total < zero else total  # so written, NaN stays


@compiled
def elman_backward(first, stop, length, width, w, tanh_not_relu, h, dh, d, dstart):
    """d_t, the gradient of the sum inside f: f'(h_t) (dh_t + U^T d_{t+1})."""
    rows, one, zero = stop - first, h.dtype.type(1), h.dtype.type(0)
    u_width = padded(width, h.itemsize)
    weight = np.zeros(u_width * width, h.dtype)
    lay_out(w, width, weight)
    u = np.zeros(rows * u_width, h.dtype)
    for t in range(length - 1, -1, -1):
        for row in range(rows):
            at = ((first + row) * length + t) * width
            h_now, dh_now, d_now = h[at : at + width], dh[at : at + width], d[at : at + width]
            u_now = u[row * u_width : row * u_width + width]
            if tanh_not_relu:
                for e in range(width):
                    d_now[e] = (dh_now[e] + u_now[e]) * (one - h_now[e] * h_now[e])
            else:
                for e in range(width):
                    d_now[e] = dh_now[e] + u_now[e] if h_now[e] > zero else zero
        at = (first * length + t) * width
        multiply(d, at, length * width, rows, width, weight, 0, width, u, 0, u_width)
    for row in range(rows):
        at = (first + row) * width
        dstart[at : at + width] = u[row * u_width : row * u_width + width]


@compiled
def gru_forward(first, stop, length, width, x, start, w, inner_bias, h, gates):
    """r, z = sigmoid(x + U h_{t-1}),  n = tanh(x + r inner),  inner = U h_{t-1} + b'
    h_t = n + z (h_{t-1} - n). `gates` [inner, r, z, n] may be empty."""
    rows, keeps = stop - first, gates.size > 0
    columns = 3 * width
    u_width = padded(columns, h.itemsize)
    weight = np.zeros(u_width * width, h.dtype)
    lay_out(w, columns, weight)
    u = np.empty(rows * u_width, h.dtype)
    for t in range(length):
        if t == 0:
            multiply(start, first * width, width, rows, width, weight, 0, columns, u, 0, u_width)
        else:
            at = (first * length + t - 1) * width
            multiply(h, at, length * width, rows, width, weight, 0, columns, u, 0, u_width)
        for row in range(rows):
            place = (first + row) * length + t
            at = place * width
            h_now, before = h[at : at + width], h[at - width : at]
            if t == 0:
                before = start[(first + row) * width : (first + row + 1) * width]
            x_at, u_at = place * columns, row * u_width
            x_r, x_z, x_n = three(x, x_at, width)
            r, z, inner = three(u, u_at, width)
            for e in range(width):
                r[e] = sigmoid(x_r[e] + r[e])
                z[e] = sigmoid(x_z[e] + z[e])
                inner[e] = inner[e] + inner_bias[e]
            if keeps:
                g_at = place * 4 * width
                gates[g_at : g_at + width] = inner
                gates[g_at + width : g_at + 3 * width] = u[u_at : u_at + 2 * width]
                n = gates[g_at + 3 * width : g_at + 4 * width]
            else:
                n = inner
            for e in range(width):
                n[e] = tanh(x_n[e] + r[e] * inner[e])
                h_now[e] = n[e] + z[e] * (before[e] - n[e])


@compiled
def gru_backward(first, stop, length, width, w, start, h, gates, dh, d, dstart):
    """`d`: the gradients of inner and of the arguments of r, z and n, as `gates` lie."""
    rows, one = stop - first, h.dtype.type(1)
    u_width = padded(width, h.itemsize)
    weight = np.zeros(u_width * 3 * width, h.dtype)
    lay_out(w, width, weight)
    u = np.zeros(rows * u_width, h.dtype)
    carried = np.zeros(rows * width, h.dtype)
    for t in range(length - 1, -1, -1):
        for row in range(rows):
            place = (first + row) * length + t
            at, g_at = place * width, place * 4 * width
            before = h[at - width : at]
            if t == 0:
                before = start[(first + row) * width : (first + row + 1) * width]
            dh_now, past = dh[at : at + width], carried[row * width : (row + 1) * width]
            u_now = u[row * u_width : row * u_width + width]
            inner, r, z, n = four(gates, g_at, width, width)
            d_inner, d_r, d_z, d_n = four(d, g_at, width, width)
            for e in range(width):
                total = dh_now[e] + past[e] + u_now[e]
                d_z[e] = total * (before[e] - n[e]) * z[e] * (one - z[e])
                past[e] = total * z[e]
                d_n[e] = total * (one - z[e]) * (one - n[e] * n[e])
            for e in range(width):
                d_inner[e] = d_n[e] * r[e]
                d_r[e] = d_n[e] * inner[e] * r[e] * (one - r[e])
        at = (first * length + t) * 4 * width
        multiply(d, at, length * 4 * width, rows, 3 * width, weight, 0, width, u, 0, u_width)
    for row in range(rows):
        for e in range(width):
            dstart[(first + row) * width + e] = carried[row * width + e] + u[row * u_width + e]
