"""Positions, shown to attention in three ways: waves, rotations, penalties.

    sinusoidal   PE(p, 2i) = sin(p / base^(2i/D)), PE(p, 2i+1) = cos(the same)   Vaswani et al. 2017
    rotary       (x_i, x_(i+E/2)) turned by the angle p * base^(-2i/E)           Su et al. 2021
    alibi        score - slope_h * distance                                      Press et al. 2022

Angles are computed in float64: in float32 position 100,000 would be wrong by 0.004 radian.
"""

import functools
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Rotation(NamedTuple):
    """Cosine and sine of each position's angles, [T, 1, E/2] or [B, T, 1, E/2]."""

    cosine: Tensor
    sine: Tensor


def sinusoidal_positions(
    position: Tensor, width: int, base: float = 10_000.0, dtype: torch.dtype = torch.float32
) -> Tensor:
    """The waves that are added to embeddings: position [T] or [B, T] -> [T, D] or [B, T, D].

    Sines are at even features and cosines at odd ones, as in the paper (section 3.5).
    """
    angle = position.double()[..., None] * _frequencies((width + 1) // 2, 2 / width, base, position)
    waves = torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(-2)
    return waves[..., :width].to(dtype)


def rotation(
    start: int | Tensor,
    length: int,
    features: int,
    base: float,
    dtype: torch.dtype,
    device: torch.device,
) -> Rotation:
    """The rotation of the `length` positions from `start` on (one number, or [B]: one a row).

    For heads of an even number of `features`. The last few are remembered, since every layer of a
    stack asks for the same one.
    """
    if isinstance(start, Tensor):
        step_T = torch.arange(length, device=device)
        return rotation_at(start[:, None] + step_T, features, base, dtype)
    if torch.compiler.is_compiling():  # a traced tensor must not outlive its trace
        return rotation_at(
            torch.arange(start, start + length, device=device), features, base, dtype
        )
    return _remembered_rotation(start, length, features, base, dtype, device)


def rotate(x_BTHE: Tensor, turn: Rotation) -> Tensor:
    """Turns each pair (x_i, x_(i+E/2)) by its position's angle (the halves layout of Llama)."""
    turn = Rotation(turn.cosine.to(x_BTHE.dtype), turn.sine.to(x_BTHE.dtype))
    if torch.is_grad_enabled() and x_BTHE.requires_grad:
        return _Rotate.apply(x_BTHE, *turn)  # pyright: ignore[reportReturnType]
    return _turned(x_BTHE, *turn)


def alibi_slopes(num_heads: int) -> Tensor:
    """Slopes of Press et al. 2022, float64 [H]: a geometric sequence from 2^(-8/H) by that ratio.

    A number of heads that is no power of two takes the sequence of the power below it, and then
    every second member of the sequence of the power above it, as the authors do.
    """
    power = 2 ** int(math.log2(num_heads))
    slopes = [2.0 ** (-8 * (i + 1) / power) for i in range(power)]
    finer = [2.0 ** (-4 * (i + 1) / power) for i in range(0, 2 * power, 2)]
    return torch.tensor((slopes + finer)[:num_heads], dtype=torch.float64)


@functools.lru_cache(maxsize=16)
def _remembered_rotation(
    start: int, length: int, features: int, base: float, dtype: torch.dtype, device: torch.device
) -> Rotation:
    with torch.inference_mode(False):  # or a later training step could not use it
        position_T = torch.arange(start, start + length, device=device)
        return rotation_at(position_T, features, base, dtype)


def rotation_at(position: Tensor, features: int, base: float, dtype: torch.dtype) -> Rotation:
    """The rotation of any positions, [T] or [B, T], also negative ones."""
    angle = position.double()[..., None, None] * _frequencies(
        features // 2, 2 / features, base, position
    )
    return Rotation(angle.cos().to(dtype), angle.sin().to(dtype))


def _frequencies(count: int, step: float, base: float, like: Tensor) -> Tensor:
    index = torch.arange(count, dtype=torch.float64, device=like.device)
    return torch.exp(index * (-step * math.log(base)))


def _turned(x_BTHE: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    first, second = x_BTHE.chunk(2, dim=-1)
    return torch.cat(
        (
            (first * cosine).addcmul_(second, sine, value=-1),
            (second * cosine).addcmul_(first, sine),
        ),
        dim=-1,
    )


class _Rotate(torch.autograd.Function):
    """Rotation by hand: its gradient is the rotation back, and nothing of x has to be kept."""

    @staticmethod
    def forward(ctx: Any, x_BTHE: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        ctx.save_for_backward(cosine, sine)
        return _turned(x_BTHE, cosine, sine)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        cosine, sine = ctx.saved_tensors
        return rotate(gradients[0], Rotation(cosine, -sine)), None, None
