"""Linear attention as written, one position after another, under autograd."""

import torch
from torch import Tensor

from seqarena.ops.linear_attention import EPSILON, linear_attention


@linear_attention.truth("loop", serial_steps=lambda length, chunk_size: length)
def loop(
    q_BHTE: Tensor,
    k_BHTE: Tensor,
    v_BHTF: Tensor,
    s_BHEF: Tensor,
    z_BHE: Tensor,
    _chunk_size: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """The outputs and the sums after them."""
    outputs = []
    for q_BHE, k_BHE, v_BHF in zip(q_BHTE.unbind(2), k_BHTE.unbind(2), v_BHTF.unbind(2)):
        s_BHEF = s_BHEF + k_BHE[..., :, None] * v_BHF[..., None, :]
        z_BHE = z_BHE + k_BHE
        total_BH1 = (q_BHE * z_BHE).sum(-1, keepdim=True) + EPSILON
        outputs.append((q_BHE[..., None, :] @ s_BHEF)[..., 0, :] / total_BH1)
    return torch.stack(outputs, dim=2), s_BHEF, z_BHE
