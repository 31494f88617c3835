"""Exponential, sigmoid and tanh inside a kernel's loops, in forms that vectorise.

A call of the C library's exp stops LLVM from turning a loop into vector instructions. In float32
the ones here are polynomials, a few units in the last place from the truth (tests/ops/
test_kernels.py holds the bounds); infinities and NaN pass through as they should. In float64 they
are those of the C library.

    exp x = 2^n exp r,   n = round(x / ln 2),   r = x - n ln 2 in [-.347, .347]
"""

import math

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

_LOG2E = np.float32(1.4426950408889634)
_LN2_HIGH = np.float32(0.693359375)  # few bits: its product with n is exact
_LN2_LOW = np.float32(-2.12194440e-4)
_ROUNDER = np.float32(12582912.0)  # 1.5 * 2^23: what is added to it is rounded to an integer
_ROUNDER_BITS = np.int32(0x4B400000)
_LOWEST, _HIGHEST = np.float32(-150.0), np.float32(100.0)  # beyond them exp is 0 and infinity
_C2, _C3 = np.float32(5.0000001201e-1), np.float32(1.6666665459e-1)
_C4, _C5 = np.float32(4.1665795894e-2), np.float32(8.3334519073e-3)
_C6, _C7 = np.float32(1.3981999507e-3), np.float32(1.9875691500e-4)
_ZERO, _ONE, _TWO = np.float32(0.0), np.float32(1.0), np.float32(2.0)
_L3, _L5, _L7 = np.float32(1 / 3), np.float32(1 / 5), np.float32(1 / 7)
_L9, _L11, _L13 = np.float32(1 / 9), np.float32(1 / 11), np.float32(1 / 13)
_BIAS, _SHIFT, _HALF = np.int32(127), np.int32(23), np.int32(1)
# tanh x = x P(x^2) / Q(x^2), the minimax quotient of Eigen's generic_fast_tanh_float
_FLAT = np.float32(7.90531110763549805)  # behind it tanh is taken for what it is there, 1 - 3e-7
_P1, _P3 = np.float32(4.89352455891786e-03), np.float32(6.37261928875436e-04)
_P5, _P7 = np.float32(1.48572235717979e-05), np.float32(5.12229709037114e-08)
_P9, _P11 = np.float32(-8.60467152213735e-11), np.float32(2.00018790482477e-13)
_P13 = np.float32(-2.76076847742355e-16)
_Q0, _Q2 = np.float32(4.89352518554385e-03), np.float32(2.26843463243900e-03)
_Q4, _Q6 = np.float32(1.18534705686654e-04), np.float32(1.19825839466702e-06)


@intrinsic
def bits_of(typing_context, x):
    """The bits of a float32 as an int32."""
    return types.int32(types.float32), _bitcast(ir.IntType(32))


@intrinsic
def from_bits(typing_context, x):
    """The float32 of these bits."""
    return types.float32(types.int32), _bitcast(ir.FloatType())


def _bitcast(to):
    return lambda context, builder, signature, arguments: builder.bitcast(arguments[0], to)


@njit(fastmath={"contract"}, error_model="numpy")
def exp32(x):
    """exp in float32."""
    x = _LOWEST if x < _LOWEST else x  # so written, NaN stays
    x = _HIGHEST if x > _HIGHEST else x
    rounded = x * _LOG2E + _ROUNDER
    n = rounded - _ROUNDER
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    p = ((((_C7 * r + _C6) * r + _C5) * r + _C4) * r + _C3) * r + _C2
    p = p * (r * r) + r + _ONE
    power = bits_of(rounded) - _ROUNDER_BITS  # pyright: ignore[reportCallIssue]
    half = power >> _HALF  # in two factors: 2^n may be too small or too large for a float32
    return p * from_bits((half + _BIAS) << _SHIFT) * from_bits((power - half + _BIAS) << _SHIFT)


def exp(x):
    """e to the power of x."""
    return math.exp(x)


@overload(exp, inline="always")
def _exp(x):
    if x == types.float32:
        return lambda x: exp32(x)
    return lambda x: math.exp(x)


@njit(fastmath={"contract"}, error_model="numpy")
def sigmoid32(x):
    """1 / (1 + exp -x) in float32."""
    return _ONE / (_ONE + exp32(-x))


def sigmoid(x):
    """The logistic function."""
    return 1.0 / (1.0 + math.exp(-x))


@overload(sigmoid, inline="always")
def _sigmoid(x):
    if x == types.float32:
        return lambda x: sigmoid32(x)
    return lambda x: _sigmoid64(x)


@njit(error_model="numpy")
def _sigmoid64(x):
    if x < 0.0:  # exp would overflow
        e = math.exp(x)
        return e / (1.0 + e)
    return 1.0 / (1.0 + math.exp(-x))


@njit(fastmath={"contract"}, error_model="numpy")
def tanh32(x):
    """tanh in float32."""
    x = -_FLAT if x < -_FLAT else x
    x = _FLAT if x > _FLAT else x
    y = x * x
    p = (((((_P13 * y + _P11) * y + _P9) * y + _P7) * y + _P5) * y + _P3) * y + _P1
    q = ((_Q6 * y + _Q4) * y + _Q2) * y + _Q0
    return x * p / q


def tanh(x):
    """The hyperbolic tangent."""
    return math.tanh(x)


@overload(tanh, inline="always")
def _tanh(x):
    if x == types.float32:
        return lambda x: tanh32(x)
    return lambda x: math.tanh(x)


@njit(fastmath={"contract"}, error_model="numpy")
def log_sigmoid32(x):
    """log(1 / (1 + exp -x)) in float32: log(1 + e) = 2 artanh s, s = e / (2 + e) <= 1/3."""
    e = exp32(-abs(x))
    s = e / (_TWO + e)
    y = s * s
    p = (((((_L13 * y + _L11) * y + _L9) * y + _L7) * y + _L5) * y + _L3) * y + _ONE
    return (x if x < _ZERO else _ZERO) - _TWO * s * p


def log_sigmoid(x):
    """The logarithm of the logistic function."""
    return min(x, 0.0) - math.log1p(math.exp(-abs(x)))


@overload(log_sigmoid, inline="always")
def _log_sigmoid(x):
    if x == types.float32:
        return lambda x: log_sigmoid32(x)
    return lambda x: min(x, 0.0) - math.log1p(math.exp(-abs(x)))
