"""The chunked form whose carries between the chunks are one kernel of the diagonal recurrence on a
GPU, in Triton; products inside the chunks are PyTorch's. float32."""

from functools import partial

from torch import Tensor

from seqarena.ops.registry import TRITON
from seqarena.ops.state_space import Diagonal, diagonal_ssm
from seqarena.ops.state_space.chunked import serial_steps, whole_chunks
from seqarena.ops.state_space.reference import loop
from seqarena.ops.state_space.shared import with_padding


@diagonal_ssm.algorithm("triton", **TRITON, serial_steps=serial_steps)
def block_kernel(
    u_BTD: Tensor, system: Diagonal, start_BDN: Tensor, lengths_B: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The outputs and the state after each row's last real position."""
    if u_BTD.shape[1] == 1:
        return loop(u_BTD, system, start_BDN, lengths_B)
    return with_padding(partial(whole_chunks, "triton"), u_BTD, system, start_BDN, lengths_B)
