"""Masked products inside chunks of L positions, the recurrence between them: work T (L + E)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from seqarena.ops.linear_attention import EPSILON, linear_attention


@linear_attention.algorithm(
    "chunked", serial_steps=lambda length, chunk_size: -(-length // chunk_size)
)
def chunked(
    q_BHTE: Tensor,
    k_BHTE: Tensor,
    v_BHTF: Tensor,
    s_BHEF: Tensor,
    z_BHE: Tensor,
    chunk_size: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """The outputs and the sums after them."""
    size = min(q_BHTE.shape[2], chunk_size)
    return in_chunks(q_BHTE, k_BHTE, v_BHTF, s_BHEF, z_BHE, size)


def in_chunks(
    q_BHTE: Tensor, k_BHTE: Tensor, v_BHTF: Tensor, s_BHEF: Tensor, z_BHE: Tensor, size: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The outputs and the sums after them, by chunks of `size` positions."""
    B, H, length, _ = q_BHTE.shape
    N = -(-length // size)

    def chunks(x_BHTE: Tensor) -> Tensor:
        """[B H N, L, E]: batched products are fastest on three axes. Keys of zeros add nothing."""
        return F.pad(x_BHTE, (0, 0, 0, N * size - length)).reshape(B * H * N, size, -1)

    def sums_before(start: Tensor, added: Tensor) -> tuple[Tensor, Tensor]:
        """The sum before each chunk, [B H N, ...], and that after the last, [B, H, ...]."""
        added = added.view(B, H, N, *added.shape[1:])
        sums = torch.cat((start[:, :, None], added), dim=2).cumsum(dim=2)
        return sums[:, :, :-1].flatten(0, 2), sums[:, :, -1]

    q_XLE, k_XLE, v_XLF = chunks(q_BHTE), chunks(k_BHTE), chunks(v_BHTF)
    inside_XLL = torch.bmm(q_XLE, k_XLE.transpose(1, 2)).tril()
    s_XEF, s_BHEF = sums_before(s_BHEF, torch.bmm(k_XLE.transpose(1, 2), v_XLF))
    z_XE, z_BHE = sums_before(z_BHE, k_XLE.sum(dim=1))
    total_XL1 = inside_XLL.sum(-1, keepdim=True) + torch.bmm(q_XLE, z_XE[..., None])
    y_XLF = torch.baddbmm(torch.bmm(inside_XLL, v_XLF), q_XLE, s_XEF) / (total_XL1 + EPSILON)
    return y_XLF.view(B, H, N * size, -1)[:, :, :length], s_BHEF, z_BHE
