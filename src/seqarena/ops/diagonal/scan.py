"""Parallel prefix by recursive halving: 2 log2(T) dependent steps, work 3 T."""

import math

from torch import Tensor

from seqarena.ops.diagonal import linear_recurrence
from seqarena.ops.diagonal.gradient import differentiable, in_place


def serial_steps(length: int) -> int:
    """The longest chain of dependent multiply-adds."""
    return max(1, 2 * math.ceil(math.log2(length)))


@linear_recurrence.algorithm("scan", serial_steps=serial_steps)
def scan(a_BTD: Tensor, b_BTD: Tensor, start_BD: Tensor) -> Tensor:
    """Every h_t."""
    return differentiable(a_BTD, b_BTD, start_BD, _PASSES)


def _advance(a_BTD: Tensor, h_BTD: Tensor) -> None:
    """Pairs of steps make one step of a recurrence half as long; its states are those at the odd
    positions, and one more step gives the even ones."""
    length = h_BTD.shape[1]
    if length == 1:
        return
    pairs = length // 2
    a_odd, h_odd = a_BTD[:, 1::2], h_BTD[:, 1::2]
    h_odd.addcmul_(a_odd, h_BTD[:, 0 : 2 * pairs : 2])
    _advance(a_odd * a_BTD[:, 0 : 2 * pairs : 2], h_odd)
    h_BTD[:, 2::2].addcmul_(a_BTD[:, 2::2], h_odd[:, : (length - 1) // 2])


_PASSES = in_place(_advance)
