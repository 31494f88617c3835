"""The diagonal linear recurrence, the one loop inside minimal RNNs and state-space models.

    h_t = a_t * h_{t-1} + b_t            elementwise; h_0 is `start`

It is associative, so it can be computed in any of these ways (Blelloch 1990, "Prefix Sums and
Their Applications"; Martin & Cundy 2018, "Parallelizing Linear Recurrent Neural Nets"):

    loop     the recurrence as written, differentiated by autograd: the slow truth
    scan     parallel prefix by recursive halving: 2 log2(T) dependent steps, work 3 T
    chunked  all chunks advance together, then carries pass between them: L + T / L steps
    fused    one in-place multiply-add a step and no autograd graph: T steps, the least memory

All but the loop share one backward pass (`gradient.py`): the same recurrence run from the end.

Letters: B batch, T time, D features (any number of trailing axes), L chunk length.
"""

import torch
from torch import Tensor

from seqarena.ops.registry import operation, register_files


@operation("linear_recurrence")
def linear_recurrence(
    a_BTD: Tensor, b_BTD: Tensor, start_BD: Tensor | None = None, *, algorithm: str = "auto"
) -> Tensor:
    """Every h_t of the recurrence: h_BTD in the shape of b, in at least float32 (or complex64).

    `a_BTD` broadcasts to `b_BTD`; either may be complex. `start_BD` None is zero. The final state
    is h_BTD[:, -1]: for right-padded rows too, where a is 1 and b is 0 at the padding.
    Gradients of first order flow to a, b and start with every algorithm, of higher order with
    `loop` only. Raises UserError for an unknown algorithm.
    """
    form = linear_recurrence.form(algorithm, b_BTD)
    dtype = torch.promote_types(torch.promote_types(a_BTD.dtype, b_BTD.dtype), torch.float32)
    if start_BD is None:
        start_BD = torch.zeros_like(b_BTD[:, 0], dtype=dtype)
    dtype = torch.promote_types(dtype, start_BD.dtype)
    a_BTD, b_BTD, start_BD = a_BTD.to(dtype), b_BTD.to(dtype), start_BD.to(dtype)
    return form(a_BTD.expand_as(b_BTD), b_BTD, start_BD)


register_files(__name__, __path__)
