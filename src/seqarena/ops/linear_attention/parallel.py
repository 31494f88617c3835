"""Masked T x T products, a single chunk: work T^2."""

from torch import Tensor

from seqarena.ops.linear_attention import linear_attention
from seqarena.ops.linear_attention.chunked import in_chunks


# score and mask
@linear_attention.algorithm("parallel", serial_steps=lambda length, chunk_size: 2)
def parallel(
    q_BHTE: Tensor,
    k_BHTE: Tensor,
    v_BHTF: Tensor,
    s_BHEF: Tensor,
    z_BHE: Tensor,
    _chunk_size: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """The outputs and the sums after them."""
    return in_chunks(q_BHTE, k_BHTE, v_BHTF, s_BHEF, z_BHE, q_BHTE.shape[2])
