"""The cell of the simple recurrent unit: its forget gate sees the cell, channel by channel.

    f_t = sigmoid(a_t + v c_{t-1}),   c_t = f_t c_{t-1} + (1 - f_t) u_t

Lei, Zhang, Wang, Dai and Artzi 2018, "Simple Recurrent Units for Highly Parallelizable Recurrence",
arXiv:1709.02755, equations 1 and 2. With v it is not linear, so that no scan computes it.

    loop      the equations, one position after another, under autograd: the slow truth
    stepwise  three operations a step in place; backwards the slope dc_t / dc_{t-1} = f_t + v s_t is
              known beforehand, s_t = (c_{t-1} - u_t) f_t (1 - f_t), and the walk back is linear

Letters: B batch, T time, E channels.
"""

import torch
from torch import Tensor

from seqarena.core.shapes import at_least_float32, lengths_to_mask
from seqarena.ops.registry import operation, register_files


@operation("sru")
def sru(
    u_BTE: Tensor,
    a_BTE: Tensor,
    v_E: Tensor,
    start_BE: Tensor | None = None,
    lengths_B: Tensor | None = None,
    *,
    algorithm: str = "auto",
) -> Tensor:
    """Every c_t: [B, T, E] in at least float32; beyond a row's length the cell stays still.

    Gradients of first order flow to all but the lengths. Raises UserError for an unknown algorithm.
    """
    form = sru.form(algorithm, u_BTE)
    u_BTE, a_BTE, v_E = at_least_float32(u_BTE), at_least_float32(a_BTE), at_least_float32(v_E)
    start_BE = torch.zeros_like(u_BTE[:, 0]) if start_BE is None else start_BE.to(u_BTE.dtype)
    if lengths_B is not None:
        padding_BT = ~lengths_to_mask(lengths_B, u_BTE.shape[1])
        a_BTE = a_BTE.masked_fill(padding_BT[..., None], torch.inf)
    return form(u_BTE, a_BTE, v_E, start_BE)


register_files(__name__, __path__)
