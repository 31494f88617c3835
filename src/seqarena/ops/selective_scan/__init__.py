"""The selective scan: a diagonal state space whose step, input and output depend on the position.

Gu and Dao 2023, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", equations 2-4.

    h_t = exp(step_t A) h_{t-1} + step_t B_t x_t          for each channel and each of N states
    y_t = sum over n of C_t h_t

A is discretised by zero-order hold and B by Euler's rule, as in the authors' code.

    loop     the recurrence as written, differentiated by autograd: the slow truth
    scan     all coefficients written out, then the parallel prefix of ops/diagonal: memory B T N E
    chunked  one in-place step after the other; the backward pass recomputes states chunk by chunk
             from those at the chunks' starts: memory B T E N / 16

Letters: B batch, T time, E channels, N states of a channel, L positions of a chunk. The channels
come last, so that every elementwise operation runs over long rows.
"""

import torch
from torch import Tensor

from seqarena.ops.registry import operation, register_files


@operation("selective_scan")
def selective_scan(
    x_BTE: Tensor,
    step_BTE: Tensor,
    a_NE: Tensor,
    b_BTN: Tensor,
    c_BTN: Tensor,
    start_BNE: Tensor | None = None,
    *,
    algorithm: str = "auto",
) -> tuple[Tensor, Tensor]:
    """The outputs y_BTE and the final state [B, N, E], computed in at least float32.

    `a_NE` is the continuous diagonal (negative), `step_BTE` the positive step sizes: a step of 0
    leaves the state as it is, which is how padding is passed over. Gradients of first order flow to
    every input. Raises UserError for an unknown algorithm.
    """
    form = selective_scan.form(algorithm, x_BTE)
    dtype = torch.promote_types(x_BTE.dtype, torch.float32)
    inputs = [tensor.to(dtype) for tensor in (x_BTE, step_BTE, a_NE, b_BTN, c_BTN)]
    if start_BNE is None:
        start_BNE = x_BTE.new_zeros(x_BTE.shape[0], *a_NE.shape, dtype=dtype)
    # autocast would turn the matrix products of the recurrence into bfloat16
    with torch.autocast(x_BTE.device.type, enabled=False):
        return form(*inputs, start_BNE.to(dtype))


register_files(__name__, __path__)
