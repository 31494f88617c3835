"""What a causal layer needs of the past: its last inputs, carried from call to call.

    x_BTD  inputs of this call      past_BPD  the P inputs before them, zeros before the start

Real positions come first in each row (ops/padding.py); `lengths_B` says how many there are.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from seqarena.ops.padding import left_align, restore, take_last

State = TypeVar("State")


def extend(
    x_BTD: Tensor, past_BPD: Tensor | None, past: int, lengths_B: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The inputs with their `past` predecessors in front [B, past + T, D], and the past of the
    next call. `past_BPD` None: the sequence starts here."""
    if past_BPD is None:
        past_BPD = x_BTD.new_zeros(x_BTD.shape[0], past, x_BTD.shape[2])
    x_BPD = torch.cat((past_BPD, x_BTD), dim=1)
    ends_B = None if lengths_B is None else lengths_B + past
    # a view would keep all positions of the call alive
    return x_BPD, take_last(x_BPD, ends_B, past).clone()


def windows(x_BPD: Tensor, taps: int, dilation: int = 1) -> Tensor:
    """`taps` inputs, `dilation` apart, side by side: [B, P + T, D] -> [B, T, taps * D], the oldest
    first, where P = (taps - 1) * dilation."""
    if taps == 1:
        return x_BPD
    length = x_BPD.shape[1] - (taps - 1) * dilation
    return torch.cat([x_BPD[:, k * dilation : k * dilation + length] for k in range(taps)], dim=-1)


def over_real_positions(
    mix: Callable[[Tensor, Tensor | None], tuple[Tensor, State]],
    x_BTD: Tensor,
    mask_BT: Tensor | None,
) -> tuple[Tensor, State]:
    """`mix(x_BTD, lengths_B)` on rows whose real positions come first, its output put back."""
    if mask_BT is None:
        return mix(x_BTD, None)
    aligned = left_align(x_BTD, mask_BT)
    y_BTD, state = mix(aligned.x_BTD, aligned.lengths_B)
    return restore(y_BTD, aligned), state
