"""All chunks of L positions advance together, then carries pass between them: L + T / L steps."""

import math

from torch import Tensor
from torch.nn import functional as F

from seqarena.ops.diagonal import linear_recurrence
from seqarena.ops.diagonal.gradient import differentiable, in_place

CHUNK_LENGTH = 16


def serial_steps(length: int) -> int:
    """The longest chain of dependent multiply-adds."""
    return min(length, CHUNK_LENGTH) + math.ceil(length / CHUNK_LENGTH) + 1


@linear_recurrence.algorithm("chunked", serial_steps=serial_steps)
def chunked(a_BTD: Tensor, b_BTD: Tensor, start_BD: Tensor) -> Tensor:
    """Every h_t."""
    return differentiable(a_BTD, b_BTD, start_BD, _PASSES)


def _advance(a_BTD: Tensor, h_BTD: Tensor) -> None:
    """States from zero inside every chunk and the decay since its first step; then the carries."""
    length, tail = h_BTD.shape[1], h_BTD.shape[2:]
    chunk = min(CHUNK_LENGTH, length)
    padding = (0, 0) * len(tail) + (0, -length % chunk)
    # the padding's coefficients never reach a position that is kept
    shape = (h_BTD.shape[0], -1, chunk, *tail)
    decay_BCLD = F.pad(a_BTD, padding).reshape(shape).clone()
    local_BCLD = F.pad(h_BTD, padding).reshape(shape).clone()
    decays, locals_ = decay_BCLD.unbind(2), local_BCLD.unbind(2)
    for step in range(1, chunk):
        locals_[step].addcmul_(decays[step], locals_[step - 1])
        decays[step].mul_(decays[step - 1])
    ends = local_BCLD[:, :, -1].unbind(1)
    for index in range(1, len(ends)):
        ends[index].addcmul_(decay_BCLD[:, index, -1], ends[index - 1])
    # the last step of each chunk is final already
    local_BCLD[:, 1:, :-1].addcmul_(decay_BCLD[:, 1:, :-1], local_BCLD[:, :-1, -1:])
    h_BTD.copy_(local_BCLD.flatten(1, 2)[:, :length])


_PASSES = in_place(_advance)
