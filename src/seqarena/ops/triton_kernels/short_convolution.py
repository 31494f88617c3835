"""The short causal convolution of each channel, with its activation, by blocks of positions and
channels.

    p_t = sum over k of w_k x_(t+k) + b,   y = f(p),   dp = dy f'(p)
    dx_s = sum over k of w_k dp_(s-k),   dw_k = sum of x_(t+k) dp_t,   db = sum of dp_t

    B batch   T time   C channels   K taps   P = K - 1 + T   L positions of a block   N blocks of
    positions of all batch rows   W channels of a block
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK_LENGTH = 32
BLOCK_WIDTH = 64


@triton.jit
def _place(length, channels, L: tl.constexpr, W: tl.constexpr):
    """This program's batch row, its number among all blocks, its positions and channels."""
    place, groups, chunks = tl.program_id(0), tl.cdiv(channels, W), tl.cdiv(length, L)
    block = (place // groups).to(tl.int64)
    return (
        block // chunks,
        block,
        block % chunks * L + tl.arange(0, L),
        place % groups * W + tl.arange(0, W),
    )


@triton.jit
def _before_activation(
    x_ptr, weight_ptr, bias_ptr, batch, t, c, length, channels, x_batch, x_time, x_channel,
    BIAS: tl.constexpr, K: tl.constexpr, L: tl.constexpr, W: tl.constexpr,
):  # fmt: skip
    """p of one block, in float32."""
    real = c < channels
    inside = (t < length)[:, None] & real[None]
    x_place = x_ptr + batch * x_batch + t[:, None] * x_time + c[None] * x_channel
    p = tl.zeros((L, W), dtype=tl.float32)
    for k in tl.static_range(K):
        w = tl.load(weight_ptr + c * K + k, mask=real, other=0.0).to(tl.float32)
        p += w[None] * tl.load(x_place + k * x_time, mask=inside, other=0.0).to(tl.float32)
    if BIAS:
        p += tl.load(bias_ptr + c, mask=real, other=0.0).to(tl.float32)[None]
    return p


@triton.jit(do_not_specialize=["length"])
def _forward(
    x_ptr, weight_ptr, bias_ptr, y_ptr, length, channels, x_batch, x_time, x_channel,
    BIAS: tl.constexpr, SILU: tl.constexpr, K: tl.constexpr, L: tl.constexpr, W: tl.constexpr,
):  # fmt: skip
    batch, _block, t, c = _place(length, channels, L, W)
    y = _before_activation(
        x_ptr, weight_ptr, bias_ptr, batch, t, c, length, channels, x_batch, x_time, x_channel,
        BIAS, K, L, W,
    )  # fmt: skip
    if SILU:
        y = y * tl.sigmoid(y)
    place = y_ptr + (batch * length + t)[:, None] * channels + c[None]
    tl.store(place, y, mask=(t < length)[:, None] & (c < channels)[None])


@triton.jit(do_not_specialize=["length"])
def _backward(
    x_ptr, weight_ptr, bias_ptr, dy_ptr, dp_ptr, dweight_ptr, dbias_ptr,
    length, channels, x_batch, x_time, x_channel,
    BIAS: tl.constexpr, SILU: tl.constexpr, K: tl.constexpr, L: tl.constexpr, W: tl.constexpr,
):  # fmt: skip
    """dp of one block, and its part of the gradients of weight and bias."""
    batch, block, t, c = _place(length, channels, L, W)
    real = c < channels
    inside = (t < length)[:, None] & real[None]
    place = (batch * length + t)[:, None] * channels + c[None]
    dp = tl.load(dy_ptr + place, mask=inside, other=0.0).to(tl.float32)
    if SILU:
        p = _before_activation(
            x_ptr, weight_ptr, bias_ptr, batch, t, c, length, channels, x_batch, x_time, x_channel,
            BIAS, K, L, W,
        )  # fmt: skip
        s = tl.sigmoid(p)
        dp *= s * (1.0 + p * (1.0 - s))
    tl.store(dp_ptr + place, dp, mask=inside)
    x_place = x_ptr + batch * x_batch + t[:, None] * x_time + c[None] * x_channel
    for k in tl.static_range(K):
        x = tl.load(x_place + k * x_time, mask=inside, other=0.0).to(tl.float32)
        tl.store(dweight_ptr + (block * channels + c) * K + k, tl.sum(x * dp, 0), mask=real)
    if BIAS:
        tl.store(dbias_ptr + block * channels + c, tl.sum(dp, 0), mask=real)


@triton.jit(do_not_specialize=["length"])
def _input_gradient(
    dp_ptr, weight_ptr, dx_ptr, length, channels,
    K: tl.constexpr, L: tl.constexpr, W: tl.constexpr,
):  # fmt: skip
    """dx of one block of the positions of x, history and call."""
    positions = length + K - 1
    batch, _block, t, c = _place(positions, channels, L, W)
    real = c < channels
    dx = tl.zeros((L, W), dtype=tl.float32)
    for k in tl.static_range(K):
        read = ((t >= k) & (t - k < length))[:, None] & real[None]
        w = tl.load(weight_ptr + c * K + k, mask=real, other=0.0).to(tl.float32)
        place = dp_ptr + (batch * length + t - k)[:, None] * channels + c[None]
        dx += w[None] * tl.load(place, mask=read, other=0.0)
    into = dx_ptr + (batch * positions + t)[:, None] * channels + c[None]
    tl.store(into, dx, mask=(t < positions)[:, None] & real[None])


def convolved(x_BPC: Tensor, weight_CK: Tensor, bias_C: Tensor | None, activation: str) -> Tensor:
    """y_BTC, of the dtype that x and the weight have together; x has any strides."""
    weight_CK = weight_CK.contiguous()
    (B, P, C), K = x_BPC.shape, weight_CK.shape[1]
    T = P - K + 1
    y_BTC = x_BPC.new_empty(B, T, C, dtype=torch.promote_types(x_BPC.dtype, weight_CK.dtype))
    with torch.cuda.device_of(x_BPC):
        _forward[_grid(B, T, C)](
            x_BPC, weight_CK, weight_CK if bias_C is None else bias_C, y_BTC, T, C, *x_BPC.stride(),
            BIAS=bias_C is not None, SILU=activation == "silu", K=K, L=BLOCK_LENGTH, W=BLOCK_WIDTH,
        )  # fmt: skip
    return y_BTC


def gradients(
    x_BPC: Tensor, weight_CK: Tensor, bias_C: Tensor | None, activation: str, dy_BTC: Tensor
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Those of x, weight and bias."""
    weight_CK = weight_CK.contiguous()
    (B, P, C), K = x_BPC.shape, weight_CK.shape[1]
    T = P - K + 1
    (programs,) = _grid(B, T, C)
    blocks = programs // triton.cdiv(C, BLOCK_WIDTH)
    dp_BTC = dy_BTC.new_empty(B, T, C, dtype=torch.float32)
    dweight_NCK, dbias_NC = dp_BTC.new_empty(blocks, C, K), dp_BTC.new_empty(blocks, C)
    dx_BPC = x_BPC.new_empty(B, P, C)
    with torch.cuda.device_of(x_BPC):
        _backward[programs,](
            x_BPC, weight_CK, weight_CK if bias_C is None else bias_C, dy_BTC.contiguous(), dp_BTC,
            dweight_NCK, dbias_NC, T, C, *x_BPC.stride(),
            BIAS=bias_C is not None, SILU=activation == "silu", K=K, L=BLOCK_LENGTH, W=BLOCK_WIDTH,
        )  # fmt: skip
        _input_gradient[_grid(B, P, C)](
            dp_BTC, weight_CK, dx_BPC, T, C, K=K, L=BLOCK_LENGTH, W=BLOCK_WIDTH
        )
    dbias_C = None if bias_C is None else dbias_NC.sum(0).to(bias_C.dtype)
    return dx_BPC, dweight_NCK.sum(0).to(weight_CK.dtype), dbias_C


def _grid(batch: int, positions: int, channels: int) -> tuple[int]:
    blocks = batch * triton.cdiv(positions, BLOCK_LENGTH)
    return (blocks * triton.cdiv(channels, BLOCK_WIDTH),)
