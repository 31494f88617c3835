"""The recurrence of the minimal gated networks: a blend of the old state and a candidate.

    h_t = (1 - z_t) h_{t-1} + z_t c_t,   z = sigmoid(gate),   c = g(value)

Feng et al. 2024, "Were RNNs All We Needed?", arXiv:2410.01201. g is x + 1/2 for x >= 0 and
sigmoid(x) below (`positive`, Appendix B.3), or the identity (`linear`, section 3).

    loop, scan, chunked   the coefficients 1 - z and z c written out, then ops/diagonal
    fused                 one in-place interpolation a step, gates and candidate differentiated by
                          hand, so that few tensors of the sequence's size are ever made

Letters: B batch, T time, E channels.
"""

import torch
from torch import Tensor

from seqarena.core.shapes import lengths_to_mask
from seqarena.ops.registry import operation, register_files


@operation("minimal_recurrence")
def minimal_recurrence(
    gate_BTE: Tensor,
    value_BTE: Tensor,
    start_BE: Tensor | None = None,
    lengths_B: Tensor | None = None,
    *,
    candidate: str,
    algorithm: str = "auto",
) -> Tensor:
    """Every h_t: [B, T, E] in at least float32; beyond a row's length the state stays still.

    Gradients of first order flow to gate, value and start. Raises UserError for an unknown
    algorithm.
    """
    form = minimal_recurrence.form(algorithm, gate_BTE)
    dtype = torch.promote_types(gate_BTE.dtype, torch.float32)
    gate_BTE, value_BTE = gate_BTE.to(dtype), value_BTE.to(dtype)
    if start_BE is not None:
        start_BE = start_BE.to(dtype)
    if lengths_B is not None:
        padding_BT = ~lengths_to_mask(lengths_B, gate_BTE.shape[1])
        gate_BTE = gate_BTE.masked_fill(padding_BT[..., None], -torch.inf)
    return form(gate_BTE, value_BTE, start_BE, candidate)


def candidate_value(value: Tensor, candidate: str) -> Tensor:
    """g of Appendix B.3 for `positive`, the identity for `linear`."""
    if candidate == "linear":
        return value
    return torch.where(value >= 0, value + 0.5, torch.sigmoid(value))


register_files(__name__, __path__)
