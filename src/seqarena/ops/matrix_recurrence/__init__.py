"""The recurrence over a matrix: what linear attention, the delta rule and Mamba-2 have in common.

    D_t = decay_t S_(t-1)                            decay_t = exp(log_decay_t), along the keys
    S_t = D_t + a_t (b_t^T D_t) + k_t v_t^T          a_t the direction, b_t what is erased
    y_t = S_t^T q_t

that is S_t = (I + a_t b_t^T) diag(decay_t) S_(t-1) + k_t v_t^T. A mixer leaves out what it does not
have (arXiv numbers of the papers):

    no decay, no erasing            linear attention (2006.16236), Based (2402.18668)
    one decay a head                RetNet (2307.08621), Mamba-2 (2405.21060), mLSTM (2405.04517)
    a decay a key                   GLA (2312.06635), HGRN2 (2404.07904), RWKV-6 (2404.05892)
    erasing along the key, a = -k   DeltaNet (2406.06484), Gated DeltaNet (2412.06464), Kimi Delta
                                    Attention (2510.26692); the key carries the step beta
    erasing along another, a b^T    RWKV-7 (2503.14456)
    n writes a position             DeltaProduct (2502.10297): n positions, read at every n-th

All forms compute in at least float32, also under autocast: S is a sum over the whole past.

    loop     the recurrence, one position after another (the slow truth)
    chunked  matrix products inside chunks of L positions, the recurrence between them

    B sequences   H heads   T positions   K features of a key   V features of a value
"""

import torch
from torch import Tensor

from seqarena.core.errors import UserError
from seqarena.ops.registry import operation, register_files


@operation("matrix_recurrence")
def matrix_recurrence(
    q_BHTK: Tensor,
    k_BHTK: Tensor,
    v_BHTV: Tensor,
    s_BHKV: Tensor,
    *,
    log_decay: Tensor | None = None,
    erase_BHTK: Tensor | None = None,
    direction_BHTK: Tensor | None = None,
    algorithm: str = "auto",
    chunk_size: int = 32,
) -> tuple[Tensor, Tensor]:
    """From the matrices before the call to the outputs y_BHTV and the matrices after, s_BHKV.

    `log_decay` [B, H, T, 1] (one a head) or [B, H, T, K] (one a key) is at most 0; None: nothing
    decays. `erase_BHTK` None: nothing is erased. `direction_BHTK` None: along minus the key. The
    head axis of `q_BHTK` and `k_BHTK` may be 1: shared by all heads, as in Mamba-2. A position
    whose key, erasing and logarithm of the decay are zero leaves S as it is, which is how padding
    is passed over. The outputs have the dtype of S. Gradients of first order flow to every input.

    `chunk_size` matters to `chunked` only: its chunks are the largest power of two up to it. Raises
    UserError for an unknown algorithm and for a `chunk_size` below 1.
    """
    if chunk_size < 1:
        raise UserError(f"chunk_size is {chunk_size}: use at least 1, such as 32")
    form = matrix_recurrence.form(algorithm, q_BHTK)
    dtype = s_BHKV.dtype
    inputs = [x.to(dtype) for x in (q_BHTK, k_BHTK, v_BHTV)]
    others = [x if x is None else x.to(dtype) for x in (log_decay, erase_BHTK, direction_BHTK)]
    with torch.autocast(q_BHTK.device.type, enabled=False):
        return form(*inputs, s_BHKV, *others, chunk_size)


register_files(__name__, __path__)
