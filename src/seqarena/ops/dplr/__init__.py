"""The state space whose matrix is diagonal plus one rank, as recurrence, chunks and convolution.

    x' = A x + B u,   y = C x,   A = diag(a) - p p*        continuous, one system for each channel
    (2 / step - A) h_t = (2 / step + A) h_{t-1} + 2 B u_t              the bilinear rule

Gu, Goel and Re 2022, "Efficiently Modeling Long Sequences with Structured State Spaces",
arXiv:2111.00396, section 3. The matrices are real in a basis of conjugate pairs, of which one half
is kept: C x is 2 Re(sum over n of c_n x_n), and p p* x is p times 2 Re(sum of conj(p_n) x_n).

    loop     the rule as written, solved by the formula of Woodbury in O(N) a step: the slow truth
    chunked  matrix products inside chunks of L positions, and a recurrence over the chunks' states
    cauchy   the paper's algorithm: the filter C A^t B of the whole call from its generating
             function, which is a Cauchy kernel, and a convolution by FFT; it reads the whole call
             at once, so a later input moves earlier outputs by rounding

Letters: B batch, T time, D channels, N complex states of a channel, M = 2 N real ones,
L chunk length.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from seqarena.ops.registry import operation, register_files


class DPLR(NamedTuple):
    """The continuous system, complex but for its step; what has one row serves every channel."""

    step_D: Tensor
    a_DN: Tensor
    p_DN: Tensor
    b_DN: Tensor
    c_DN: Tensor


@operation("dplr_ssm")
def dplr_ssm(
    u_BTD: Tensor,
    system: DPLR,
    start_BDN: Tensor | None = None,
    lengths_B: Tensor | None = None,
    *,
    algorithm: str = "auto",
) -> tuple[Tensor, Tensor]:
    """The real outputs y_BTD and the complex state [B, D, N] after each row's last real position.

    `u_BTD` is real, of the system's precision, and zero beyond `lengths_B` (None: all positions are
    real). Raises UserError for an unknown algorithm.
    """
    form = dplr_ssm.form(algorithm, u_BTD)
    # autocast would turn the matrix products into bfloat16
    with torch.autocast(u_BTD.device.type, enabled=False):
        return form(u_BTD, system, start_BDN, lengths_B)


register_files(__name__, __path__)
